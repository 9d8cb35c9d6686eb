"""The programs of one channel: each records to its asset while it runs; a stopped one is video on demand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from pypackager.config.schema import Program
from pypackager.control.states import ProgramState
from pypackager.dvr.assets import Asset
from pypackager.dvr.description import DESCRIPTION, read_description
from pypackager.dvr.recorded import Rehearsal
from pypackager.dvr.store import ChannelStore
from pypackager.model.duration import parse_duration
from pypackager.model.errors import PackagerError
from pypackager.model.presentation import Presentation
from pypackager.runtime.taken import Edge, Taken


class Programs:
    """Brings the assets of a channel into the state that its programs' tables ask for.

    A program that is told to stop ends a moment later, with everything that the channel had taken before: fragments that still wait for
    those of other tracks are published first, at the latest at the deadline of the published edge. One that is told to run begins when its
    channel runs.

    Args:
        channel: the channel's name.
        store: its store.
        edge: its timeline.
        assets: directory of all assets.
        log: a bound structured logger.
        became: told of each program that begins or ends, with its state.
    """

    def __init__(
        self,
        channel: str,
        store: ChannelStore,
        edge: Edge,
        assets: Path,
        log: Any,
        became: Callable[[str, ProgramState], None] = lambda _, __: None,
    ) -> None:
        self._channel = channel
        self._store = store
        self._edge = edge
        self._assets = assets
        self._log = log
        self._became = became
        self._by_name: dict[str, Asset] = {}
        self._stopping: dict[str, Taken] = {}
        """Those that were told to stop: each ends when what had been taken by then is in its asset."""
        self._opened: dict[str, Asset] = {}
        """Assets that were opened ahead, by program."""
        self._rehearsed: dict[str, Rehearsal] = {}
        """Of those that start again, by program."""
        self.failed: dict[str, str] = {}
        """Why a program is not what its table asks for, by name."""

    def due(self, tables: Sequence[Program]) -> Iterator[Callable[[], None]]:
        """What `apply` would have to read for long: each step is done in a thread, before the next is asked for.

        It is of use, and not needed: whatever goes wrong with it, `apply` tells.
        """
        for table in tables:
            directory = self._assets / (table.asset or table.name)
            if table.name not in self._by_name and (directory / DESCRIPTION).exists():
                yield partial(self._open_ahead, table.name, directory)
            asset = self._by_name.get(table.name) or self._opened.get(table.name)
            if asset is not None and not asset.running and table.state == "running":
                rehearsal = self._rehearsed[table.name] = asset.rehearsal()
                yield rehearsal.prepare

    def _open_ahead(self, program: str, directory: Path) -> None:
        with suppress(OSError, PackagerError):
            self._opened[program] = Asset.open(directory)

    def _ahead(self, program: str, directory: Path) -> Asset | None:
        """The asset of a program if it was opened ahead, is this channel's, and was not changed meanwhile."""
        asset = self._opened.get(program)
        if asset is None or asset.description.channel != self._channel or read_description(directory) != asset.description:
            return None
        return asset

    def apply(self, tables: Sequence[Program], now_ns: int, *, begin: bool) -> None:
        """Resumes and stops, and starts if runs may `begin`; a program that ended is started again on its asset.

        One whose table is gone is forgotten; its asset stays.
        """
        for table in tables:
            self.failed.pop(table.name, None)
            try:
                self._apply(table, now_ns, begin=begin)
            except (OSError, PackagerError) as error:
                self._fail(table.name, error)
        self._opened.clear()
        self._rehearsed.clear()
        for name in self._by_name.keys() - {table.name for table in tables}:
            if not self._by_name[name].running:
                del self._by_name[name]

    @property
    def running(self) -> list[str]:
        """Names of the programs that record, those that are stopping among them."""
        return [name for name, asset in self._by_name.items() if asset.running]

    @property
    def stopping(self) -> bool:
        """Whether a program was told to stop and has not ended."""
        return bool(self._stopping)

    def settle(self, now_ns: int) -> None:
        """Ends the programs that were told to stop, as far as everything that they owe is published."""
        for name, taken in list(self._stopping.items()):
            if taken.settled():
                del self._stopping[name]
                self._stop(name, self._by_name[name], now_ns)

    def present(self, name: str) -> Presentation:
        """What a program shows.

        Raises:
            PackagerError: NO_MEDIA (404) before its first segment, or when it never ran.
        """
        asset = self._by_name.get(name)
        shown = asset.presentation() if asset is not None else None
        if shown is None or not shown.tracks:
            raise PackagerError("NO_MEDIA", "nothing has been published yet", status=404)
        return shown

    def asset(self, name: str) -> Asset | None:
        """The asset of a program; None when it never ran."""
        return self._by_name.get(name)

    def windows_ns(self) -> list[int]:
        """Archive windows of the running programs: what the channel has to keep."""
        return [asset.window_ns for asset in self._by_name.values() if asset.running]

    def trim(self) -> None:
        """Gives up what fell out of the running programs' windows."""
        for asset in self._by_name.values():
            if asset.running:
                asset.trim()

    def _apply(self, table: Program, now_ns: int, *, begin: bool) -> None:
        name = table.asset or table.name
        asset = self._by_name.get(table.name)
        directory = self._assets / name
        if asset is None and (directory / DESCRIPTION).exists():
            asset = self._ahead(table.name, directory) or self._find(directory)
        elif asset is None and table.state == "running" and begin:
            window = parse_duration(table.archive_window)
            asset = Asset.start(directory, self._store, name=name, channel=self._channel, window_ns=window)
            self._log.info("program started", program=table.name, asset=name)
            self._became(table.name, "Running")
        if asset is None:
            return
        self._by_name[table.name] = asset
        if asset.running and table.state == "stopped":
            self._stopping.setdefault(table.name, Taken(self._edge, self._store))
            self.settle(now_ns)
        elif asset.running:
            self._stopping.pop(table.name, None)
        elif table.state == "running" and begin:
            asset.start_again(self._store, parse_duration(table.archive_window), self._rehearsed.get(table.name))
            self._log.info("program started again", program=table.name, asset=name)
            self._became(table.name, "Running")

    def _stop(self, name: str, asset: Asset, now_ns: int) -> None:
        try:
            asset.stop(now_ns)
        except OSError as error:
            self._fail(name, error)
            return
        # Sealed files are immutable: what the channel publishes next goes to new ones.
        self._store.roll(now_ns)
        self._store.sync()
        self._log.info("program stopped", program=name, asset=asset.description.name)
        self._became(name, "Stopped")

    def _fail(self, name: str, error: OSError | PackagerError) -> None:
        self.failed[name] = str(error)
        self._log.error("program failed", program=name, detail=str(error))

    def _find(self, directory: Path) -> Asset:
        description = read_description(directory)
        if description.channel != self._channel:
            raise PackagerError(
                "ASSET_EXISTS", f"asset {description.name!r} belongs to channel {description.channel!r}", status=409, fault="operator"
            )
        return Asset.open(directory) if description.stop is not None else Asset.resume(directory, self._store)
