"""Timescales that differ between tracks and between the encoders of one channel: exact rows, one order, no hole, no overlap, nothing twice.

Encoder A says its times in one set of timescales (10 MHz, as `tfxd` of Smooth encoders), B in another (90 kHz, as CMAF ones), each
rounded as its units demand. The media is the same; what a fragment is, frames say.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

from hypothesis import example, given, settings
from hypothesis import strategies as st

from pypackager.model.records import FLAG_GAP
from pypackager.timeline.times import rescale
from tests.helpers.timeline_rig import Chunk, Header, Rig, audio_header

GOPS = 30
RATES = [Fraction(30_000, 1001), Fraction(60_000, 1001), Fraction(25), Fraction(24_000, 1001), Fraction(50)]
SCALES = [10_000_000, 90_000, 30_000, 60_000, 1000, 48_000]
EXACT = {rate: [scale for scale in SCALES if (scale / rate).denominator == 1] for rate in RATES}
"""In which no frame has to be rounded."""
EPOCH = 1_790_000_000


class Media(NamedTuple):
    """What both encoders send."""

    rate: Fraction
    """Of the pictures of all layers."""
    frames: int
    """Of a GOP."""
    sound: int
    """Samples a second."""
    begin_s: int

    def picture(self, gop: int) -> Fraction:
        """Where a GOP starts, in seconds."""
        return self.begin_s + gop * self.frames / self.rate

    def tone(self, gop: int) -> Fraction:
        """Where the sound of a GOP starts: with the first whole frame behind its border."""
        frame = Fraction(1024, self.sound)
        return self.begin_s + -((self.begin_s - self.picture(gop)) // frame) * frame


class Encoder(NamedTuple):
    """How an encoder says it."""

    pictures: int
    """Timescale of the layers."""
    low: int
    """And of the last of them."""
    sound: int


def ticks(seconds: Fraction, scale: int) -> int:
    """The nearest tick, halves up: nobody rounds an end otherwise than the start behind it."""
    return (2 * seconds.numerator * scale + seconds.denominator) // (2 * seconds.denominator)


def headers(media: Media, encoder: Encoder) -> list[Header]:
    names = {1: ("high", encoder.pictures), 2: ("low", encoder.low)}
    layers = [Header(n, "video", timescale=scale, stored_timescale=90_000, name=name) for n, (name, scale) in names.items()]
    return [*layers, audio_header(3, name="a", timescale=encoder.sound, stored_timescale=media.sound, frame_ticks=1024)]


def chunks(media: Media, encoder: Encoder, gop: int) -> list[Chunk]:
    found: list[Chunk] = []
    for number, scale in ((1, encoder.pictures), (2, encoder.low), (3, encoder.sound)):
        place = media.tone if number == 3 else media.picture
        begin, end = ticks(place(gop), scale), ticks(place(gop + 1), scale)
        found.append(Chunk(number, begin, end - begin, scale, samples=media.frames))
    return found


@st.composite
def cases(draw: st.DrawFn) -> tuple[Media, Encoder, Encoder]:
    rate = draw(st.sampled_from(RATES))
    sound = draw(st.sampled_from([44_100, 48_000]))
    media = Media(rate, draw(st.sampled_from([48, 50, 60, 120])), sound, draw(st.sampled_from([100, 5000, EPOCH])))
    scales = st.sampled_from(SCALES)
    one, other = (Encoder(draw(scales), draw(scales), draw(st.sampled_from([*SCALES, sound]))) for _ in range(2))
    return media, one, other


def assert_exact(rig: Rig, media: Media, senders: Sequence[Encoder], gops: range) -> None:
    """Every row is where the media is, to what the coarsest sender rounds; neighbours join; all layers have the same segments."""
    for info in rig.store.tracks:
        rows, scale = rig.rows(info.id), info.timescale
        assert len(rows) == len(gops), info.id
        assert not any(row.flags & FLAG_GAP for row in rows)
        place = media.tone if info.kind == "audio" else media.picture
        said = [{"high": e.pictures, "low": e.low, "a": e.sound}[info.id] for e in senders]
        slack = max(Fraction(1, 2 * its) for its in said) + Fraction(1, 2 * scale)
        for row, gop in zip(rows, gops, strict=True):
            assert abs(Fraction(row.time, scale) - place(gop)) <= slack
            # What one sender says is what is stored, rounded once.
            assert row.time in {rescale(ticks(place(gop), its), its, scale) for its in said}
        for before, after in pairwise(rows):
            # A border that two senders round to different ticks may be off by what they differ.
            assert abs(after.time - before.time - before.duration) <= (0 if len(set(said)) == 1 else 2 * slack * scale)
    layers = [[row.segment for row in rig.rows(name)] for name in ("high", "low", "a")]
    assert layers[0] == layers[1] == layers[2]
    assert len(rig.store.periods) == 1
    assert not {"ENCODERS_OUT_OF_SYNC", "TIME_NOT_RISING", "TRACK_GAP", "GOPS_MISALIGNED"} & set(rig.codes())


@settings(max_examples=150, deadline=None)
@given(case=cases(), turns=st.lists(st.sampled_from(["both", "one", "other"]), min_size=GOPS, max_size=GOPS))
@example(
    (Media(RATES[0], 60, 44_100, EPOCH), Encoder(10_000_000, 10_000_000, 10_000_000), Encoder(90_000, 30_000, 44_100)), ["both"] * GOPS
)
@example((Media(RATES[1], 120, 48_000, EPOCH), Encoder(1000, 1000, 1000), Encoder(60_000, 90_000, 48_000)), ["one", "other"] * (GOPS // 2))
@example(
    (Media(RATES[0], 120, 44_100, 100), Encoder(*[10_000_000] * 3), Encoder(10_000_000, 90_000, 10_000_000)),
    ["both", "other"] * (GOPS // 2),
)
def test_two_encoders_that_say_the_same_media_in_other_units_are_one(case: tuple[Media, Encoder, Encoder], turns: Sequence[str]) -> None:
    media, *encoders = case
    rig = Rig()
    conns = [rig.connect(headers(media, encoder), side=side) for encoder, side in zip(encoders, ("primary", "secondary"), strict=True)]
    for gop, turn in enumerate(turns):
        rig.wait(float(media.frames / media.rate))
        for conn, encoder, name in zip(conns, encoders, ("one", "other"), strict=True):
            if turn in ("both", name):
                rig.send(conn, *chunks(media, encoder, gop))
    rig.wait(20)
    assert_exact(rig, media, encoders, range(GOPS))


@settings(max_examples=100, deadline=None)
@given(case=cases())
def test_one_encoder_is_stored_to_the_tick_whatever_its_units(case: tuple[Media, Encoder, Encoder]) -> None:
    media, encoder, _ = case
    rig = Rig()
    conn = rig.connect(headers(media, encoder))
    for gop in range(GOPS):
        rig.wait(float(media.frames / media.rate))
        rig.send(conn, *chunks(media, encoder, gop))
    rig.wait(20)
    assert_exact(rig, media, [encoder], range(GOPS))
    for name, scale in (("high", encoder.pictures), ("low", encoder.low)):
        if scale in EXACT[media.rate] and (90_000 / media.rate).denominator == 1:
            # Exact in, exact out.
            assert [Fraction(row.time, 90_000) for row in rig.rows(name)] == [media.picture(gop) for gop in range(GOPS)]


@settings(max_examples=60, deadline=None)
@given(case=cases(), resent=st.integers(0, 4))
def test_an_encoder_is_succeeded_by_one_with_other_units(case: tuple[Media, Encoder, Encoder], resent: int) -> None:
    media, one, other = case
    rig = Rig()
    conn = rig.connect(headers(media, one))
    for gop in range(GOPS // 2):
        rig.wait(float(media.frames / media.rate))
        rig.send(conn, *chunks(media, one, gop))
    rig.disconnect(conn)
    conn = rig.connect(headers(media, other), stream="another")
    for gop in range(GOPS // 2 - resent, GOPS):
        rig.wait(float(media.frames / media.rate) if gop >= GOPS // 2 else 0.05)
        rig.send(conn, *chunks(media, other, gop))
    rig.wait(20)
    assert_exact(rig, media, (one, other), range(GOPS))
