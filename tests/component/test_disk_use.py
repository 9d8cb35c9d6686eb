"""What recording costs: hours of media at their real pace on a clock of the test's, for one program and for three.

A channel and its programs hold together the longest window, what was in it up to two minutes ago (a viewer may still ask for it), the blob
of five minutes that the window ends in, and two fragments. An archive that has ended costs what it has; its bytes are free when the last
who shares them is gone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from pypackager._core import crc32c
from pypackager.config.schema import Program
from pypackager.control.settings import Switch
from tests.helpers.channel_node import VIDEO, ChannelNode
from tests.helpers.fake_writer import FakeFragment
from tests.helpers.timeline_rig import Chunk

SIZE = 10_000
"""Bytes of each fragment."""
LENGTH_S = 2
BLOB_S, LATELY_S, PREVIEW_S = 300, 120, 300
MINUTE = 60


class Heavy(Chunk):
    """A chunk whose bytes are as many as any other's."""

    def mux(self, track_id: int, sequence: int, timescale: int, offset: int) -> Any:
        muxed = super().mux(track_id, sequence, timescale, offset)
        data = b"x" * SIZE
        return FakeFragment(muxed.time, muxed.duration, data, crc32c(data))


class Recorder(ChannelNode):
    """A channel with one layer, its encoder and its programs."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, programs=())
        self.connect(1, "v1")
        self.sent_s = 100
        self.most_s = 0
        """The most that was ever stored."""

    def told(self, name: str, state: Switch, window: str = "5m") -> None:
        """A program is told to run or to stop."""
        others = [each for each in self.config.program if each.name != name]
        self.config = msgspec.structs.replace(self.config, program=[*others, Program(name=name, state=state, archive_window=window)])
        self.channel.apply(self.config, self.reset_ns)
        self.settle()

    def forgotten(self, name: str) -> None:
        """A program is deleted, and its asset with it."""
        asset = self.channel.programs.asset(name)
        assert asset is not None
        self.config = msgspec.structs.replace(self.config, program=[each for each in self.config.program if each.name != name])
        self.channel.apply(self.config, self.reset_ns)
        asset.delete()

    def record(self, seconds: int) -> None:
        """Media comes at its pace; the house is kept every ten seconds."""
        for _ in range(seconds // LENGTH_S):
            self.wait(LENGTH_S)
            self.channel.chunk(1, cast(Any, Heavy(1, self.sent_s * VIDEO, LENGTH_S * VIDEO)))
            self.sent_s += LENGTH_S
            self.channel.advance()
            self.settle()
            if self.sent_s % 10 == 0:
                self.channel.keep_house()
                self.settle()
                self.most_s = max(self.most_s, self.stored_s())

    def stored_s(self) -> int:
        """Seconds of media on the disk, whoever has links to them."""
        files = [path.stat() for path in self.directory.rglob("*.cmfv")]
        return sum(size // SIZE for size in {found.st_ino: found.st_size for found in files}.values()) * LENGTH_S


@pytest.fixture
def node(tmp_path: Path) -> Recorder:
    return Recorder(tmp_path)


SEGMENT_S = 3 * LENGTH_S


def bound_s(*windows_s: int) -> int:
    """What may be stored."""
    return max(PREVIEW_S, *windows_s) + LATELY_S + BLOB_S + SEGMENT_S + 2 * LENGTH_S


def test_without_a_program_there_is_the_preview(node: Recorder) -> None:
    node.record(40 * MINUTE)
    assert PREVIEW_S <= node.stored_s() <= node.most_s <= bound_s(0)


def test_one_program_costs_its_window(node: Recorder) -> None:
    node.told("show", "running", "1h")
    node.record(150 * MINUTE)
    assert 60 * MINUTE <= node.stored_s() <= node.most_s <= bound_s(60 * MINUTE)


def test_three_programs_cost_what_the_deepest_does(node: Recorder) -> None:
    node.told("deep", "running", "1h")
    node.record(20 * MINUTE)
    node.told("middle", "running", "30m")
    node.record(13 * MINUTE)
    node.told("short", "running", "10m")
    node.record(90 * MINUTE)
    assert 60 * MINUTE <= node.stored_s() <= node.most_s <= bound_s(60 * MINUTE)
    # The deepest one ends: its archive stays, and beside it grows only what the others have behind its end.
    node.told("deep", "stopped", "1h")
    archive_s = node.stored_s()
    node.most_s = 0
    node.record(100 * MINUTE)
    assert node.most_s <= archive_s + bound_s(30 * MINUTE)
    node.forgotten("deep")
    assert 30 * MINUTE <= node.stored_s() <= bound_s(30 * MINUTE)
    node.told("middle", "stopped", "30m")
    node.record(2 * MINUTE)
    shared_s = node.stored_s()
    node.forgotten("middle")
    freed_s = shared_s - node.stored_s()
    assert 0 < freed_s <= bound_s(30 * MINUTE) - 10 * MINUTE, "what the short one and the preview share stays"
    node.record(30 * MINUTE)
    assert 10 * MINUTE <= node.stored_s() <= bound_s(10 * MINUTE)


def test_an_archive_that_has_ended_costs_what_it_has_until_it_is_deleted(node: Recorder) -> None:
    node.told("show", "running", "1h")
    node.record(20 * MINUTE)
    node.told("show", "stopped", "1h")
    node.record(60 * MINUTE)
    assert 20 * MINUTE <= node.stored_s() <= 20 * MINUTE + bound_s(0)
    node.forgotten("show")
    assert node.stored_s() <= bound_s(0), "nobody else has links to it"
