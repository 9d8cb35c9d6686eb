"""Walks an HLS presentation: the multivariant playlist, every media playlist as often as a player would, every segment.

In: a session and a URL. Out: the presentation with its tracks; findings of the rules on playlists. Never: rules on media.
"""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

import msgspec
import trio

from pypackager.check.hls.bandwidth import check_bandwidth
from pypackager.check.hls.group_codecs import check_group_codecs
from pypackager.check.hls.lines import read_lines
from pypackager.check.hls.media_playlist import MediaPlaylist, Segment, read_media_playlist
from pypackager.check.hls.multivariant import Entry, Multivariant, read_multivariant
from pypackager.check.hls.one_copy import check_copy
from pypackager.check.hls.reloads import check_reload
from pypackager.check.hls.renditions import check_renditions
from pypackager.check.loading import Loader, open_loader
from pypackager.check.media.read import read_any, read_any_header
from pypackager.check.numerals import decimal, whole
from pypackager.check.origin import Answer
from pypackager.check.presentation import Claims, Listing, Look, Presentation, Track, url_key
from pypackager.check.session import Session
from pypackager.check.watch import Watch

_SETTLES = 3
"""Looks at a multivariant playlist that is another one each time, before the last one is taken as it is."""


async def walk(session: Session, url: str, answer: Answer) -> Presentation:
    """Walks the presentation whose first manifest was answered with `answer`."""
    walker = _Walker(session, url)
    await walker.walk(answer)
    return walker.presentation


class _Walker:
    def __init__(self, session: Session, url: str) -> None:
        self.session = session
        self.presentation = Presentation(session.label, "hls", url, live=False)
        self.last: dict[str, MediaPlaylist] = {}
        """The newest copy of each track's playlist."""
        self.master: Multivariant | None = None
        """Its newest copy."""
        self.master_body = b""
        self.was_live = False
        """A playlist had not ended when it was read first."""

    async def walk(self, answer: Answer) -> None:
        scope = self.session.scope.at(url=answer.base)
        first: Answer | None
        lines = read_lines(answer.body, scope)
        if any(line.tag in ("EXT-X-STREAM-INF", "EXT-X-MEDIA", "EXT-X-I-FRAME-STREAM-INF") for line in lines):
            self.master, self.master_body = read_multivariant(lines, answer.base, scope), answer.body
            tracks, first = tracks_of(self.master), None
        else:
            tracks, first = [Track("media", answer.base)], answer
        self.presentation.tracks = tracks
        async with open_loader(self.session) as loader:
            async with trio.open_nursery() as nursery:
                for track in tracks:
                    nursery.start_soon(self._follow, track, loader, first)
            await self._settle(loader)
        self.presentation.live = any(not playlist.ended for playlist in self.last.values())
        for track in tracks:
            track.sort()
        check_renditions(self.last, self.session.scope)
        if self.master is not None:
            by_url = {track.url: track for track in tracks}
            check_bandwidth(self.master, by_url, scope)
            check_group_codecs(self.master, by_url, scope)

    async def _settle(self, loader: Loader) -> None:
        """Takes what the multivariant playlist of a live presentation says now, and what its playlists list by then.

        A player that is there already never reads it again (RFC 8216bis 6.3.4) and goes by EXT-X-MAP; one that comes now does. So behind a
        discontinuity the copy of today has to be true, and what the first one said is not held against anybody. Nor is it known when a
        copy changed: one that is the same before and after a look at the playlists is as old as they are.
        """
        for _ in range(_SETTLES):
            if not self.was_live or not await self._read_master_again():
                return
            for track in self.presentation.tracks:
                if (answer := await self.session.get(track.url, "playlist", track=track.label)) is not None:
                    await self._take(track, loader, answer, self.last.get(track.label))

    async def _read_master_again(self) -> bool:
        """Whether it says other things of the tracks."""
        if self.master is None or (answer := await self.session.get(self.master.url, "playlist")) is None:
            return False
        if answer.body == self.master_body:
            return False
        scope = self.session.scope.at(url=answer.base)
        self.master, self.master_body = read_multivariant(read_lines(answer.body, scope), answer.base, scope), answer.body
        said = {track.url: track.claims for track in tracks_of(self.master)}
        differs = False
        for track in self.presentation.tracks:
            if (now := said.get(track.url)) is not None:
                known = track.claims
                track.claims = msgspec.structs.replace(
                    known, codecs=now.codecs, width=now.width, height=now.height, frame_rate=now.frame_rate, channels=now.channels
                )
                differs = differs or track.claims != known
        return differs

    async def _follow(self, track: Track, loader: Loader, answer: Answer | None) -> None:
        before: MediaPlaylist | None = None
        watch, live = Watch(self.session.settings.seconds), False
        while True:
            if answer is None:
                answer = await self.session.get(track.url, "playlist", track=track.label)
            if answer is not None:
                before = await self._take(track, loader, answer, before)
                if before.ended and not live:
                    break
                if before.ended:
                    watch.end_within(before.target)
                self.was_live = live = True
            if not await watch.pause((before.target if before else 2) / 2):
                break
            answer = None

    async def _take(self, track: Track, loader: Loader, answer: Answer, before: MediaPlaylist | None) -> MediaPlaylist:
        scope = self.session.scope.at(track=track.label, url=answer.base)
        playlist = read_media_playlist(read_lines(answer.body, scope), answer.base, scope)
        if before is None or playlist.segments != before.segments or playlist.lines != before.lines:
            # What did not change would be found again and again.
            check_copy(playlist, scope)
        if before is not None:
            check_reload(before, playlist, scope)
        self.presentation.absolute = self.presentation.absolute or playlist.dated
        listings = _listings(playlist, track)
        new = track.take(listings)
        if listings:
            end = listings[-1].start + listings[-1].duration
            track.looks.append(Look(answer.asked, answer.answered, listings[0].start, end, bool(new), playlist.ended))
        if track.claims.target_duration is None and playlist.target:
            track.claims = _with_target(track.claims, playlist)
        self.last[track.label] = playlist
        await loader.want(track, new, read_any, read_any_header)
        return playlist


def tracks_of(master: Multivariant) -> list[Track]:
    """Of each playlist one track; what is said of it is kept by its label, so no two have the same."""
    tracks: dict[str, Track] = {}
    for n, variant in enumerate(master.variants, 1):
        if variant.url not in tracks:
            tracks[variant.url] = Track(_name(variant, f"variant {n}"), variant.url, _claims(variant, master), group="variants")
    for rendition in master.renditions:
        at = rendition.attributes
        if rendition.url and rendition.url not in tracks and at.get("TYPE") in ("AUDIO", "VIDEO"):
            group = f"{at.get('TYPE')} {at.get('GROUP-ID')}"
            # The number is the first of the parameters (4.4.6.1); the others say what the channels are for.
            count = at.get("CHANNELS", "").partition("/")[0]
            claims = Claims(
                channels=whole(count), language=at.get("LANGUAGE", ""), independent=master.independent,
                default_kind=at["TYPE"].lower(),
            )  # fmt: skip
            tracks[rendition.url] = Track(f"{at.get('TYPE', '').lower()} {at.get('NAME', '')}", rendition.url, claims, group=group)
    labels = Counter[str]()
    for track in tracks.values():
        labels[track.label] += 1
        track.label += f" ({labels[track.label]})" if labels[track.label] > 1 else ""
    return list(tracks.values())


def _name(variant: Entry, fallback: str) -> str:
    resolution, bandwidth = variant.attributes.get("RESOLUTION"), variant.number("BANDWIDTH")
    if bandwidth is None:
        return fallback
    return f"{resolution or 'audio'} {bandwidth // 1000}k"


def _claims(variant: Entry, master: Multivariant) -> Claims:
    width, _, height = variant.attributes.get("RESOLUTION", "").partition("x")
    return Claims(
        codecs=variant.codecs,
        width=whole(width),
        height=whole(height),
        frame_rate=decimal(variant.attributes.get("FRAME-RATE", "")),
        independent=master.independent,
    )


def _with_target(claims: Claims, playlist: MediaPlaylist) -> Claims:
    return Claims(
        **{name: getattr(claims, name) for name in Claims.__struct_fields__ if name not in ("target_duration", "independent")},
        target_duration=Fraction(playlist.target),
        independent=claims.independent or playlist.independent,
    )


def _listings(playlist: MediaPlaylist, track: Track) -> list[Listing]:
    starts = playlist.starts()
    if not playlist.dated and playlist.segments and track.listings:
        # Without dates the sum of durations begins anew in each copy: it goes on from a segment that both have.
        shift = _shift(playlist.segments, starts, track)
        starts = [start + shift for start in starts]
    return [_listing(segment, start) for segment, start in zip(playlist.segments, starts, strict=True)]


def _shift(segments: tuple[Segment, ...], starts: list[Fraction], track: Track) -> Fraction:
    for segment, start in zip(segments, starts, strict=True):
        known = track.listings.get(url_key(segment.url, segment.byte_range))
        if known is not None:
            return known.start - start
    last = next(reversed(track.listings.values()))
    return last.start + last.duration - starts[0]


def _listing(segment: Segment, start: Fraction) -> Listing:
    return Listing(
        url=segment.url,
        start=start,
        duration=segment.duration,
        name=str(segment.number),
        key=url_key(segment.url, segment.byte_range),
        continuity=segment.continuity,
        byte_range=segment.byte_range,
        init=segment.map.url if segment.map else "",
        init_range=segment.map.byte_range if segment.map else None,
        gap=segment.gap,
        line=segment.line,
        exact=Fraction(1, 2 * 10**segment.decimals),
    )
