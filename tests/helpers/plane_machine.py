"""What a machine that drives a whole daemon does between its rules: commands and their fates, the model kept up, and all of it judged."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio
from hypothesis.stateful import RuleBasedStateMachine

from pypackager.dvr.assets import Asset
from pypackager.dvr.library import ASSETS, Library
from pypackager.model.errors import PackagerError
from pypackager.model.presentation import Presentation
from pypackager.timeline.times import SECOND_NS, to_ns
from tests.helpers.death import KilledError, dying
from tests.helpers.dvr import data_of
from tests.helpers.plane import LENGTH_S, Plane, at_once
from tests.helpers.plane_commands import Asked, Commands
from tests.helpers.plane_model import Media, Recording, Run, Told, number_in
from tests.helpers.programs import Rows, rows_of

STALE_S = 40
"""Behind it the edge has moved on, whatever is missing."""
MEMORY = Path("/dev/shm")  # noqa: S108 (a directory of its own is made there)
NO_ANSWER = "no answer"


class Fate(msgspec.Struct, frozen=True):
    """How the process dies in a command."""

    calls: int
    """Of the system that it lives to do."""
    log: int
    """When it dies in a transaction: bytes of it that are in the database's log."""
    parts: int
    """Writes of the writer that happen nevertheless."""
    torn: int
    """Bytes of one more."""


class PlaneMachine(RuleBasedStateMachine):
    """A daemon and a model of what it promised."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(trio.to_thread, "run_sync", at_once)
        # Nothing here depends on what a sync does, and a busy disk takes its time for one.
        self.root = Path(tempfile.mkdtemp(dir=MEMORY if MEMORY.is_dir() else None))
        self.plane = Plane(self.root)
        self.promised = Told.of(self.plane.registry.resources)
        self.media = Media()
        self.recordings: dict[str, Recording] = {}
        """By asset; what was deleted is not here."""
        self.lives = {"a": 0, "b": 0}
        """How often a channel of the name was deleted: its assets have names of their own."""
        self.zeros: dict[str, int] = {}
        """UTC of time zero of each channel's encoder: 1970, or when it was first connected."""

    def teardown(self) -> None:
        self.plane.stop()
        self.patch.undo()
        shutil.rmtree(self.root)

    def life(self, channel: str) -> str:
        """A channel of a name, as none that had it before."""
        return f"{channel}{self.lives[channel]}"

    def asset_of(self, channel: str, program: str) -> str:
        """The asset of a program."""
        return f"{self.life(channel)}-{program}"

    def assets(self) -> set[str]:
        """Those that there are."""
        return set(Library(self.root / ASSETS).names())

    # --- commands

    def commands(self, text: str = "") -> Commands:
        """All that can be given now."""
        return Commands(self.plane, self.promised, self.assets(), self.asset_of, text)

    def command(self, asked: Asked, fate: Fate | None = None) -> None:
        """Gives a command; without a fate the process lives."""
        answer: str | None = NO_ANSWER
        try:
            with dying(1 << 30 if fate is None else fate.calls, lambda write: self._write(write, fate)):
                try:
                    self.plane.do(asked.act)
                    answer = None
                except PackagerError as refusal:
                    answer = refusal.code
                if fate is not None:
                    self.plane.settle()
        except KilledError:
            pass
        except BaseExceptionGroup as group:
            _, others = group.split(KilledError)
            if others is not None:
                raise
        assert answer in (asked.wanted, NO_ANSWER), f"answered {answer}, not {asked.wanted}"
        before, recorded = self.promised, self.recordings.get(asked.deletes or "")
        if answer is None or (answer == NO_ANSWER and asked.wanted is None):
            self.promised = before.copy()
            asked.change(self.promised)
            self._happened(asked)
        if fate is not None:
            self.plane.kill(fate.parts, fate.torn)
            if answer == NO_ANSWER:
                # It has happened, or not.
                self.promised = before if Told.of(self.plane.registry.resources) == before else self.promised
                if recorded is not None and asked.deletes in self.assets():
                    self.recordings[asked.deletes] = recorded
            self._back()

    def _write(self, write: Callable[[], None], fate: Fate | None) -> None:
        # A command may have had others before: those are safe, and what was answered is.
        wal = self.plane.wal_size()
        write()
        self.plane.tear(wal, fate.log if fate is not None else 0)

    def _happened(self, asked: Asked) -> None:
        recording = self.recordings.get(asked.stops or "")
        if recording is not None and recording.shown is None:
            recording.runs[-1].until = self.media.count
        if asked.deletes is not None:
            self.recordings.pop(asked.deletes, None)

    # --- media

    def send(self, name: str, count: int, *, anew: bool) -> None:
        """A channel's encoder sends, if it is let."""
        channel = self.plane.fleet.channels.get(name)
        if channel is None or not channel.running:
            return
        if name not in self.plane.conns:
            zero_s = self.zeros.setdefault(self.life(name), self.plane.utc_s() if anew else 0)
            self.plane.connect(name, zero_s)
        for _ in range(count):
            self.plane.send(name, self.media.next(self.life(name)))

    # --- death

    def killed(self, parts: int, torn: int) -> None:
        """kill -9, and the next process."""
        self.plane.kill(parts, torn)
        self._back()

    def _back(self) -> None:
        self.plane.settle()
        self.plane.wait(STALE_S)
        self._confirm(killed=True)
        self.check()

    # --- what has to hold

    def look(self) -> None:
        """Takes note of what has come about; what was told is kept."""
        now = Told.of(self.plane.registry.resources)
        for name in [name for name, told in self.promised.channels.items() if told[0] == "deleted" and name not in now.channels]:
            del self.promised.channels[name]
            self.lives[name] += 1
        assert now == self.promised
        assert not self.plane.fleet.failed
        for (channel, name), told in self.promised.programs.items():
            live = self.plane.fleet.channels.get(channel)
            recording = self.recordings.get(told[3])
            if live is not None and name in live.programs.running:
                if recording is None:
                    self.recordings[told[3]] = Recording(self.life(channel), [Run(self.media.count)])
                elif recording.shown is not None:
                    recording.runs.append(Run(self.media.count))
                    recording.shown = None
            elif live is not None and recording is not None and recording.shown is None:
                assert recording.runs[-1].until is not None, f"{name} ended by itself"
                asset = live.programs.asset(name)
                assert asset is not None
                recording.shown = shown(asset.presentation())

    def _confirm(self, *, killed: bool = False) -> None:
        """Everything that was sent is listed; what a process had when it was killed may be lost."""
        if any(channel.timeline.behind() for channel in self.plane.fleet.channels.values()):
            self.plane.wait(STALE_S)
        for name, channel in self.plane.fleet.channels.items():
            listed: list[dict[int, int]] = []
            for number, track in channel.store.ledger.tracks.items():
                rows = data_of(channel.store, number)
                listed.append({number_in(data): to_ns(time, track.info.timescale) for time, data in rows if data is not None})
            sent = self.media.sent.setdefault(self.life(name), [])
            for one in [one for one in sent if one not in self.media.ends_ns]:
                if listed and all(one in track for track in listed):
                    self.media.ends_ns[one] = listed[0][one] + LENGTH_S * SECOND_NS
                else:
                    assert killed, f"{one} of {name} is not listed"
                    sent.remove(one)

    def check(self) -> None:
        """Lets everything come to rest; then all that was promised has to be so."""
        self.plane.settle()
        self.look()
        self._confirm()
        self.look()
        desk, endpoints = self.plane.desk, self.plane.endpoints
        assert "deleted" not in {told[0] for told in self.promised.channels.values()}
        states: dict[str, str] = {name: desk.runner.state(name).lower() for name in self.promised.channels}
        assert states == {name: told[0] for name, told in self.promised.channels.items()}
        programs = {name: desk.program_state(desk.resources.program(*name)).lower() for name in self.promised.programs}
        assert programs == {name: told[0] for name, told in self.promised.programs.items()}
        states = {name: endpoints.state(endpoints.resources.endpoint(name)).lower() for name in self.promised.endpoints}
        assert states == {name: told[0] for name, told in self.promised.endpoints.items()}
        assert self.assets() == set(self.recordings), "nothing is lost, and nothing that was deleted is back"
        for name in self.recordings:
            self._judge(name)
        for path in ("x", "y"):
            self._judge_locator(path)
        for name, channel in self.plane.fleet.channels.items():
            seen = channel.store.presentation("preview", channel.showing.window_ns)
            for track in seen.tracks:
                self.media.serves(f"preview/{name}", track.info.id, rows_of(seen)[track.info.number])

    def _judge(self, name: str) -> None:
        recording = self.recordings[name]
        user = self.promised.user(name)
        asset = self.plane.fleet.channels[user[0]].programs.asset(user[1]) if user is not None else None
        asset = asset or Asset.open(self.root / ASSETS / name)
        seen = asset.presentation()
        assert seen.ended == (recording.shown is not None)
        if recording.shown is not None:
            assert shown(seen) == recording.shown, "what has ended stays as it is"
        ends = [to_ns(int(track.time[-1] + track.duration[-1]), track.info.timescale) for track in seen.tracks if len(track.time)]
        for track in seen.tracks:
            rows = rows_of(seen)[track.info.number]
            self.media.serves(name, track.info.id, rows)
            self.media.judge(recording, rows, max(ends), asset.window_ns)

    def _judge_locator(self, path: str) -> None:
        publication = self.plane.catalog.publication(path)
        asset = self.promised.locators.get(path)
        assert (publication is None) == (asset is None)
        if asset is None or asset not in self.recordings:
            return
        if ended := self.recordings[asset].shown:
            seen = self.plane.catalog.located(path, asset)
            assert seen is not None
            assert shown(seen) == ended


def shown(presentation: Presentation) -> dict[str, Any]:
    """What it shows, by track id."""
    rows: Rows = rows_of(presentation)
    return {track.info.id: rows[track.info.number] for track in presentation.tracks}
