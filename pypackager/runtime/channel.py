"""One running channel: its store, its timeline, its programs and state, and what ingest sees of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hmac import compare_digest
from pathlib import Path
from typing import Any

import msgspec
import trio

from pypackager._core import Budget, Chunk, Networks, SignalReady, SignalsFound, TrackHeader, Writer
from pypackager.config.schema import Channel, Tuning
from pypackager.control.settings import AT_ANY_TIME, ChannelSettings
from pypackager.control.states import ProgramState, State
from pypackager.dvr.clip import KEPT_NS
from pypackager.dvr.library import ASSETS
from pypackager.dvr.store import ChannelStore
from pypackager.model.duration import parse_duration
from pypackager.model.news import Tell, silent
from pypackager.model.records import Published
from pypackager.runtime.alarm import Alarm
from pypackager.runtime.allocator import give_back
from pypackager.runtime.decisions import Kept, Unwritten
from pypackager.runtime.lifecycle import Lifecycle
from pypackager.runtime.meters import Meters
from pypackager.runtime.metrics import Metrics
from pypackager.runtime.programs import Programs
from pypackager.runtime.resume import resume_timeline
from pypackager.runtime.showing import Showing
from pypackager.runtime.watch import Watch
from pypackager.timeline.feeds import Feed, Now
from pypackager.timeline.ports import Options
from pypackager.timeline.timeline import Timeline

ADMISSION = ("ingest_allow", "ingest_users", "stream_key")
"""Settings by which connections are judged."""


class LiveChannel:
    """A channel of the daemon.

    Args:
        config: its table.
        tuning: limits.
        directory: where its journal and blobs are.
        writer: the writer of the data directory.
        now: the clock.
        metrics: the daemon's instruments.
        log: a bound structured logger.
        reset_ns: when it was last told to reset; None: never.
        tell: tells of states and alerts.

    Raises (from `open`): PackagerError when the journal can't be taken over.
    """

    def __init__(
        self,
        config: Channel,
        tuning: Tuning,
        store: ChannelStore,
        assets: Path,
        now: Callable[[], Now],
        metrics: Metrics,
        log: Any,
        reset_ns: int | None = None,
        tell: Tell = silent,
    ) -> None:
        self.config = config
        self._tell = tell
        self.store = store
        self.budget = Budget(tuning.max_held)
        """What its open fragments may hold in memory, whatever connections bring them."""
        self._tuning = tuning
        self._now = now
        self._meters = Meters(metrics, config.name)
        self._log = log.bind(channel=config.name)
        self.alarm = Alarm(config.name, store, self._meters, self._log, tell, now)
        self._watch = Watch(self.alarm, parse_duration(tuning.idle_alert), now().mono_ns)
        self._allow = Networks(config.ingest_allow)
        self._lists = 0
        self._unwritten = Unwritten()
        self._waiting = trio.lowlevel.ParkingLot()
        """Who waits for something of this channel looks again when it has moved on."""
        self.timeline = self._take_over()
        self.programs = Programs(config.name, store, self, assets, self._log, self._program_became)
        begin = config.state == "running" and reset_ns in (None, store.ledger.reset_ns)
        self.programs.apply(config.program, now().utc_ns, begin=begin)
        self.life = Lifecycle(self.programs, self, store, self._log, config.state, reset_ns, self._became)
        self.showing = Showing(config, store, self.life, self.alarm.alerts, self._meters, now)
        self._meters.runs(now(), running=self.running)
        # What waits since before a restart is published at its deadline, whether or not its encoder comes back.
        self.advance()

    def _take_over(self) -> Timeline:
        """A timeline with the channel's settings that goes on where the journal says; nothing is under way in the one before."""
        config = self.config
        options = Options(
            protocol=config.protocol,
            mode=config.clock or ("utc" if config.protocol == "rtmp" else "source"),
            rules=config.track,
            interval_ns=parse_duration(config.key_frame_interval) if config.key_frame_interval else None,
            fragments_per_segment=config.fragments_per_segment,
            reorder=config.reorder,
            merge_ns=parse_duration(config.merge_delay),
            prefer_primary=config.prefer_primary,
            video_layers=self._tuning.video_layers,
            audio_tracks=self._tuning.audio_tracks,
            layer_bps=self._tuning.layer_bitrate,
            channel_bps=self._tuning.channel_bitrate,
        )
        timeline = Timeline(options, self.store, self.alarm.alert)
        resume_timeline(timeline, self.store.ledger, self._now(), self.store.past.end_ns)
        return timeline

    @classmethod
    def open(
        cls,
        config: Channel,
        tuning: Tuning,
        data_dir: Path,
        writer: Writer,
        now: Callable[[], Now],
        metrics: Metrics,
        log: Any,
        reset_ns: int | None = None,
        tell: Tell = silent,
    ) -> LiveChannel:
        """Takes over the channel's directory and replays its journal; reads much, call it in a thread."""
        store = ChannelStore.open(data_dir / "channels" / config.name, writer, now().utc_ns)
        give_back()
        if store.report.damage or store.report.lost:
            log.warning("journal repaired", channel=config.name, **msgspec.structs.asdict(store.report))
        return cls(config, tuning, store, data_dir / ASSETS, now, metrics, log, reset_ns, tell)

    # --- what ingest sees

    @property
    def protocol(self) -> str:
        """Its ingest protocol."""
        return self.config.protocol

    @property
    def running(self) -> bool:
        """Whether it takes data."""
        return self.life.state == "Running"

    @property
    def admission(self) -> int:
        """Counts what may end connections: changes of the state and of who may push."""
        return self.life.changes + self._lists

    def admits(self, address: str) -> bool:
        """Whether the ingest allow-list has the address."""
        return self._allow.allows(address)

    @property
    def users(self) -> Mapping[str, str]:
        """Passwords of those who may push, by their names."""
        return self.config.ingest_users

    def unlocks(self, key: str) -> bool:
        """Whether a stream key is the channel's, or it has none."""
        wanted = self.config.stream_key
        return wanted is None or compare_digest(wanted.encode(), key.encode())

    def open_feed(self, conn: int, side: str, stream: str) -> None:
        """A connection was admitted."""
        self.timeline.open_feed(conn, side, stream, self._now())
        self._watch.joined()

    def close_feed(self, conn: int) -> None:
        """A connection is gone."""
        self.timeline.close_feed(conn, self._now())
        if not self.feeds:
            self._watch.left(self._now().mono_ns)

    def track_found(self, conn: int, header: TrackHeader) -> None:
        """A connection announced a track."""
        self.timeline.track_found(conn, header)

    def admit(self, conn: int) -> None:
        """Judges what a connection announced."""
        self.timeline.admit(conn, self._now())

    def place(self, conn: int, time: int, timescale: int) -> int:
        """The source clock of a frame-wise connection."""
        return self.timeline.place(conn, time, timescale, self._now())

    def chunk(self, conn: int, chunk: Chunk) -> None:
        """Takes a chunk."""
        self._meters.chunk(chunk.size)
        self.timeline.chunk(conn, chunk, self._now())

    def signals_found(self, conn: int, found: SignalsFound) -> None:
        """A connection announced a track of signals."""
        self.timeline.signals_found(conn, found)

    def signal(self, conn: int, event: SignalReady) -> None:
        """Takes a signal."""
        self.timeline.signal(conn, event, self._now())

    def complete(self, conn: int) -> None:
        """The body of a POST is complete: nothing of it waits for what may follow."""
        self.timeline.complete(conn, self._now())

    def settled(self, conn: int) -> bool:
        """Whether the writer has answered for every fragment of the connection."""
        feed = self.timeline.feeds.get(conn)
        return feed is None or not feed.unwritten

    def lost(self, conn: int) -> bool:
        """Whether one of them is not in the journal and never will be."""
        feed = self.timeline.feeds.get(conn)
        return feed is not None and feed.lossy

    def advance(self) -> None:
        """Moves the published edge as far as it goes."""
        # Who ends a program wants what was taken, not what has ended by the clock.
        self.alarm.guard("advance", lambda: self.timeline.advance(self._now(), at_once=self.programs.stopping))
        if self.programs.stopping:
            self.alarm.guard("stop", lambda: self.programs.settle(self._now().utc_ns))
        if not self.life.settled:
            self.alarm.guard("state", self._go_on)
        self._waiting.unpark_all()

    def _go_on(self) -> None:
        self.life.settle()
        if self.life.begins:
            # It has just become Running: programs that waited for it begin.
            self.programs.apply(self.config.program, self._now().utc_ns, begin=True)

    def begin_anew(self) -> None:
        """Behind a reset: a timeline that knows of the times that are used, and of no encoder."""
        self.timeline = self._take_over()

    def alert(self, code: str, detail: str) -> None:
        """Raises an alert of the channel."""
        self.alarm.alert(code, detail)

    def clear(self, code: str) -> None:
        """What an alert told of is over."""
        self.alarm.clear(code)

    def _became(self, state: State) -> None:
        if state != "Running":
            self._watch.stopped()
        self._meters.runs(self._now(), running=state == "Running")
        self._tell("state", f"channels/{self.config.name}", state=state)

    def _program_became(self, program: str, state: ProgramState) -> None:
        self._tell("state", f"channels/{self.config.name}/programs/{program}", state=state)

    # --- what its state and its programs see

    @property
    def feeds(self) -> Mapping[int, Feed]:
        """Connections that bring media."""
        return self.timeline.feeds

    def behind(self) -> dict[str, int]:
        """Where the newest fragment that waits behind the published edge starts, by track id."""
        return self.timeline.behind()

    def passed(self, marks: Mapping[str, int]) -> bool:
        """Whether the published edge has passed all that `behind` named."""
        return self.timeline.passed(marks)

    # --- what the writer brings

    @property
    def unwritten_bytes(self) -> int:
        """What waits for the disk and is not with the writer: rows, decisions, and media while the files turn over."""
        return self.store.memory

    def finished(self, ticket: int, errno: int) -> bool:
        """Takes a completion of the writer; returns whether it concerned this channel."""
        done = self.store.finished(ticket, errno)
        for completion in done:
            if not completion.fine:
                for feed in self.timeline.feeds.values():
                    feed.lossy |= completion.ticket in feed.unwritten
            self.timeline.written(completion.ticket, completion.errno or (22 if completion.reason else 0))
            if isinstance(completion.record, Kept):
                self._unwritten.answered(completion.record, written=not completion.errno)
            if completion.fine and isinstance(completion.record, Published):
                self._meters.published(completion.record.rows, self.store.ledger.tracks, self._now().mono_ns)
            elif not completion.fine:
                reason = completion.reason or f"errno {completion.errno}"
                self.alarm.alert("DISK_WRITE_FAILED", f"{type(completion.record).__name__}: {reason}")
        return bool(done)

    # --- upkeep

    def keep_house(self) -> None:
        """Brings what was written to the disk and gives up what every window has left behind."""
        for decision in self._unwritten.take():
            self.store.append(decision)
        self.alarm.guard("retry", self.store.retry)
        if not self.store.syncing:
            self.alarm.guard("sync", self.store.sync)
        self.alarm.guard("trim", self._trim)
        self._look(self._now())
        self._waiting.unpark_all()

    def _look(self, now: Now) -> None:
        """Looks for what lasts."""
        clocks, media_now_ns = self.timeline.clocks.all, self.timeline.media_now_ns(now)
        recorded, newest_ns = bool(self.programs.running), self._meters.newest_ns
        self._watch.look(now.mono_ns, clocks, media_now_ns, running=self.running, newest_ns=newest_ns, recorded=recorded)

    def _trim(self) -> None:
        self.programs.trim()
        self.store.trim(max([self.showing.window_ns, *self.programs.windows_ns()]) + KEPT_NS)

    def apply(self, config: Channel, reset_ns: int | None = None) -> None:
        """Takes over what may change in its state: all of it when it is stopped, else allow-lists, programs and the state.

        Then it resets, if it was told to and has not.
        """
        self._lists += any(getattr(config, name) != getattr(self.config, name) for name in ADMISSION)
        before = self.config
        if self.life.state != "Stopped":
            may = (*AT_ANY_TIME, "program", "state")
            config = msgspec.structs.replace(before, **{name: getattr(config, name) for name in may})
        self.config = config
        self._allow = Networks(config.ingest_allow)
        self.showing.apply(config)
        if any(getattr(before, name) != getattr(config, name) for name in ChannelSettings.__struct_fields__ if name not in AT_ANY_TIME):
            self.timeline = self._take_over()
        if config.state == "running":
            self.life.ask("running", reset_ns)
        self.programs.apply(config.program, self._now().utc_ns, begin=self.life.begins and config.state == "running")
        if config.state == "stopped":
            self.life.ask("stopped", reset_ns)
        if not self.life.settled:
            # Without an encoder nothing else comes that would move it on.
            self._go_on()

    def depth_ns(self) -> int:
        """Media time that it keeps."""
        return self.store.edge_ns()

    def trim_oldest(self) -> bool:
        """Gives up its oldest files; False when there are none to give."""
        try:
            return self.store.trim_oldest()
        except OSError as error:
            self.alarm.alert("DISK_WRITE_FAILED", f"the oldest recording could not be removed: {error}")
            return False

    async def end(self) -> None:
        """Closes a channel that is stopped, for good: it is being deleted."""
        self.life.state = "Deleting"
        await self.until(lambda: not self.store.syncing and self.store.settled(self.store.newest))
        self.close()

    async def until(self, done: Callable[[], bool]) -> None:
        """Waits until something is so of this channel."""
        while not done():
            await self._waiting.park()

    def close(self) -> None:
        """Seals the files; the writer must have answered for everything."""
        self.store.close()
