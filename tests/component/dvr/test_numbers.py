"""What calls reserve: times, rows, configurations and decisions are taken once, and come back."""

from __future__ import annotations

import pytest

from pypackager.dvr.ledger import KEPT_CLOCKS, KEPT_EVENTS
from pypackager.model.errors import PackagerError
from pypackager.model.records import (
    FLAG_GAP,
    FLAG_PARTIAL,
    FLAG_SYNC,
    Anchored,
    ClockPlaced,
    Event,
    Measured,
    PeriodOpened,
    Row,
)
from tests.helpers.dvr import SECOND, VIDEO, Channel, by_kind, config, data_of, fragment

HOUR = 3600 * SECOND


def test_a_time_is_used_once(channel: Channel) -> None:
    channel.run(0, 2)
    channel.write(2)
    for index in (0, 1, 2):
        with pytest.raises(PackagerError, match="TIME_USED"):
            channel.write(index)
    channel.settle()
    channel.kill()
    for index in (0, 1, 2):
        with pytest.raises(PackagerError, match="TIME_USED"):
            channel.write(index)


def test_a_partial_fragment_may_be_replaced_until_it_is_listed(channel: Channel) -> None:
    channel.store.put_fragment(1, fragment(0, 90_000, b"half"), 1, FLAG_SYNC | FLAG_PARTIAL)
    channel.settle()
    channel.store.put_fragment(1, fragment(0, 180_000, b"whole"), 1, FLAG_SYNC)
    channel.settle()
    channel.kill()
    channel.list(0, tracks=(VIDEO,))
    channel.settle()
    assert data_of(channel.store, 1) == [(0, b"whole")]


def test_a_partial_fragment_may_be_replaced_while_it_is_being_written(channel: Channel) -> None:
    half, whole = fragment(0, 90_000, b"half"), fragment(0, 180_000, b"whole")
    channel.store.put_fragment(1, half, 1, FLAG_SYNC | FLAG_PARTIAL)
    with pytest.raises(PackagerError, match="TIME_USED"):
        channel.store.put_fragment(1, half, 1, FLAG_SYNC | FLAG_PARTIAL)
    channel.store.put_fragment(1, whole, 1, FLAG_SYNC)
    for again in (FLAG_SYNC, FLAG_SYNC | FLAG_PARTIAL):
        with pytest.raises(PackagerError, match="TIME_USED"):
            channel.store.put_fragment(1, whole, 1, again)
    channel.list(0, tracks=(VIDEO,))
    channel.settle()
    assert data_of(channel.store, 1) == [(0, b"whole")]
    channel.kill()
    assert data_of(channel.store, 1) == [(0, b"whole")]


@pytest.mark.parametrize("settled", [True, False])
def test_a_shorter_fragment_may_be_replaced_until_it_is_listed(channel: Channel, *, settled: bool) -> None:
    for length in (90_000, 180_000):
        channel.store.put_fragment(1, fragment(0, length, b"%d" % length), 1, FLAG_SYNC)
        if settled:
            channel.settle()
        for other in (90_000, length):
            with pytest.raises(PackagerError, match="TIME_USED"):
                channel.store.put_fragment(1, fragment(0, other, b"no more"), 1, FLAG_SYNC)
    channel.list(0, tracks=(VIDEO,))
    channel.settle()
    with pytest.raises(PackagerError, match="TIME_USED"):
        channel.store.put_fragment(1, fragment(0, 270_000, b"too late"), 1, FLAG_SYNC)
    assert data_of(channel.store, 1) == [(0, b"180000")]


def test_the_edge_only_rises(channel: Channel) -> None:
    channel.run(0, 4)
    channel.write(4)
    with pytest.raises(PackagerError, match="EDGE_BACKWARDS"):
        channel.list(3)
    with pytest.raises(PackagerError, match="EDGE_BACKWARDS"):
        channel.store.publish([Row(1, 4 * 180_000, 180_000, 0, FLAG_SYNC)])
    with pytest.raises(PackagerError, match="FRAGMENT_UNKNOWN"):
        channel.list(5)
    with pytest.raises(PackagerError, match="TRACK_UNKNOWN"):
        channel.store.publish([Row(9, 0, 1, 0, FLAG_GAP)])
    with pytest.raises(PackagerError, match="CONFIG_UNKNOWN"):
        channel.store.put_fragment(1, fragment(5 * 180_000, 180_000, b"x"), 2, FLAG_SYNC)
    with pytest.raises(PackagerError, match="TRACK_EXISTS"):
        channel.store.add_track(VIDEO)


def test_a_configuration_is_recorded_once_and_gets_a_blob_of_its_own(channel: Channel) -> None:
    channel.run(0, 1)
    store = channel.store
    assert (store.add_config(1, config("a")), store.add_config(1, config("b")), store.add_config(1, config("b"))) == (1, 2, 2)
    store.put_fragment(1, fragment(180_000, 180_000, b"new"), 2, FLAG_SYNC)
    channel.list(1, tracks=(VIDEO,))
    channel.settle()
    channel.kill()
    assert channel.store.add_config(1, config("b")) == 2
    video = channel.store.presentation("p", HOUR).tracks[0]
    assert (video.config.tolist(), video.blob.tolist()) == ([1, 2], [1, 3])
    assert video.configs[2].init == b"INITb"
    assert (channel.directory / "blobs/video-1/000003.cmfv").read_bytes() == b"INITbnew"


def test_decisions_come_back(channel: Channel) -> None:
    store = channel.store
    store.append(Anchored(123))
    store.append(Measured(2 * SECOND, 3, 6))
    for number in range(KEPT_CLOCKS + 3):
        store.append(ClockPlaced(number, "primary", number * 10))
    for number in range(KEPT_EVENTS + 3):
        store.append(Event(number, "DISK_LOW", "x"))
    store.open_period(0)
    store.open_period(SECOND)
    channel.settle()
    store.append(Anchored(456))
    assert [completion.reason for completion in channel.settle()] == ["the anchor is decided once"]
    channel.kill()
    ledger = channel.store.ledger
    assert (ledger.anchor_ns, ledger.target_duration_s, ledger.periods[-1].number) == (123, 6, 1)
    assert list(ledger.clocks) == list(range(3, KEPT_CLOCKS + 3))
    assert ledger.events[0].utc_ns == 3
    channel.store.open_period(2 * SECOND)
    assert by_kind(channel.settle(), PeriodOpened)[0].record == PeriodOpened(2, 2 * SECOND)
