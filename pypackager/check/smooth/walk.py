"""Walks a Smooth Streaming presentation: its manifest as often as it can change, every fragment of every level, and both edges.

In: a session and a URL. Out: the presentation with its tracks, one for each quality level; findings. Never: rules on media.
Text and other sparse streams are read in the manifest alone.
"""

from __future__ import annotations

from functools import partial

from pypackager.check.finding import Scope
from pypackager.check.loading import Loader, open_loader
from pypackager.check.media.samples import Codec, Header, Media
from pypackager.check.media.smooth_fragments import read_smooth_fragment
from pypackager.check.origin import Answer
from pypackager.check.presentation import Claims, Listing, Look, Presentation, Track
from pypackager.check.session import Session
from pypackager.check.smooth.edges import check_edges, fragment_url
from pypackager.check.smooth.fragments import Known, check_fragments
from pypackager.check.smooth.manifest import Chunk, Level, Manifest, Stream, read_manifest
from pypackager.check.smooth.one_copy import check_copy
from pypackager.check.smooth.private_data import make_header, read_private_data
from pypackager.check.smooth.refreshes import check_refresh
from pypackager.check.watch import Watch

_AFTER_END = 4.0


async def walk(session: Session, url: str, answer: Answer) -> Presentation:
    """Walks the presentation whose manifest was answered with `answer`."""
    walker = _Walker(session, url)
    await walker.walk(answer)
    return walker.presentation


class _Walker:
    def __init__(self, session: Session, url: str) -> None:
        self.session = session
        self.presentation = Presentation(session.label, "smooth", url, live=False)
        self.watch = Watch(session.settings.seconds)
        self.known: dict[str, Known] = {}
        self.tracks: dict[tuple[str, int], tuple[Track, Level, Codec | None]] = {}
        self.seen_live = False

    async def walk(self, answer: Answer | None) -> None:
        url = answer.url if answer else self.presentation.url
        before: tuple[bytes, Manifest] | None = None
        async with open_loader(self.session) as loader:
            while True:
                if answer is None:
                    answer = await self.session.get(url, "manifest")
                if answer is not None:
                    was_live = before is not None and before[1].live
                    before = await self._take(answer, before, loader)
                    if before is None or (not before[1].live and not self.seen_live):
                        break
                    self.seen_live = True
                    if was_live and not before[1].live:
                        self.watch.end_within(_AFTER_END)
                if not await self.watch.pause(_half_a_fragment(before[1]) if before else 2.0):
                    break
                answer = None
        self.presentation.live = before is not None and before[1].live
        self.presentation.tracks = [track for track, _, _ in self.tracks.values()]
        for (name, _), (track, level, codec) in self.tracks.items():
            track.sort()
            check_fragments(track, level, codec, self.known[name], self.session.scope.at(track=track.label))

    async def _take(self, answer: Answer, before: tuple[bytes, Manifest] | None, loader: Loader) -> tuple[bytes, Manifest] | None:
        scope = self.session.scope.at(url=answer.base)
        if before is not None and before[0] == answer.body:
            manifest = before[1]
        else:
            read = read_manifest(answer.body, answer.base, scope)
            if read is None:
                return before
            manifest = read
            check_copy(manifest, scope)
            if before is not None:
                check_refresh(before[1], manifest, scope)
        if manifest.live and not self.seen_live:
            await check_edges(self.session, manifest, answer.asked, scope)
        for stream in manifest.streams:
            if not stream.sparse and stream.chunks:
                await self._follow(manifest, stream, answer, loader, scope)
        return answer.body, manifest

    async def _follow(self, manifest: Manifest, stream: Stream, answer: Answer, loader: Loader, scope: Scope) -> None:
        known = self.known.setdefault(stream.name, Known(stream))
        known.learn(stream, live=manifest.live, look_ahead=manifest.look_ahead)
        for level in stream.levels:
            track, kept, codec = self._track(stream, level, scope)
            new = track.take(_listing(manifest, stream, level, chunk) for chunk in stream.chunks if str(chunk.start) not in track.listings)
            start, end = stream.seconds(stream.chunks[0].start), stream.seconds(stream.chunks[-1].end)
            track.looks.append(Look(answer.asked, answer.answered, start, end, bool(new), not manifest.live))
            header = make_header(known.stream, kept, codec)
            await loader.want(track, new, partial(_read, header))

    def _track(self, stream: Stream, level: Level, scope: Scope) -> tuple[Track, Level, Codec | None]:
        found = self.tracks.get((stream.name, level.bitrate))
        if found is None:
            label = f"{stream.name} {level.bitrate // 1000}k"
            if any(track.label == label for track, _, _ in self.tracks.values()):
                label = f"{stream.name} {level.bitrate}"
            codec = read_private_data(stream, level, scope.at(track=label))
            claims = Claims(
                language=stream.values.text("Language"), independent=stream.type == "video", default_kind=stream.type,
                sample_rate=codec.sample_rate or None if codec else None, channels=codec.channels or None if codec else None,
            )  # fmt: skip
            track = Track(label, scope.place.url, claims, group=stream.name)
            found = self.tracks[stream.name, level.bitrate] = track, level, codec
        return found


def _read(header: Header, data: bytes, _: Header | None, scope: Scope) -> Media:
    """Reads a fragment by the header that the manifest was made into."""
    return read_smooth_fragment(data, header, scope)


def _listing(manifest: Manifest, stream: Stream, level: Level, chunk: Chunk) -> Listing:
    return Listing(
        url=fragment_url(manifest, stream, level, chunk.start), start=stream.seconds(chunk.start),
        duration=stream.seconds(chunk.duration), name=str(chunk.start), key=str(chunk.start), line=chunk.line,
        media_start=stream.seconds(chunk.start),
    )  # fmt: skip


def _half_a_fragment(manifest: Manifest) -> float:
    return float(min((stream.seconds(stream.chunks[-1].duration) for stream in manifest.streams if stream.chunks), default=4)) / 2
