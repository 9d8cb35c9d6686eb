"""A step of the wall clock (NTP, an operator) changes nothing that runs: only new clocks ask what time it is."""

from __future__ import annotations

import pytest

from pypackager.model.records import FLAG_PERIOD, Anchored
from pypackager.timeline.clocks import Mode
from pypackager.timeline.feeds import Now
from pypackager.timeline.times import SECOND_NS
from tests.helpers.timeline_rig import Chunk, Header, Rig

VIDEO = 90_000
HOUR_NS = 3600 * SECOND_NS


def step(rig: Rig, ns: int) -> None:
    rig.now = Now(rig.now.utc_ns + ns, rig.now.mono_ns)


@pytest.mark.parametrize("leap_ns", [HOUR_NS, -HOUR_NS, 30 * 24 * HOUR_NS])
@pytest.mark.parametrize(("protocol", "mode"), [("fmp4", "source"), ("rtmp", "utc")])
def test_a_step_leaves_a_running_feed_alone(leap_ns: int, protocol: str, mode: Mode) -> None:
    rig = Rig(protocol, mode)
    conn = rig.connect([Header(1, "video")], stream="v")
    if protocol == "rtmp":
        rig.timeline.place(conn, 0, 1000, rig.now)
    for slot in range(10):
        if slot == 5:
            step(rig, leap_ns)
        rig.wait(2)
        rig.send(conn, Chunk(1, 2 * slot * VIDEO, 2 * VIDEO))
    rows = rig.rows("v")
    assert [row.time - rows[0].time for row in rows] == [2 * n * VIDEO for n in range(10)]
    assert sum(bool(row.flags & FLAG_PERIOD) for row in rows) == 1
    assert sum(isinstance(record, Anchored) for record in rig.store.records) == 1


@pytest.mark.parametrize("leap_ns", [HOUR_NS, -HOUR_NS])
def test_a_layer_that_connects_after_a_step_joins_its_encoders_clock(leap_ns: int) -> None:
    rig = Rig("rtmp", "utc")
    one = rig.connect([Header(1, "video")], stream="v1")
    clock = rig.timeline.place(one, 0, 1000, rig.now)
    for slot in range(5):
        rig.wait(2)
        rig.send(one, Chunk(1, 2 * slot * VIDEO, 2 * VIDEO))
    step(rig, leap_ns)
    two = rig.connect([Header(1, "video")], stream="v2")
    assert rig.timeline.place(two, 10_100, 1000, rig.now) == clock


@pytest.mark.parametrize("leap_ns", [HOUR_NS, -HOUR_NS])
def test_an_encoder_that_restarts_after_a_step_comes_after_everything_published(leap_ns: int) -> None:
    rig = Rig()
    one = rig.connect([Header(1, "video")], stream="v")
    for slot in range(5):
        rig.wait(2)
        rig.send(one, Chunk(1, 2 * slot * VIDEO, 2 * VIDEO))
    rig.disconnect(one)
    step(rig, leap_ns)
    rig.wait(3)
    two = rig.connect([Header(1, "video")], stream="v")
    rig.wait(2)
    rig.send(two, Chunk(1, 0, 2 * VIDEO))
    rows = rig.rows("v")
    assert rows[-1].flags & FLAG_PERIOD
    assert rows[-1].time >= rows[-2].time + rows[-2].duration
