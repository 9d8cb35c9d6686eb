"""Files that no window needs go; what waits in them stays."""

from __future__ import annotations

from pypackager.dvr import journal
from pypackager.dvr.recovery import JOURNALS
from pypackager.dvr.rollover import ROLL_NS
from tests.helpers.dvr import AUDIO, SECOND, VIDEO, Channel, data_of, journals, media

HOUR = 3600 * SECOND


def test_trimming_drops_whole_files_and_keeps_what_waits_in_them(channel: Channel) -> None:
    channel.run(0, 6)
    channel.write(6)
    channel.settle()
    channel.store.roll(ROLL_NS)
    channel.list(6)
    channel.settle()
    channel.run(7, 9)
    assert channel.store.trim(6 * SECOND + 1) == 0
    old = channel.store.presentation("p", HOUR)
    # Six rows (12 s) of eighteen seconds are in the first file; the last of them ends 6 s before the edge.
    assert channel.store.trim(6 * SECOND) == 1
    assert journals(channel) == [2]
    assert "video-1/000001.cmfv" in media(channel)
    assert data_of(channel.store, 1) == [(i * 180_000, bytes([i, 1]) * 50) for i in range(6, 9)]
    assert [(t.first, len(t.time), int(t.segment[0])) for t in channel.store.presentation("p", HOUR).tracks] == [(6, 3, 2)] * 2
    assert [len(t.time) for t in old.tracks] == [9, 9]
    assert 1 in old.blob_paths
    channel.store.roll(2 * ROLL_NS)
    channel.run(9, 12)
    assert channel.store.trim(6 * SECOND) == 1
    assert media(channel) == {"video-1/000005.cmfv", "audio-1/000006.cmfa"}
    channel.kill()
    assert [(t.first, len(t.time)) for t in channel.store.presentation("p", HOUR).tracks] == [(9, 3), (9, 3)]


def test_a_fragment_that_waits_keeps_its_blob(channel: Channel) -> None:
    channel.write(9, tracks=(AUDIO,))
    for turn in range(3):
        for index in range(turn * 3, turn * 3 + 3):
            channel.write(index, tracks=(VIDEO,))
            channel.list(index, tracks=(VIDEO,))
        channel.settle()
        channel.store.roll((turn + 1) * ROLL_NS)
    channel.settle()
    assert channel.store.trim(0) == 3
    channel.kill()
    assert channel.store.report.lost == []
    channel.list(9, tracks=(AUDIO,))
    channel.settle()
    assert data_of(channel.store, 2) == [(9 * 96_000, bytes([9, 2]) * 50)]


def test_a_killed_trim_is_finished_by_the_next_start(channel: Channel) -> None:
    channel.run(0, 3)
    channel.store.roll(ROLL_NS)
    channel.run(3, 6)
    (channel.directory / JOURNALS / journal.file_name(1)).unlink()
    channel.kill()
    assert (channel.store.report.orphans, channel.store.report.lost) == (2, [])
    assert len(media(channel)) == 2
    assert len(data_of(channel.store, 1)) == 3
