"""Who is waited for at the published edge: sound that always comes a moment behind its pictures, as that of every RTMP encoder does."""

from __future__ import annotations

from collections.abc import Collection
from math import ceil

import pytest

from pypackager.model.records import FLAG_GAP
from tests.helpers.timeline_rig import Chunk, Header, Rig, audio_header

BASE = 1_790_000_000
"""Second at which the pictures begin, on a frame of sound."""
FRAME = 1024
PICTURES, SOUND = 90_000, 48_000


def first_frame(second: float) -> int:
    """The first frame of sound that starts no earlier."""
    return ceil(round((BASE + second) * SOUND, 3) / FRAME)


def sound(begin: float, end: float) -> Chunk:
    first, last = first_frame(begin), first_frame(end)
    return Chunk(2, first * FRAME, (last - first) * FRAME, timescale=SOUND, samples=last - first)


def played(behind: float, lead: float, slots: int, *, silent: Collection[int] = ()) -> Rig:
    """So many fragments of two seconds of an encoder over RTMP.

    Args:
        behind: by how many seconds sound comes later than its pictures.
        lead: when the sound from before the first picture came.
        slots: how many.
        silent: those without sound.
    """
    rig = Rig("rtmp")
    conns = [rig.connect([header], stream=header.kind) for header in (Header(1, "video"), audio_header(2, frame_ticks=FRAME))]
    for conn in conns:
        rig.timeline.place(conn, BASE * 1000, 1000, rig.now)
    began = rig.now.mono_ns
    sent = [(lead, 1, sound(-1.8, -0.256)), (lead + 0.01, 1, sound(-0.256, 0))]
    for slot in range(slots):
        begin = 2 * slot
        sent.append((begin + 2.03, 0, Chunk(1, (BASE + begin) * PICTURES, 2 * PICTURES)))
        if slot not in silent:
            sent.append((begin + 2.03 + behind, 1, sound(begin, begin + 2)))
    for at, kind, chunk in sorted(sent, key=lambda one: one[0]):
        rig.wait(at - (rig.now.mono_ns - began) / 1e9)
        rig.send(conns[kind], chunk)
    rig.wait(0.1)
    return rig


@pytest.mark.parametrize("behind", [-0.4, -0.01, 0.0, 0.01, 0.4])
@pytest.mark.parametrize("lead", [-1.0, 0.02, 0.03])
def test_sound_behind_its_pictures_is_never_late(behind: float, lead: float) -> None:
    """What came before the first picture is no reason to think that the sound to the picture is late."""
    rig = played(behind, lead, 8)
    rows = rig.rows("audio")
    assert not any(row.flags & FLAG_GAP for row in rows)
    assert rows[-1].time + rows[-1].duration == first_frame(16) * FRAME, "the last slot has its sound"
    line = rig.timeline.lines["audio"]
    assert (line.misses, line.late) == (0, False)


@pytest.mark.parametrize("behind", [0.01, 0.3])
def test_sound_that_stalled_again_and_again_is_back_at_once(behind: float) -> None:
    """It missed several deadlines, so it has to be in time for a while; whoever is not waited for at all can never be."""
    silent = {4, 5, 8, 9, 12, 13, 16, 17}
    rig = played(behind, 0.02, 30, silent=silent)
    gaps = [row for row in rig.rows("audio") if row.flags & FLAG_GAP]
    lost = {round(row.time / SOUND - BASE) // 2 for row in gaps}
    # The first one behind a stall shows that it is back.
    assert lost <= silent | {slot + 1 for slot in silent}
    assert all(not row.time % FRAME and not row.duration % FRAME for row in gaps), "gaps of sound are of whole frames"
    assert not rig.timeline.lines["audio"].late
