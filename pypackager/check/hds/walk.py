"""Walks an HDS presentation: its manifest, the bootstrap of every media as often as it can change, every fragment.

In: a session and a URL. Out: the presentation with its tracks, one for each media; findings. Never: rules on media.
"""

from __future__ import annotations

from fractions import Fraction

import msgspec
import trio

from pypackager.check.finding import Scope
from pypackager.check.hds.bootstrap import read_bootstrap
from pypackager.check.hds.f4m import F4m, Media, read_f4m
from pypackager.check.hds.fragments import check_fragments
from pypackager.check.hds.refreshes import check_manifests, check_refresh
from pypackager.check.hds.tables import Fragment, Table, lay_out
from pypackager.check.loading import Loader, open_loader
from pypackager.check.media.f4f import read_f4f
from pypackager.check.origin import Answer
from pypackager.check.presentation import Claims, Listing, Look, Presentation, Track
from pypackager.check.rules import rule
from pypackager.check.session import Session
from pypackager.check.watch import Watch

STREAM_TYPE = rule(
    "HDS-STREAM-TYPE", "error", "F4M 2.0 4.3", "streamType live has a bootstrap that is live, and recorded one that is not",
    example="streamType recorded over a bootstrap with the live flag",
)  # fmt: skip
DURATION = rule(
    "HDS-DURATION", "error", "F4M 2.0 4.2", "duration of a recorded presentation is that of its fragments",
    example="<duration>60</duration> over 58 s of fragments",
)  # fmt: skip
FUTURE = rule(
    "HDS-FUTURE", "error", "Adobe HDS", "a fragment that is not there yet is answered with 404, 412 or 503",
    example="500 for a fragment past the newest",
)  # fmt: skip

_AFTER_END = 4.0
_PAST = 1000
"""Fragments past the newest: none may appear between the bootstrap and the question."""
_SLACK_SECONDS = Fraction(1, 10)


async def walk(session: Session, url: str, answer: Answer) -> Presentation:
    """Walks the presentation whose manifest was answered with `answer`."""
    walker = _Walker(session, url)
    await walker.walk(answer)
    return walker.presentation


class _Followed:
    """A media while it is followed."""

    def __init__(self, media: Media, track: Track, bitrate: int | None) -> None:
        self.media = media
        self.track = track
        self.bitrate = bitrate
        self.table: Table | None = None


class _Walker:
    def __init__(self, session: Session, url: str) -> None:
        self.session = session
        self.presentation = Presentation(session.label, "hds", url, live=False)
        self.followed: list[_Followed] = []

    async def walk(self, answer: Answer) -> None:
        scope = self.session.scope.at(url=answer.base)
        manifest = read_f4m(answer.body, answer.base, scope)
        if manifest is None:
            return
        await self._add_tracks(manifest, scope)
        self.presentation.tracks = [each.track for each in self.followed]
        async with open_loader(self.session) as loader, trio.open_nursery() as nursery:
            for each in self.followed:
                nursery.start_soon(self._follow, each, manifest, loader)
        if manifest.live and self.session.settings.seconds:
            later = await self.session.get(answer.url, "manifest")
            again = read_f4m(later.body, later.base, scope) if later else None
            if again is not None:
                check_manifests(manifest, again, scope)
                self._take_sizes(again)
        for each in self.followed:
            each.track.sort()
            check_fragments(each.track, each.bitrate, self.session.scope.at(track=each.track.label))
        self.presentation.live = any(each.table is not None and each.table.bootstrap.live for each in self.followed)
        self._check_duration(manifest, scope)

    async def _add_tracks(self, manifest: F4m, scope: Scope) -> None:
        for media in manifest.media:
            found = [media]
            if media.href:
                found = await self._read_link(media, scope)
            for each in found:
                bitrate = each.bitrate or media.bitrate
                claims = Claims(
                    width=each.width, height=each.height, independent=True, language=each.language or media.language,
                    default_kind=each.kind,
                )  # fmt: skip
                group = "alternate" if media.alternate else "media"
                self.followed.append(_Followed(each, Track(self._label(each, bitrate), each.url, claims, group=group), bitrate))

    def _take_sizes(self, manifest: F4m) -> None:
        """Takes what a later copy says of the pictures: an encoder may have come back with others, which players see in the fragments."""
        sizes = {media.url: (media.width, media.height) for media in manifest.media if not media.href}
        for each in self.followed:
            if each.media.url in sizes:
                width, height = sizes[each.media.url]
                each.track.claims = msgspec.structs.replace(each.track.claims, width=width, height=height)

    async def _read_link(self, media: Media, scope: Scope) -> list[Media]:
        """The media of the stream-level manifest that a set-level one links (F4M 2.0 5)."""
        answer = await self.session.get(media.href, "playlist")
        manifest = read_f4m(answer.body, answer.base, scope.at(url=answer.base)) if answer else None
        return [each for each in manifest.media if not each.href] if manifest else []

    def _label(self, media: Media, bitrate: int | None) -> str:
        size = f"{media.width}x{media.height}" if media.width else media.kind or "media"
        words = [size, f"{bitrate}k" if bitrate else "", media.label or media.language]
        label = " ".join(word for word in words if word)
        return label if all(each.track.label != label for each in self.followed) else f"{label} {len(self.followed) + 1}"

    async def _follow(self, each: _Followed, manifest: F4m, loader: Loader) -> None:
        info, was_live, ever_live = each.media.bootstrap, False, False
        if info is None or not (info.url or info.data):
            return
        watch = Watch(self.session.settings.seconds)
        while True:
            if info.url:
                answer = await self.session.get(info.url, "bootstrap", track=each.track.label)
            else:
                utc = self.session.origin.utc()
                answer = Answer(manifest.url, 200, body=info.data, asked=utc, answered=utc)
            if answer is not None:
                await self._take(each, answer, loader, manifest, first=each.table is None)
            live = each.table is not None and each.table.bootstrap.live
            if was_live and not live:
                watch.end_within(_AFTER_END)
            was_live, ever_live = live, ever_live or live
            if not info.url or not ever_live or not await watch.pause(_half_a_fragment(each.table)):
                return

    async def _take(self, each: _Followed, answer: Answer, loader: Loader, manifest: F4m, *, first: bool) -> None:
        track = each.track
        scope = self.session.scope.at(track=track.label, url=answer.base)
        bootstrap = read_bootstrap(answer.body, scope)
        if bootstrap is None:
            return
        before = each.table
        if before is None or bootstrap != before.bootstrap:
            each.table = lay_out(bootstrap, scope)
        table = each.table
        if before is not None and table is not None:
            check_refresh(before, table, scope)
        if table is None or not table.fragments:
            return
        if first and manifest.live is not None and manifest.live != bootstrap.live:
            said = f"a bootstrap that is {'live' if bootstrap.live else 'not live'}"
            scope.breach(STREAM_TYPE, said, f"as streamType {manifest.stream_type}")
        new = track.take(
            _listing(each.media, fragment, table) for fragment in table.fragments if str(fragment.number) not in track.listings
        )
        start = table.seconds(table.fragments[0].start)
        track.looks.append(Look(answer.asked, answer.answered, start, table.end, bool(new), not bootstrap.live))
        if first and bootstrap.live:
            await self._ask_future(each.media, table, scope)
        await loader.want(track, new, read_f4f)

    async def _ask_future(self, media: Media, table: Table, scope: Scope) -> None:
        last = table.fragments[-1]
        url = fragment_url(media.url, msgspec.structs.replace(last, number=last.number + _PAST))
        answer = await self.session.origin.ask(url)
        self.session.note(answer, "other")
        if answer.status not in (404, 412, 503):
            here = scope.at(url=url, segment=str(last.number + _PAST))
            here.breach(FUTURE, answer.status or answer.fault, "404, 412 or 503")

    def _check_duration(self, manifest: F4m, scope: Scope) -> None:
        tables = [each.table for each in self.followed if each.table is not None and each.table.fragments]
        if manifest.live or manifest.duration is None or not tables:
            return
        starts = [table.seconds(table.fragments[0].start) for table in tables]
        end = max(table.end for table in tables)
        lengths = (end - min(starts), end, *(table.end - start for table, start in zip(tables, starts, strict=True)))
        if all(abs(manifest.duration - length) > _SLACK_SECONDS for length in lengths):
            scope.breach(DURATION, f"{float(manifest.duration):.3f} s", f"{float(lengths[0]):.3f} s, as the fragments")


def fragment_url(media: str, fragment: Fragment) -> str:
    """The URL of a fragment; what is behind a question mark stays behind it."""
    path, mark, query = media.partition("?")
    return f"{path}Seg{fragment.segment}-Frag{fragment.number}{mark}{query}"


def _listing(media: Media, fragment: Fragment, table: Table) -> Listing:
    return Listing(
        url=fragment_url(media.url, fragment), start=table.seconds(fragment.start), duration=table.seconds(fragment.duration),
        name=str(fragment.number), key=str(fragment.number), continuity=fragment.continuity, exact=Fraction(1, 1000),
    )  # fmt: skip


def _half_a_fragment(table: Table | None) -> float:
    return float(table.seconds(table.fragments[-1].duration)) / 2 if table is not None and table.fragments else 2.0
