"""Walks a DASH presentation: the MPD as often as a player would, the clock that it names, every segment that it lists.

In: a session and a URL. Out: the presentation with its tracks; findings of the rules on MPDs. Never: rules on media.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import trio

from pypackager.check.dash.availability import check_availability
from pypackager.check.dash.claims import Claimed, check_claims
from pypackager.check.dash.clock import ask_clock
from pypackager.check.dash.containers import reader_of
from pypackager.check.dash.guidelines import check_guidelines
from pypackager.check.dash.index import read_index
from pypackager.check.dash.mpd import Mpd, Representation
from pypackager.check.dash.one_copy import check_copy, track_label
from pypackager.check.dash.refreshes import check_refresh, content
from pypackager.check.dash.resolve import resolve
from pypackager.check.dash.tree import read_tree
from pypackager.check.dash.values import parse_range
from pypackager.check.finding import Report
from pypackager.check.loading import LIMIT, Loader, open_loader
from pypackager.check.media.read import read_any_header
from pypackager.check.origin import Answer
from pypackager.check.presentation import Claims, Listing, Look, Presentation, Track, url_key
from pypackager.check.references import resolve_reference
from pypackager.check.session import Session
from pypackager.check.watch import Watch

_USUAL_UPDATES = Fraction(4)
"""Seconds between two updates of an MPD that does not say."""


async def walk(session: Session, url: str, answer: Answer) -> Presentation:
    """Walks the presentation whose MPD was answered with `answer`."""
    walker = _Walker(session, url)
    await walker.walk(answer)
    return walker.presentation


class _Walker:
    def __init__(self, session: Session, url: str) -> None:
        self.session = session
        self.url = url
        self.presentation = Presentation(session.label, "dash", url, live=False)
        self.watch = Watch(session.settings.seconds)
        self.tracks: dict[str, Track] = {}
        self.claimed: list[Claimed] = []
        self.numbers: dict[str, int] = {}
        """Of each Period, by its id and start, in the order in which they came."""
        self.offset = Fraction(0)
        """How far the origin's clock is ahead."""
        self.zero: Fraction | None = None
        """What presentation times count from: UTC, or 0 where nothing was ever live."""
        self.before: Mpd | None = None
        self.body = b""
        self.shape: tuple[tuple[str, str, str], ...] = ()
        """Periods and Representations: what guidelines say of them is said once."""

    async def walk(self, answer: Answer) -> None:
        async with open_loader(self.session) as loader, trio.open_nursery() as nursery:
            await self._follow(answer, loader, nursery)
        self.presentation.tracks = list(self.tracks.values())
        for track in self.presentation.tracks:
            track.sort()
        for claimed in self.claimed:
            check_claims(claimed, self.session.scope.at(track=claimed.track.label))

    async def _follow(self, answer: Answer | None, loader: Loader, nursery: trio.Nursery) -> None:
        ended = False
        while True:
            mpd = await self._take(answer, loader, nursery) if answer is not None else None
            last = mpd or self.before
            if last is None or ended:
                return
            # What was live is looked at once more after its end: it has to stay as it is.
            ended = not last.dynamic
            if ended and not self.presentation.absolute:
                return
            if not await self.watch.pause(float(last.duration("minimumUpdatePeriod") or _USUAL_UPDATES) / 2):
                return
            answer = await self.session.get(self.url, "manifest")

    async def _take(self, answer: Answer, loader: Loader, nursery: trio.Nursery) -> Mpd | None:
        scope = self.session.scope.at(url=answer.base)
        same = self.before is not None and content(answer.body) == content(self.body)
        # What did not change would be found again and again.
        quiet = Report().scope() if same else scope
        root = read_tree(answer.body, quiet)
        if root is None:
            return None
        now = Fraction(answer.answered) + self.offset
        mpd = resolve(root, answer.base, now, quiet)
        await self._read_indexes(mpd)
        if self.before is None:
            self._begin(mpd)
            if mpd.dynamic:
                self.offset = await ask_clock(mpd, self.session, scope)
                now = Fraction(answer.answered) + self.offset
        else:
            check_refresh(self.before, mpd, same=same, now=now, scope=scope)
        if not same:
            check_copy(mpd, scope)
            shape = tuple((period.id, each.set.values.get("id", ""), each.id) for period in mpd.periods for each in period.representations)
            if shape != self.shape:
                check_guidelines(mpd, scope)
            self.shape = shape
            if mpd.dynamic:
                check_availability(mpd, now, scope)
        location = root.first("Location")
        self.url = resolve_reference(answer.base, location.text) if location is not None else self.url
        self.before, self.body = mpd, answer.body
        self.presentation.live = mpd.dynamic
        self._note(mpd, answer, loader, nursery)
        return mpd

    def _begin(self, mpd: Mpd) -> None:
        self.zero = mpd.date("availabilityStartTime") if mpd.dynamic else None
        self.presentation.absolute = self.zero is not None

    async def _read_indexes(self, mpd: Mpd) -> None:
        for each in mpd.representations:
            span = parse_range(each.addressing.values.get("indexRange", "")) if each.addressing.kind == "SegmentBase" else None
            if span is None or len(each.rows):
                continue
            label = track_label(each)
            answer = await self.session.get(each.base, "other", track=label, byte_range=span)
            if answer is not None:
                read_index(each, answer.body, span[0], self.session.scope.at(track=label, url=each.base))

    def _note(self, mpd: Mpd, answer: Answer, loader: Loader, nursery: trio.Nursery) -> None:
        """Adds what is new to the tracks, and has it fetched while the MPD is followed."""
        looks: dict[str, tuple[Fraction, Fraction, bool]] = {}
        for period in mpd.periods:
            number = self.numbers.setdefault(f"{period.id} at {period.start}", len(self.numbers))
            for each in period.representations:
                track = self._track(mpd, each, number)
                new = track.take(self._listings(each, track, number))
                reader = reader_of(each.values.get("mimeType", "/mp4"))
                if reader is None and new:
                    self.session.scope.at(track=track.label).breach(LIMIT, each.values["mimeType"], "fragmented MP4 or a transport stream")
                elif reader is not None and new:
                    nursery.start_soon(loader.want, track, new, reader, read_any_header)
                if len(each.rows):
                    start, end = (self._time(each, int(tick)) for tick in (each.rows.time[0], each.rows.end[-1]))
                    first, last, changed = looks.get(track.label, (start, end, False))
                    looks[track.label] = (min(first, start), max(last, end), changed or bool(new))
        for label, (start, end, changed) in looks.items():
            self.tracks[label].looks.append(Look(answer.asked, answer.answered, start, end, changed, not mpd.dynamic))

    def _track(self, mpd: Mpd, each: Representation, number: int) -> Track:
        label = track_label(each)
        if label not in self.tracks:
            self.tracks[label] = Track(label, mpd.url, _claims(each), group=_group(each))
        track = self.tracks[label]
        known = next((claimed for claimed in self.claimed if claimed.track is track and claimed.continuity == number), None)
        if known is None:
            self.claimed.append(Claimed(track, number, mpd, each))
        else:
            # The newest copy knows the most: a peak that was measured rises.
            known.mpd, known.representation = mpd, each
        return track

    def _time(self, each: Representation, tick: int) -> Fraction:
        return (self.zero or Fraction(0)) + each.presentation_time(tick)

    def _listings(self, each: Representation, track: Track, number: int) -> list[Listing]:
        """At least those that are new."""
        rows = each.rows
        known = next(reversed(track.listings.values()), None)
        first = 0
        if known is not None and known.continuity == number and known.media_start is not None and each.exact:
            # Whatever lies before the newest that is known was listed before, or breaks a rule that has said so.
            first = int(np.searchsorted(rows.time, int(known.media_start * each.timescale), side="right"))
        return [self._listing(each, n, number) for n in range(first, len(rows))]

    def _listing(self, each: Representation, n: int, number: int) -> Listing:
        url, byte_range = each.url(n)
        init, init_range = each.init
        tick, duration = int(each.rows.time[n]), Fraction(int(each.rows.duration[n]), each.timescale)
        return Listing(
            url=url,
            start=self._time(each, tick),
            duration=duration,
            name=str(tick if each.exact else int(each.rows.number[n])),
            key=url_key(url, byte_range),
            continuity=number,
            byte_range=byte_range,
            init=init,
            init_range=init_range,
            line=int(each.rows.line[n]),
            media_start=Fraction(tick, each.timescale) if each.exact else None,
            missing=Fraction(int(each.rows.missing[n]), each.timescale),
            exact=Fraction(0) if each.exact else duration / 2,
        )


def _claims(each: Representation) -> Claims:
    values = each.values
    return Claims(language=values.get("lang", ""), independent=values.get("startWithSAP") in ("1", "2"), default_kind=each.kind)


def _group(each: Representation) -> str:
    """Of the AdaptationSet whose Representations are said to be aligned."""
    if each.set.values.get("segmentAlignment") not in ("true", "1"):
        return ""
    return f"set {each.set.values.get('id') or each.set.values.get('mimeType', '')} {each.kind}"
