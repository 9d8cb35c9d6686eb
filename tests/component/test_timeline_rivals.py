"""Two encoders that are not synchronised: what is shown is of one of them, all of it, until it fails; never a mixture."""

from __future__ import annotations

import random
from itertools import groupby, pairwise
from typing import Any

import pytest

from pypackager.model.records import FLAG_GAP, FLAG_PERIOD
from tests.helpers.timeline_rig import Chunk, Header, Rig, audio_header

SCALES = {1: 90_000, 2: 90_000, 3: 48_000}
HEADERS = [
    Header(1, "video", name="high", bitrate=2000),
    Header(2, "video", name="low", bitrate=1000),
    audio_header(3, name="a", bitrate=1000),
]
SIZES = {"primary": 1000, "secondary": 2000}
GOP_S = 2.0


class Encoder:
    """An encoder on one side, with a clock and a GOP grid of its own.

    Args:
        side: where it pushes.
        start_s: when it starts.
        origin_s: what it calls that.
        ends_s: when it is gone.
        silent: whether its connection stays open then.
        tracks: that it sends.
        sound_s: how much later its sound's fragments begin than its pictures'.
    """

    def __init__(
        self,
        side: str,
        start_s: float,
        origin_s: float,
        ends_s: float = 1e9,
        *,
        silent: bool = False,
        tracks: tuple[int, ...] = (1, 2, 3),
        sound_s: float = 0,
    ) -> None:
        self.sound_s = sound_s
        self.side, self.start_s, self.origin_s, self.ends_s, self.silent, self.tracks = side, start_s, origin_s, ends_s, silent, tracks
        self.conn = -1

    def chunk(self, track: int, number: int) -> Chunk:
        scale = SCALES[track]
        late_s = self.sound_s if track == 3 else 0
        begin, end = (round((self.origin_s + GOP_S * n + late_s) * scale) for n in (number, number + 1))
        return Chunk(track, begin, end - begin, scale, size=SIZES[self.side])


def run(rig: Rig, encoders: list[Encoder], until_s: float, seed: int | None = None) -> Rig:
    """Sends what each encoder has, when it has ended, with some jitter."""
    chance = random.Random(str(seed))
    events: list[tuple[float, int, int]] = []
    for which, encoder in enumerate(encoders):
        number = 0
        events.append((encoder.start_s, which, -2))
        while (at_s := encoder.start_s + GOP_S * (number + 1)) < min(until_s, encoder.ends_s):
            late_s = chance.random() if seed is not None else 0
            if at_s + late_s < encoder.ends_s:
                events.append((at_s + late_s, which, number))
            number += 1
        if encoder.ends_s < until_s:
            events.append((encoder.ends_s, which, -1))
    now_s = 0.0
    for at_s, which, number in sorted(events):
        encoder = encoders[which]
        rig.wait(max(0.0, at_s - now_s))
        now_s = max(now_s, at_s)
        if number == -1:
            if not encoder.silent:
                rig.disconnect(encoder.conn)
            continue
        if number == -2:
            if rig.timeline.options.protocol == "rtmp":
                encoder.tracks = (1, 3)
            encoder.conn = rig.connect([h for h in HEADERS if h.number in encoder.tracks], side=encoder.side)
            if rig.timeline.options.protocol == "rtmp":
                rig.timeline.place(encoder.conn, round(encoder.origin_s * 1000), 1000, rig.now)
            continue
        tracks = list(encoder.tracks)
        chance.shuffle(tracks)
        for track in tracks:
            rig.send(encoder.conn, encoder.chunk(track, number))
    rig.wait(15)
    return rig


def shown(rig: Rig, track: str) -> list[tuple[str, int]]:
    """Whose fragments are listed, and how many in a row."""
    rows = [row for row in rig.rows(track) if not row.flags & FLAG_GAP]
    whose = {size + 100: side for side, size in SIZES.items()}
    sides = [whose[rig.store.fragments[row.track, row.time].size] for row in rows]
    return [(side, len(list(group))) for side, group in groupby(sides)]


def names(rig: Rig) -> list[str]:
    """All tracks, the reference first."""
    return [info.id for info in sorted(rig.store.tracks, key=lambda info: info.number)]


def sides(rig: Rig) -> list[str]:
    """Whose turn it was, which is the same for all tracks."""
    turns = {tuple(side for side, _ in shown(rig, track)) for track in names(rig)}
    assert len(turns) == 1, turns
    return list(turns.pop())


def assert_true(rig: Rig, switches: int, missing_s: float = 0) -> None:
    """Periods at every switch and nowhere else, gaps told, and no more lost at a switch than one GOP and what was due."""
    for track in names(rig):
        rows = rig.rows(track)
        scale = next(info.timescale for info in rig.store.tracks if info.id == track)
        assert sum(bool(row.flags & FLAG_PERIOD) for row in rows) == 1 + switches, track
        for before, after in pairwise(rows):
            hole_s = (after.time - before.time - before.duration) / scale
            assert -0.05 <= hole_s <= (0.05 if not after.flags & FLAG_PERIOD else 2 * GOP_S + missing_s), (track, hole_s)
        assert sum(row.duration for row in rows if row.flags & FLAG_GAP) / scale <= GOP_S * switches


KINDS: dict[str, tuple[dict[str, Any], float, float, float]] = {
    "from zero, a minute apart": ({}, 0, 73.3, 0),
    "from zero, two minutes apart": ({}, 0, 131.9, 0),
    "another epoch": ({}, 1000, 20.7, 50_000),
    "one epoch, another grid": ({}, 1_790_000_000, 10.7, 1_790_000_010.7),
    "rtmp": ({"protocol": "rtmp", "mode": "utc"}, 0, 10.7, 0),
    "rtmp, another origin": ({"protocol": "rtmp", "mode": "utc"}, 0, 20.3, 600),
}
"""Options, the first one's origin, start and origin of the second one."""


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> tuple[dict[str, Any], float, float, float]:
    return KINDS[request.param]


@pytest.mark.parametrize("seed", [None, 1, 2, 3, 4, 5])
def test_the_first_one_is_shown_alone_as_long_as_it_delivers(kind: tuple[dict[str, Any], float, float, float], seed: int | None) -> None:
    options, one, start_s, other = kind
    rig = run(Rig(**options), [Encoder("primary", 0, one), Encoder("secondary", start_s, other)], start_s + 60, seed)
    assert sides(rig) == ["primary"]
    assert_true(rig, 0)
    assert "ENCODERS_OUT_OF_SYNC" in rig.codes()
    assert not {"TRACK_GAP", "DISCONTINUITY"} & set(rig.codes())


@pytest.mark.parametrize("silent", [False, True], ids=["gone", "half-open"])
@pytest.mark.parametrize("seed", [None, 1, 2, 3])
def test_when_it_fails_the_other_goes_on_with_a_period(
    kind: tuple[dict[str, Any], float, float, float], seed: int | None, silent: bool
) -> None:
    options, one, start_s, other = kind
    first = Encoder("primary", 0, one, start_s + 31, silent=silent)
    rig = run(Rig(**options), [first, Encoder("secondary", start_s, other)], start_s + 90, seed)
    assert sides(rig) == ["primary", "secondary"]
    # Half-open ones are found out after five seconds.
    assert_true(rig, 1, 8 if silent else 2)
    lost_s = 60 - sum(count for side, count in shown(rig, names(rig)[0]) if side == "secondary") * GOP_S
    assert lost_s <= (11 if silent else 6)
    # It is over: nothing is told of it any more.
    at = len(rig.alerts)
    rig.wait(60)
    assert "ENCODERS_OUT_OF_SYNC" not in [code for code, _ in rig.alerts[at:]]


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("sound_s", [-0.02, 0.005, 0.02])
def test_sound_goes_with_the_key_frame_and_what_lies_before_it_does_not(
    kind: tuple[dict[str, Any], float, float, float], sound_s: float, seed: int
) -> None:
    """Sound is cut a frame beside the pictures: what reaches a few milliseconds over the key frame is of the fragment before."""
    options, one, start_s, other = kind
    first = Encoder("primary", 0, one, start_s + 31, silent=True)
    rig = run(Rig(**options), [first, Encoder("secondary", start_s, other, sound_s=sound_s)], start_s + 90, seed)
    assert_true(rig, 1, 8)
    turns = [next(row.time / info.timescale for row in rig.rows(info.id)[1:] if row.flags & FLAG_PERIOD) for info in rig.store.tracks]
    assert max(turns) - min(turns) < 0.1


@pytest.mark.parametrize("prefer", [True, False])
def test_it_is_gone_back_to_if_the_operator_prefers_it(kind: tuple[dict[str, Any], float, float, float], prefer: bool) -> None:
    options, one, start_s, other = kind
    first = Encoder("primary", 0, one, start_s + 31)
    back_s = start_s + 50.3
    epoch = one > 1e9
    again = Encoder("primary", back_s, one + back_s if epoch else one)
    rig = run(Rig(prefer_primary=prefer, **options), [first, Encoder("secondary", start_s, other), again], back_s + 60)
    assert sides(rig) == (["primary", "secondary", "primary"] if prefer else ["primary", "secondary"])
    assert_true(rig, 2 if prefer else 1, 4)
    if prefer:
        # Of two that count from zero it shows after a few seconds only that they are not one.
        assert 42 <= shown(rig, names(rig)[0])[-1][1] * GOP_S <= 56


def test_the_preferred_one_is_gone_back_to_when_it_came_later() -> None:
    rig = run(Rig(prefer_primary=True), [Encoder("secondary", 0, 0), Encoder("primary", 73.3, 0)], 130)
    assert sides(rig) == ["secondary", "primary"]
    assert_true(rig, 1, 2)


def test_one_that_comes_and_goes_is_not_gone_back_to() -> None:
    flaky = [Encoder("primary", start_s, 0, start_s + 4.5) for start_s in range(100, 200, 10)]
    rig = run(Rig(prefer_primary=True), [Encoder("secondary", 0, 0), *flaky], 200)
    assert sides(rig) == ["secondary"]
    assert_true(rig, 0)


def test_of_one_that_comes_and_goes_no_more_is_kept_than_of_its_connection() -> None:
    flaky = [Encoder("secondary", start_s, 0, start_s + 8.5) for start_s in range(100, 300, 10)]
    rig = run(Rig(), [Encoder("primary", 0, 0), *flaky], 300)
    assert sides(rig) == ["primary"]
    kept = [conn for clock in rig.timeline.clocks.all for conn, _ in clock.sounds]
    assert len(kept) <= 1, kept


def test_when_they_agree_again_the_other_is_a_spare_again() -> None:
    epoch = 1_790_000_000
    first = Encoder("primary", 0, epoch, 90)
    wrong = Encoder("secondary", 10.7, epoch + 10.7, 40)
    right = Encoder("secondary", 50, epoch + 50)
    rig = run(Rig(), [first, wrong, right], 140)
    assert_true(rig, 0)
    assert sides(rig) == ["primary", "secondary"], "the second half is of the spare, and nobody sees where it begins"
    for track in names(rig):
        assert not any(row.flags & FLAG_GAP for row in rig.rows(track))
    assert rig.codes() == ["ENCODERS_OUT_OF_SYNC"]


def test_sound_of_one_and_pictures_of_another_are_no_rivals() -> None:
    rig = run(Rig(), [Encoder("primary", 0, 1000, tracks=(1, 2)), Encoder("secondary", 0.5, 50_000, tracks=(3,))], 60)
    assert all(len(rig.rows(track)) > 25 for track in names(rig))
    assert "ENCODERS_OUT_OF_SYNC" not in rig.codes()


@pytest.mark.parametrize("shift_s", [0.0, 0.7])
def test_sound_alone_of_two_encoders(shift_s: float) -> None:
    rig = Rig()
    conns = [rig.connect([audio_header(1, name="a")], side=side) for side in SIZES]
    for slot in range(30):
        rig.wait(2)
        for conn, (side, size) in zip(conns, SIZES.items(), strict=True):
            late_s = shift_s if side == "secondary" else 0
            # The first one loses every fifth.
            if side == "secondary" or shift_s or slot % 5:
                rig.send(conn, Chunk(1, round((100 + 2 * slot + late_s) * 48_000), 96_000, 48_000, size=size))
    rig.wait(10)
    assert_true(rig, 0)
    assert [count for side, count in shown(rig, "a") if side == "secondary"] == ([] if shift_s else [1] * 6)
    assert ("ENCODERS_OUT_OF_SYNC" in rig.codes()) == bool(shift_s)


@pytest.mark.parametrize("wrong_s", [0.7, 1.5, 2.5])
def test_one_fragment_that_does_not_agree_makes_no_rival(wrong_s: float) -> None:
    """However many layers it does not agree in."""
    rig = Rig()
    conns = [rig.connect(HEADERS, side=side) for side in SIZES]
    for slot in range(20):
        rig.wait(2)
        for conn, side in zip(conns, SIZES, strict=True):
            length_s = wrong_s if slot % 5 == 4 and side == "secondary" else 2
            for track, scale in SCALES.items():
                rig.send(conn, Chunk(track, (100 + 2 * slot) * scale, int(length_s * scale), scale, size=SIZES[side]))
    rig.disconnect(conns[0])
    for slot in range(20, 24):
        rig.wait(2)
        for track, scale in SCALES.items():
            rig.send(conns[1], Chunk(track, (100 + 2 * slot) * scale, 2 * scale, scale, size=2000))
    rig.wait(10)
    assert_true(rig, 0)
    assert all(len(rig.rows(track)) == 24 for track in names(rig))
    told = [detail for code, detail in rig.alerts if code == "ENCODERS_OUT_OF_SYNC"]
    assert len(told) == 4 * sum(info.kind == "video" for info in rig.store.tracks), "each of them, and nothing else"
    assert all("does not agree with what another source sent" in detail for detail in told)


@pytest.mark.parametrize("seen_s", [0.0, 0.2])
@pytest.mark.parametrize("at_s", [0.3, 1.04, 1.7])
def test_what_an_encoder_left_when_it_was_stopped_in_order_comes_whole_from_the_other(at_s: float, seen_s: float) -> None:
    """Its last fragment ends within the GOP, whole in itself; that its body has ended shows with it or a moment later."""
    rig = Rig()
    first, other = (rig.connect(HEADERS, side=side) for side in SIZES)
    for start_s in range(100, 110, 2):
        rig.wait(2)
        for conn in (first, other):
            send_all(rig, conn, start_s, 2)
    rig.wait(at_s)
    send_all(rig, first, 110, at_s)
    rig.wait(seen_s)
    rig.timeline.complete(first, rig.now)
    rig.disconnect(first)
    for start_s in (110, 112):
        rig.wait(2 - (at_s + seen_s if start_s == 110 else 0))
        send_all(rig, other, start_s, 2)
    rig.wait(6)
    assert_true(rig, 0)
    assert rig.codes() == []
    for track in names(rig):
        rows = [row for row in rig.rows(track) if not row.flags & FLAG_GAP]
        assert all(before.time + before.duration == after.time for before, after in pairwise(rows)), track
        assert len({row.flags & FLAG_GAP for row in rig.rows(track)}) == 1, track


def test_short_gops_of_two_that_agree_are_listed_with_the_next() -> None:
    """Scene cuts: nobody waits longer than for what might continue them, since another source has said the same."""
    rig = Rig()
    conns = [rig.connect(HEADERS, side=side) for side in SIZES]
    at_s = 100.0
    for length_s in (2, 2, 2, 1, 2, 0.5, 2, 2):
        rig.wait(length_s)
        for conn in conns:
            send_all(rig, conn, at_s, length_s)
        at_s += length_s
        rig.wait(0)
        if length_s == 2:
            assert max(row.time + row.duration for row in rig.rows(names(rig)[0])) == at_s * 90_000


def send_all(rig: Rig, conn: int, start_s: float, length_s: float) -> None:
    """A fragment of each track."""
    for track, scale in SCALES.items():
        rig.send(conn, Chunk(track, int(start_s * scale), int(length_s * scale), scale, size=1000))
