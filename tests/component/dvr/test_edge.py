"""Rows come faster than the writer answers: they are written together, stay in order, and what waits is counted."""

from __future__ import annotations

import errno

import pytest

from pypackager.dvr import edge
from pypackager.dvr.outgoing import ENTRY_BYTES
from pypackager.dvr.recovery import Replay
from pypackager.dvr.rollover import ROLL_NS
from pypackager.model.records import FragmentWritten, Measured, PeriodOpened, Published
from tests.helpers.dvr import SECOND, Channel, by_kind, content, data_of, journals

MANY = 200
PROBE = Measured(2 * SECOND, 3, 6)


def turn(channel: Channel) -> int:
    """The writer does what it has, and the store hears of it, as at one wake-up of the daemon; returns how many records were judged."""
    channel.writer.step()
    return sum(len(channel.store.finished(ticket, error)) for ticket, error in channel.writer.done())


def put(channel: Channel, first: int, last: int) -> None:
    """Puts and publishes fragments, and lets nobody write."""
    for index in range(first, last):
        channel.write(index)
        channel.list(index)


def test_rows_that_came_while_the_disk_wrote_are_the_next_write(channel: Channel) -> None:
    """An answer comes every 10 ms: a row at a time is less than an encoder may send that is not held back."""
    put(channel, 0, MANY)
    turns = [turn(channel), turn(channel)]
    assert channel.store.settled(channel.store.newest), turns
    assert [time for time, _ in data_of(channel.store, 1)] == [index * 180_000 for index in range(MANY)]
    assert content(Replay(channel.directory).ledger) == content(channel.store.ledger)


def test_files_turn_over_behind_a_long_line_within_two_answers(channel: Channel) -> None:
    put(channel, 0, MANY)
    channel.store.roll(ROLL_NS)
    channel.write(MANY)
    newest = channel.store.newest
    turn(channel)
    assert journals(channel) == [1]
    turn(channel)
    assert journals(channel) == [1, 2]
    turn(channel)
    assert channel.store.settled(newest)
    assert len(data_of(channel.store, 1)) == MANY


def test_rows_that_failed_together_are_tried_again_with_the_first_alone(channel: Channel) -> None:
    channel.run(0, 1)
    for index in range(1, 5):
        channel.write(index)
    channel.settle()
    channel.store.open_period(2 * SECOND)
    for index in range(1, 5):
        channel.list(index)
    # The period finds room, what waits behind it does not, but its first row would.
    channel.writer.step(1)
    channel.writer.room = 60
    said = channel.settle()
    assert [(c.errno, type(c.record)) for c in said] == [(0, PeriodOpened), (errno.ENOSPC, Published)]
    channel.store.retry()
    said = channel.settle()
    assert [c.errno for c in by_kind(said, Published)] == [0, errno.ENOSPC]
    assert [time for time, _ in data_of(channel.store, 1)] == [0, 180_000]
    channel.writer.room = 1 << 60
    channel.store.retry()
    assert all(c.fine for c in channel.settle())
    assert [time for time, _ in data_of(channel.store, 1)] == [index * 180_000 for index in range(5)]
    assert content(Replay(channel.directory).ledger) == content(channel.store.ledger)


def test_of_rows_that_were_written_together_a_killed_process_leaves_the_first_ones(channel: Channel) -> None:
    channel.run(0, 1)
    for index in range(1, 5):
        channel.write(index)
    channel.settle()
    for index in range(1, 5):
        channel.list(index)
    channel.writer.step(1)
    for ticket, error in channel.writer.done():
        channel.store.finished(ticket, error)
    channel.kill(torn=100)
    assert 0 < channel.store.report.cut_bytes < 100
    times = [time for time, _ in data_of(channel.store, 1)]
    assert 2 < len(times) < 5
    assert times == [index * 180_000 for index in range(len(times))]


@pytest.mark.parametrize("turning", [False, True])
def test_what_waits_is_counted_until_it_is_answered(channel: Channel, *, turning: bool) -> None:
    channel.run(0, 1)
    assert channel.store.memory == 0
    if turning:
        channel.store.append(PROBE)
        channel.store.roll(ROLL_NS)
    before = channel.store.memory
    channel.write(1, size=50_000)
    channel.list(1)
    grown = channel.store.memory - before
    if turning:
        # No media is with the writer before the files have turned.
        assert grown > 100_000
    else:
        assert 2 * ENTRY_BYTES + 2 * edge.ROW_BYTES <= grown < 10_000
    assert all(c.fine for c in by_kind(channel.settle(), FragmentWritten))
    assert channel.store.memory == 0
