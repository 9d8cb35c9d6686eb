"""The channels that are open, and the assets that are published without a program: what follows the registry.

In: the registry's resources. Out: open channels that do what these say. Never: a resource of its own making.

`bring` is the one way from what is to be to what is: after a start, after the file was loaded again, after an operator's command.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import msgspec
import trio

from pypackager._core import Writer
from pypackager.config import schema
from pypackager.config.reconcile import plan
from pypackager.control.ports import Space
from pypackager.control.resources import Channel, Program, Resource, Resources
from pypackager.control.settings import Switch
from pypackager.control.states import State
from pypackager.dvr.assets import Asset
from pypackager.dvr.library import ASSETS, Library
from pypackager.dvr.past import bury
from pypackager.ingest.ports import Elsewhere
from pypackager.model.errors import PackagerError
from pypackager.model.news import Tell
from pypackager.runtime.channel import LiveChannel
from pypackager.runtime.disk import free_bytes, watch_disk
from pypackager.runtime.metrics import Metrics
from pypackager.timeline.feeds import Now

RETRY_S = 5.0
"""How often a channel that could not be opened is tried again."""


class Wishes(Protocol):
    """What there is to be: the registry, or what a worker knows of it."""

    @property
    def resources(self) -> Resources:
        """All of it."""
        ...

    @property
    def lock(self) -> trio.Lock:
        """Held by who reads, decides and commits."""
        ...

    async def commit(self, put: Sequence[Resource] = (), drop: Sequence[Resource] = ()) -> None:
        """Puts and drops resources; see Registry.commit."""
        ...


class Fleet:
    """All channels of a process.

    Args:
        registry: what there is to be.
        tuning: limits.
        data_dir: where channels and assets are.
        writer: the writer of the data directory.
        now: the clock.
        metrics: the daemon's instruments.
        log: a structured logger.
        changed: called after something was brought in line, for whoever has connections or answers that may stand no longer.
        tell: tells of states and alerts.
    """

    def __init__(
        self,
        registry: Wishes,
        tuning: schema.Tuning,
        data_dir: Path,
        writer: Writer,
        now: Callable[[], Now],
        metrics: Metrics,
        log: Any,
        changed: Callable[[], None],
        tell: Tell,
    ) -> None:
        self.registry = registry
        self.channels: dict[str, LiveChannel] = {}
        self.failed: dict[str, str] = {}
        """Why a channel could not be opened, by name."""
        self.shelf: dict[str, Asset] = {}
        """Assets that a locator publishes and no program refers to, by name."""
        self._tuning = tuning
        self._data_dir = data_dir
        self._writer = writer
        self._now = now
        self._metrics = metrics
        self._log = log
        self._changed = changed
        self._tell = tell
        self.opening = False
        """Whether a channel is being opened: what it sends to the disk meanwhile is answered when it is there."""
        self._turn = trio.Lock()
        """Channels are opened and removed one after the other."""

    async def reconcile(self, config: schema.Config) -> None:
        """Brings the registry in line with the file, without an effect on what runs.

        Raises:
            PackagerError: REGISTRY_NOT_WRITTEN (507).
        """
        async with self.registry.lock:
            states, recording = self.states()
            made = plan(config, self.registry.resources, self.utc(), states, recording)
            for program in made.drop:
                if isinstance(program, Program):
                    await self.shelve(program.asset)
            await self.registry.commit(made.put, made.drop)
        for line in made.lines:
            say = self._log.warning if line.action == "defer" else self._log.info
            say("file", action=line.action, what=line.what, reason=line.reason)

    def pushes(self, peer: str) -> bool:
        """Whether an address is in some list of those who may push over RTMP."""
        return any(channel.protocol == "rtmp" and channel.admits(peer) for channel in self.channels.values())

    def states(self) -> tuple[dict[str, State], set[tuple[str, str]]]:
        """The states of the channels that are open, and the programs that run, by channel and name."""
        states: dict[str, State] = {name: channel.life.state for name, channel in self.channels.items()}
        return states, {(name, program) for name, channel in self.channels.items() for program in channel.programs.running}

    def health(self) -> dict[str, Any]:
        """What people are shown of the channels: how many are open and how they are, which could not be, and the codes of their alerts."""
        alerts = {name: sorted(channel.alarm.alerts) for name, channel in self.channels.items() if channel.alarm.alerts}
        states = {name: channel.life.status for name, channel in self.channels.items()}
        return {"channels": len(states), "failed": dict(self.failed), "states": states, "alerts": alerts}

    async def watch_disk(self) -> None:
        """Makes room when space is low, until cancelled."""
        await watch_disk(self._data_dir, self._tuning.disk_reserve, self.channels)

    async def bring(self, name: str) -> None:
        """Brings a channel in line with the registry: opens it, has it take over what may change, removes it."""
        wanted = self.registry.resources.channels.get(name)
        if wanted is not None and (channel := self.channels.get(name)) is not None:
            for step in channel.programs.due(self._table(wanted).program):
                await trio.to_thread.run_sync(step)
        # The registry may have gone on meanwhile.
        wanted = self.registry.resources.channels.get(name)
        if wanted is not None and wanted.desired != "deleted" and (channel := self.channels.get(name)) is not None:
            channel.apply(self._table(wanted), wanted.reset_ns)
        elif wanted is not None:
            async with self._turn:
                await (self._remove(name) if wanted.desired == "deleted" else self._open(name))
        for asset in [asset for asset in self.shelf if self.registry.resources.user(asset) is not None]:
            del self.shelf[asset]
        self._changed()

    async def clear_assets(self) -> None:
        """Removes what a crash left of assets, before anything is brought in line; what can't be removed keeps nobody from starting."""
        try:
            left = await trio.to_thread.run_sync(Library(self._data_dir / ASSETS).clear)
        except OSError as error:
            self._log.error("assets not cleared", detail=str(error))
        else:
            if left:
                self._log.info("assets cleared", names=left)

    async def bring_all(self) -> None:
        """Brings every channel and every published asset in line."""
        # Those that are open take over what is new at once; the others' journals may be long.
        for name in sorted(self.registry.resources.channels, key=lambda name: name not in self.channels):
            await self.bring(name)
        for locator in list(self.registry.resources.locators.values()):
            await self.shelve(locator.asset)

    async def open_failed(self) -> None:
        """Tries again for ever: another process may have given the lock back, or the operator space or rights."""
        while True:
            await trio.sleep(RETRY_S)
            for name in list(self.failed):
                await self.bring(name)

    async def shelve(self, asset: str) -> None:
        """Opens an asset that has ended and is published, so that it is served without its program; nothing when it can't be."""
        directory = self._data_dir / ASSETS / asset
        if asset in self.shelf or not self.registry.resources.published(asset):
            return
        try:
            self.shelf[asset] = await trio.to_thread.run_sync(Asset.open, directory)
        except (PackagerError, OSError) as error:
            if not isinstance(error, PackagerError) or error.code not in ("ASSET_UNKNOWN", "ASSET_RUNNING"):
                self._log.error("asset failed", asset=asset, detail=str(error))

    def asset(self, name: str) -> Asset | None:
        """An asset that is open: its program is there, or it is published."""
        program = self.registry.resources.user(name)
        live = self.channels.get(program.channel) if program is not None else None
        found = live.programs.asset(program.name) if live is not None and program is not None else None
        return found or self.shelf.get(name)

    def unshelve(self, asset: str) -> None:
        """A locator of an asset is gone: it need not be open when that was the last."""
        if not self.registry.resources.published(asset):
            self.shelf.pop(asset, None)
        self.review()

    def space(self, channel: str, window_ns: int) -> Space:
        """What a program of a channel with this window will need; too little is an alert, and no refusal: the oldest goes first then."""
        measured, kept_ns = self._coming(channel)
        rate = measured or self._tuning.channel_bitrate
        window, new = (rate * ns // 8_000_000_000 for ns in (window_ns, max(0, window_ns - kept_ns)))
        free = free_bytes(self._data_dir)
        room = free - self._tuning.disk_reserve
        if new > room:
            detail = f"a program that starts will need {new} bytes more, and {max(0, room)} are free beside tuning.disk_reserve"
            self._alert(channel, "DISK_LOW", detail)
        return Space(rate, measured > 0, window, new, free)

    def review(self) -> None:
        """Has viewers and encoders get what the registry says now."""
        self._changed()

    def owner(self, host: str) -> str | None:
        """The channel that encoders reach by a host name alone."""
        return self.registry.resources.host_owner(host)

    def utc(self) -> datetime:
        """The time of day."""
        return datetime.fromtimestamp(self._now().utc_ns / 1e9, UTC)

    @property
    def elsewhere(self) -> Elsewhere | None:
        """Where connections go whose channel it has not; None: nowhere."""
        return None

    # --- inside

    def _coming(self, channel: str) -> tuple[int, int]:
        """What comes in of a channel, bits per second, and the longest window that it keeps, nanoseconds; zero: none, or not known."""
        live = self.channels.get(channel)
        if live is None:
            return 0, 0
        return sum(track.average_bps for track in live.showing.incoming.tracks), max(live.programs.windows_ns(), default=0)

    def _alert(self, channel: str, code: str, detail: str) -> None:
        """Raises an alert of a channel, if it is open."""
        live = self.channels.get(channel)
        if live is not None:
            live.alert(code, detail)

    def _table(self, channel: Channel) -> schema.Channel:
        """A channel and its programs as the running channel takes them."""
        programs = [
            schema.Program(name=each.name, asset=each.asset, state=each.desired, **msgspec.structs.asdict(each.settings))
            for each in self.registry.resources.of(channel.name)
        ]
        state: Switch = "running" if channel.desired == "running" else "stopped"
        settings = {name: getattr(channel.settings, name) for name in channel.settings.__struct_fields__}
        return schema.Channel(name=channel.name, state=state, program=programs, **settings)

    async def _open(self, name: str) -> None:
        """Opens a channel; one that can't be opened (locked, damaged) must not keep the others from running."""
        wanted = self.registry.resources.channels.get(name)
        if wanted is None or name in self.channels:
            return
        table = self._table(wanted)
        instruments = (self._now, self._metrics, self._log)
        self.opening = True
        opening = partial(LiveChannel.open, table, self._tuning, self._data_dir, self._writer, *instruments, wanted.reset_ns, self._tell)
        try:
            channel = await trio.to_thread.run_sync(opening)
        except (PackagerError, OSError) as error:
            self._fail(name, str(error), "")
        except Exception as error:  # noqa: BLE001 (what a damaged journal brings to light is this channel's fault alone)
            self._fail(name, f"{type(error).__name__}: {error}", traceback.format_exc())
        else:
            self.failed.pop(name, None)
            self.channels[name] = channel
            # Something may have changed while the journal was read.
            if (wanted := self.registry.resources.channels.get(name)) is not None:
                channel.apply(self._table(wanted), wanted.reset_ns)
        finally:
            self.opening = False

    def _fail(self, name: str, reason: str, trace: str) -> None:
        if self.failed.get(name) != reason:
            self._log.error("channel failed", channel=name, code="CHANNEL_FAILED", detail=reason, trace=trace, retry_s=RETRY_S)
            self._tell("alert", f"channels/{name}", change="raised", code="CHANNEL_FAILED", detail=reason)
        self.failed[name] = reason

    async def _remove(self, name: str) -> None:
        """Removes a channel's files but for its past, then its resource; a start that finds it half done goes on with it."""
        if (channel := self.channels.get(name)) is not None:
            await channel.end()
            del self.channels[name]
        self.failed.pop(name, None)
        try:
            await trio.to_thread.run_sync(bury, self._data_dir / "channels" / name)
        except OSError as error:
            self._fail(name, f"it could not be deleted: {error}", "")
            return
        async with self.registry.lock:
            if (gone := self.registry.resources.channels.get(name)) is not None:
                await self.registry.commit(drop=[gone])
        self._log.info("channel", channel=name, state="deleted")
