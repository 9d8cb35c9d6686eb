"""A channel of the daemon on a real directory, with a writer that does what the test says, at a moment that the test moves."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, cast

import msgspec
import structlog

from pypackager.config.schema import Channel, Program, Tuning
from pypackager.control.settings import Switch
from pypackager.dvr.store import ChannelStore
from pypackager.model.records import FLAG_GAP
from pypackager.runtime.channel import LiveChannel
from pypackager.runtime.metrics import Metrics
from pypackager.timeline.feeds import Now
from pypackager.timeline.times import SECOND_NS
from tests.helpers.fake_writer import FakeWriter
from tests.helpers.timeline_rig import UTC0, Header, Stored

VIDEO = 90_000
SHOW = Program(name="show")


class ChannelNode:
    """A channel and its writer."""

    def __init__(self, directory: Path, protocol: Any = "fmp4", programs: tuple[Program, ...] = (SHOW,)) -> None:
        self.directory = directory
        self.config = Channel(name="news", protocol=protocol, ingest_allow=["192.0.2.1"], program=list(programs))
        self.now = Now(UTC0, 1_000 * SECOND_NS)
        self.reset_ns: int | None = None
        self._start()

    def _start(self) -> None:
        self.writer = FakeWriter()
        store = ChannelStore.open(self.directory / "channel", cast(Any, self.writer), self.now.utc_ns)
        log = structlog.get_logger()
        assets = self.directory / "assets"
        self.metrics = Metrics()
        self.channel = LiveChannel(self.config, Tuning(), store, assets, lambda: self.now, self.metrics, log, self.reset_ns)

    def settle(self) -> None:
        """The writer does everything, and what follows from it."""
        while True:
            self.writer.step()
            done = self.writer.done()
            if not done:
                return
            for ticket, errno in done:
                self.channel.finished(ticket, errno)
            self.channel.advance()

    def wait(self, seconds: float) -> None:
        """Time passes; deadlines are met."""
        target = self.now.mono_ns + int(seconds * SECOND_NS)
        while (wake := self.channel.timeline.wake_ns) is not None and wake <= target:
            self._shift(max(0, wake - self.now.mono_ns))
            self.channel.advance()
            self.settle()
        self._shift(target - self.now.mono_ns)

    def connect(self, conn: int, stream: str) -> None:
        """A connection with one video layer."""
        self.channel.open_feed(conn, "primary", stream)
        self.channel.track_found(conn, cast(Any, Header(1, "video")))
        self.channel.admit(conn)

    def send(self, conn: int, *starts_s: int) -> None:
        """Fragments of two seconds arrive."""
        for start_s in starts_s:
            self.channel.chunk(conn, cast(Any, Stored(1, start_s * VIDEO, 2 * VIDEO)))
        self.channel.advance()

    def live(self, conn: int, *starts_s: int) -> None:
        """Fragments of two seconds, each when it has ended, and what follows from it."""
        for start_s in starts_s:
            self.wait(2)
            self.send(conn, start_s)
            self.settle()

    def stop_program(self) -> None:
        """The operator asks for it."""
        self._apply(msgspec.structs.replace(SHOW, state="stopped"))

    def start_program(self) -> None:
        """The operator asks for it."""
        self._apply(SHOW)

    def _apply(self, table: Program) -> None:
        self.config = msgspec.structs.replace(self.config, program=[table])
        self.channel.apply(self.config, self.reset_ns)

    def reset(self) -> None:
        """The operator asks for it."""
        self.reset_ns = self.now.utc_ns
        self.channel.apply(self.config, self.reset_ns)

    def ask(self, state: Switch, program: Switch = "running") -> None:
        """The configuration says so from now on."""
        self.config = msgspec.structs.replace(self.config, state=state, program=[msgspec.structs.replace(SHOW, state=program)])
        self.channel.apply(self.config, self.reset_ns)

    def crash(self) -> None:
        """A new process on what the disk has: whatever was under way is gone."""
        # As the kernel does when a process ends.
        os.close(self.channel.store._lock)
        self._start()

    def restart(self) -> None:
        """An orderly end, and a new process."""
        self.settle()
        self.channel.close()
        self.writer.step()
        self._start()

    def ended(self) -> bool:
        """Whether the program is video on demand."""
        return self.channel.programs.present("show").ended

    def times(self, track: str) -> list[int]:
        """Start of each of the program's fragments in seconds; a gap is negative."""
        (shown,) = (found for found in self.channel.programs.present("show").tracks if found.info.id == track)
        signs = [-1 if flag & FLAG_GAP else 1 for flag in shown.flags.tolist()]
        return [sign * time // VIDEO for sign, time in zip(signs, shown.time.tolist(), strict=True)]

    def _shift(self, ns: int) -> None:
        self.now = Now(self.now.utc_ns + ns, self.now.mono_ns + ns)
