"""Tracks that join and leave a running period: each DASH Period is covered by what it lists, and nothing moves once it was listed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

from hypothesis import example, given, settings
from hypothesis import strategies as st
from lxml import etree
from msgspec.structs import replace

from pypackager.dvr.clip import Bounds, present
from pypackager.dvr.ledger import Ledger
from pypackager.dvr.lineup import GONE_NS
from pypackager.dvr.records import JournalRecord
from pypackager.model.records import (
    FLAG_GAP,
    FLAG_OPENS,
    FLAG_SYNC,
    Anchored,
    BlobOpened,
    ConfigAdded,
    FragmentWritten,
    Measured,
    PeriodOpened,
    Published,
    Row,
    TrackAdded,
)
from pypackager.model.track import TrackConfig, TrackInfo
from pypackager.packaging import answer
from tests.helpers.presentations import NOON_NS, NS, aac, avc, body_of

MPD = "{urn:mpeg:dash:schema:mpd:2011}"
REACH_NS = NS // 10
SLOT_S = 2
FOR_EVER_NS = 1 << 62


@dataclass
class Made:
    """A track of the model: when it is there, in slots."""

    info: TrackInfo
    config: TrackConfig
    shift: int = 0
    """Ticks by which its fragments start off the slots."""
    there: list[bool] = field(default_factory=list)
    media: list[tuple[int, int]] = field(default_factory=list)
    """(start, end) of what was published, in nanoseconds."""

    def rows(self, slot: int) -> Iterator[Row]:
        """What the slot publishes of it; a gap where it was there before."""
        time, duration = slot * SLOT_S * self.info.timescale + self.shift, SLOT_S * self.info.timescale
        if self.there[slot]:
            self.media.append((time * NS // self.info.timescale, (time + duration) * NS // self.info.timescale))
        before = any(self.there[:slot])
        if self.there[slot] or before:
            opens = FLAG_OPENS if slot % 3 == 0 or not before else 0
            yield Row(self.info.number, time, duration, slot // 3, opens | (FLAG_SYNC if self.there[slot] else FLAG_GAP))


def channel(draw: Random, slots: int) -> list[Made]:
    """Up to four layers, one of them with key frames of its own, and sound; each comes once and is away now and then."""
    made: list[Made] = []
    for number in range(1, draw.randint(1, 4) + 1):
        shift = -90_000 if number == 4 else 0
        made.append(Made(TrackInfo(f"v{number}", number, "video", 90_000, 1_000_000 * number), avc(320 * number, 180 * number), shift))
    number = len(made) + 1
    made.append(Made(TrackInfo("sound", number, "audio", 48_000, 128_000), aac(), draw.choice([0, -900, 700])))
    for track in made:
        joins = 1 if draw.random() < 0.5 or not draw.randrange(len(made)) else draw.randint(1, slots // 2)
        track.there = [slot >= joins for slot in range(slots)]
        for _ in range(draw.choice([0, 0, 1, 3])):
            away = draw.randrange(slots)
            for slot in range(away, min(slots, away + draw.choice([1, 2, 7, 8, 20]))):
                track.there[slot] = False
    return made


def records(tracks: list[Made], slot: int, file: int = 1) -> Iterator[JournalRecord]:
    """What the journal says of a slot."""
    rows = [row for track in tracks for row in track.rows(slot)]
    for row in rows:
        if not row.flags & FLAG_GAP:
            yield FragmentWritten(row.track, row.time, row.duration, 100 * file + row.track, 1000 * slot, 1000, 1, FLAG_SYNC, 0, 50)
    yield Published(tuple(rows))


def beginning(tracks: list[Made]) -> Iterator[JournalRecord]:
    """What the journal says before the first row."""
    for track in tracks:
        yield TrackAdded(track.info)
        yield ConfigAdded(track.info.number, 1, track.config)
    yield Anchored(NOON_NS)
    yield Measured(SLOT_S * NS, 3, 6)
    yield from blobs(tracks, 1)
    yield PeriodOpened(0, min(track.there.index(True) for track in tracks) * SLOT_S * NS)


def blobs(tracks: list[Made], file: int) -> Iterator[JournalRecord]:
    """What a journal file says before the first fragment in it."""
    for track in tracks:
        yield BlobOpened(100 * file + track.info.number, track.info.number, f"{track.info.id}/{file}", 1)


@dataclass
class Listed:
    """One Representation of one Period."""

    period: str
    start_ns: int
    group: str
    offset: int
    timescale: int
    times: list[tuple[int, int]]
    """(start, end) in nanoseconds of media time; without what is said to be missing of them."""
    continues: str


def parse(body: bytes) -> dict[tuple[str, str], Listed]:
    """By (Period, Representation), in order."""
    out: dict[tuple[str, str], Listed] = {}
    for period in etree.fromstring(body).iter(f"{MPD}Period"):
        for group in period.iter(f"{MPD}AdaptationSet"):
            (continues,) = [each.get("value") for each in group.iter(f"{MPD}SupplementalProperty")] or [""]
            for each in group.iter(f"{MPD}Representation"):
                template = each.find(f"{MPD}SegmentTemplate")
                scale, at = int(template.get("timescale")), 0
                times: list[tuple[int, int]] = []
                gaps = [(int(gap.get("t")), int(gap.get("t")) + int(gap.get("d"))) for gap in template.iter(f"{MPD}FCS")]
                for entry in template.iter(f"{MPD}S"):
                    assert entry.get("t") is None or not times, "it has no holes"
                    at = int(entry.get("t", at))
                    for _ in range(int(entry.get("r", 0)) + 1):
                        end = at + int(entry.get("d"))
                        lasts = next((begin for begin, until in gaps if until == end), end)
                        times.append((at * NS // scale, lasts * NS // scale))
                        at = end
                start, offset = round(float(period.get("start")[2:-1]) * NS), int(template.get("presentationTimeOffset"))
                out[period.get("id"), each.get("id")] = Listed(period.get("id"), start, group.get("id"), offset, scale, times, continues)
    return out


def mpd(ledger: Ledger, window_s: int) -> dict[tuple[str, str], Listed]:
    made = present(ledger, "show", Bounds(window_s * NS), ended=False, published_ns=None, paths={}, caches={})
    return parse(body_of(answer(made, "manifest.mpd", "")))


def covers_whole_periods(found: dict[tuple[str, str], Listed], tracks: list[Made], first_ns: int) -> None:
    starts = {each.period: each.start_ns for each in found.values()}
    names = list(starts)
    for (name, track_id), each in found.items():
        assert each.offset * NS // each.timescale in range(each.start_ns - NS // 10_000, each.start_ns + NS // 10_000)
        track = next(track for track in tracks if track.info.id == track_id)
        after = names.index(name) + 1
        end_ns = starts[names[after]] if after < len(names) else None
        # All that the window has of the track in the Period, and that to its start.
        from_ns, to_ns = each.start_ns + REACH_NS * (name != "0"), FOR_EVER_NS if end_ns is None else end_ns - REACH_NS
        inside = [span for span in track.media if span[1] > from_ns and span[0] < to_ns]
        assert each.times == inside[len(inside) - len(each.times) :]
        if each.start_ns > first_ns and name != "0":
            assert each.times[0][0] <= each.start_ns + REACH_NS, "it starts with its Period"
        if end_ns is not None and (names[after], track_id) in found:
            assert found[names[after], track_id].group == each.group, "its set keeps its name"


def nothing_moves(before: dict[tuple[str, str], Listed], now: dict[tuple[str, str], Listed], window_s: int) -> None:
    # Pictures may end where the window begins, and their sound, which goes on for half a frame, keep the Period.
    window_ns = max(each.times[-1][1] for each in now.values()) - window_s * NS
    for key, was in before.items():
        each = now.get(key)
        if each is None:
            assert not was.times or was.times[-1][1] <= window_ns + REACH_NS, "what is listed stays until it has left the window"
            continue
        assert (each.start_ns, each.group, each.offset, each.continues) == (was.start_ns, was.group, was.offset, was.continues)
        kept = [span for span in was.times if span[0] >= each.times[0][0]]
        assert each.times[: len(kept)] == kept
        assert len(each.times) == len(kept) or key[0] == list(dict.fromkeys(period for period, _ in before))[-1]
    known = {period for period, _ in before}
    for period, track in now.keys() - before.keys():
        assert period not in known or period == "0", f"{track} joins a Period that was listed without it"


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32))
@example(47)
@example(172968)
def test_each_period_is_covered_by_what_it_lists_and_stays(seed: int) -> None:
    draw = Random(seed)
    slots, window_s = 60, draw.choice([40, 1000])
    tracks = channel(draw, slots)
    ledger, replayed = Ledger(), Ledger()
    for each in (ledger, replayed):
        each.begin_file(1)
        for record in beginning(tracks):
            each.apply(record)
    file, began = 1, [1]
    before: dict[tuple[str, str], Listed] = {}
    for slot in range(1, slots):
        if not any(track.there[slot] for track in tracks):
            # A hole in everything would be a period of its own.
            return
        fresh: list[JournalRecord] = []
        if draw.random() < 0.2:
            file += 1
            fresh = list(blobs(tracks, file))
            snapshot = ledger.snapshot()
            ledger.begin_file(file)
            # Another process goes on from the file alone.
            replayed = Ledger()
            replayed.begin_file(file)
            replayed.apply(snapshot)
            began.append(slot)
            while len(began) > 1 and began[1] < slot - window_s // SLOT_S - 3:
                ledger.forget_file()
                began.pop(0)
        for record in (*fresh, *records(tracks, slot, file)):
            ledger.apply(record)
            replayed.apply(record)
        # Forgetting a file is a version of its own.
        assert replace(replayed.snapshot(), version=0) == replace(ledger.snapshot(), version=0)
        now = mpd(ledger, window_s)
        first_ns = min(each.times[0][0] for each in now.values())
        covers_whole_periods(now, tracks, first_ns)
        nothing_moves(before, now, window_s)
        before = now


def test_a_layer_that_joins_is_there_at_once_and_one_that_left_is_not_long_listed() -> None:
    tracks = channel(Random(0), 40)[:0]
    for number, there in ((1, range(1, 40)), (2, range(5, 40)), (3, range(1, 20))):
        made = Made(TrackInfo(f"v{number}", number, "video", 90_000, 1_000_000 * number), avc(320 * number, 180 * number))
        made.there = [slot in there for slot in range(40)]
        tracks.append(made)
    ledger = Ledger()
    ledger.begin_file(1)
    for record in beginning(tracks):
        ledger.apply(record)
    for slot in range(1, 40):
        for record in records(tracks, slot):
            ledger.apply(record)
        if slot == 5:
            assert list(mpd(ledger, 1000)) == [("0", "v1"), ("0", "v3"), ("0.1", "v1"), ("0.1", "v2"), ("0.1", "v3")]
    found = mpd(ledger, 1000)
    assert list(dict.fromkeys(period for period, _ in found)) == ["0", "0.1", "0.2"]
    assert {track for period, track in found if period == "0.2"} == {"v1", "v2"}
    gone_s = (found["0.2", "v1"].start_ns - 20 * SLOT_S * NS) / NS
    assert GONE_NS / NS < gone_s <= GONE_NS / NS + 3 * SLOT_S
    assert {each.continues for each in found.values() if each.period == "0.2"} == {"0.1"}


def test_a_layer_that_comes_and_goes_does_not_fill_the_manifest() -> None:
    steady = Made(TrackInfo("v1", 1, "video", 90_000, 1_000_000), avc(320, 180), there=[True] * 1800)
    flapping = Made(TrackInfo("v2", 2, "video", 90_000, 2_000_000), avc(640, 360), there=[slot % 30 < 20 for slot in range(1800)])
    ledger = Ledger()
    ledger.begin_file(1)
    for record in beginning([steady, flapping]):
        ledger.apply(record)
    for slot in range(1, 1800):
        for record in records([steady, flapping], slot):
            ledger.apply(record)
    assert len(ledger.periods) <= 6


def test_sound_that_begins_up_to_an_interval_before_the_first_key_frame_has_no_part_of_its_own() -> None:
    pictures = Made(TrackInfo("v1", 2, "video", 90_000, 1_000_000), avc(320, 180))
    sound = Made(TrackInfo("sound", 1, "audio", 48_000, 128_000), aac())
    # In milliseconds: RTMP sends sound from the first moment, pictures from their key frame on; all of it is published at once.
    rows = [Row(1, at * 48, length * 48, 0, flags) for at, length, flags in ((50, 1950, FLAG_OPENS | FLAG_SYNC), (2000, 2000, FLAG_SYNC))]
    rows.append(Row(2, 2000 * 90, 2000 * 90, 0, FLAG_OPENS | FLAG_SYNC))
    ledger = Ledger()
    ledger.begin_file(1)
    made: list[JournalRecord] = []
    for track in (sound, pictures):
        made += [TrackAdded(track.info), ConfigAdded(track.info.number, 1, track.config)]
    made += [Anchored(NOON_NS), Measured(SLOT_S * NS, 3, 6), *blobs([sound, pictures], 1), PeriodOpened(0, 50 * NS // 1000)]
    made += [FragmentWritten(row.track, row.time, row.duration, 100 + row.track, 0, 1000, 1, FLAG_SYNC, 0, 50) for row in rows]
    for record in [*made, Published(tuple(rows))]:
        ledger.apply(record)
    found = mpd(ledger, 1000)
    assert list(found) == [("0", "v1"), ("0", "sound")]
    assert [len(each.times) for each in found.values()] == [1, 2]
