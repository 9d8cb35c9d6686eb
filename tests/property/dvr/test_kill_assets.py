"""Programs that start, stop, start again and are deleted, and kill -9 at any call of the system in between.

What was acknowledged stands: a stopped asset shows the same rows and bytes for ever, a running one all of its runs within its window, a
deleted one is gone. What was not acknowledged has either happened or not.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule

from pypackager.dvr.assets import Asset
from pypackager.dvr.clip import KEPT_NS
from pypackager.dvr.description import DESCRIPTION, read_description
from pypackager.model.errors import PackagerError
from pypackager.model.track import TrackInfo
from tests.helpers.dvr import AUDIO, SECOND, VIDEO, clipped, same, stored
from tests.helpers.programs import Program, rows_of
from tests.property.dvr.test_kill import Kill

CALLS = ("link", "replace", "unlink", "fsync", "mkdir", "rmdir")
"""Of the system: a command is killed before one of them."""


class KilledError(BaseException):
    """The process is gone."""


class KillAssets(Kill):
    """The store's machine with programs on it."""

    def __init__(self) -> None:
        super().__init__()
        self.programs: list[Program] = []
        self.deleted: list[Path] = []

    # --- commands

    @rule(info=st.sampled_from([VIDEO, AUDIO, None]), count=st.integers(1, 4))
    def record(self, info: TrackInfo | None, count: int) -> None:
        """Some fragments, listed, so that programs have something to show."""
        for track in (VIDEO, AUDIO) if info is None else (info,):
            for _ in range(count):
                self.put(track, 20, 0)
                self.write(1 << 20)
                self.publish(track, 1, gap=False)
                self.write(1 << 20)

    def _pick(self, index: int, *, running: bool) -> Program | None:
        found = [program for program in self.programs if (program.ended is None) == running and not program.clip]
        return found[index % len(found)] if found else None

    def _started(self, program: Program) -> None:
        program.starts = {number: len(rows) for number, rows in self.listed.items()}
        program.begun.clear()
        program.ended = None

    @precondition(lambda self: len(self.programs) < 4)
    @rule(seconds=st.integers(2, 200))
    def start_program(self, seconds: int) -> None:
        self.count += 1
        program = Program(self.root / "assets" / f"asset-{self.count}", seconds * SECOND)
        self._start(program)
        self.programs.append(program)

    def _start(self, program: Program) -> None:
        store = self.channel.store
        program.asset = Asset.start(program.directory, store, name="show", channel="news", window_ns=program.window_ns)
        self._started(program)

    @rule(index=st.integers(0, 3), roll=st.booleans())
    def stop_program(self, index: int, roll: bool) -> None:
        if (program := self._pick(index, running=True)) is not None and program.asset is not None:
            program.asset.stop(self.now_ns)
            self._ended(program)
            if roll:
                self.channel.store.roll(self.now_ns)

    def _ended(self, program: Program) -> None:
        assert program.asset is not None
        shown = program.asset.presentation()
        program.ended = (shown, stored(shown))
        program.before = rows_of(shown)

    @rule(index=st.integers(0, 3), seconds=st.integers(2, 200), reopened=st.booleans())
    def start_again(self, index: int, seconds: int, reopened: bool) -> None:
        if (program := self._pick(index, running=False)) is not None:
            if reopened or program.asset is None:
                program.asset = Asset.open(program.directory)
            program.asset.start_again(self.channel.store, seconds * SECOND)
            program.window_ns = seconds * SECOND
            self._started(program)

    @rule(index=st.integers(0, 3), running=st.booleans())
    def delete(self, index: int, running: bool) -> None:
        if (program := self._pick(index, running=running)) is not None:
            (program.asset or Asset.open(program.directory)).delete()
            self._forget(program)

    @precondition(lambda self: len(self.programs) < 4)
    @rule(index=st.integers(0, 3), running=st.booleans(), start=st.integers(0, 60), length=st.integers(1, 60))
    def clip(self, index: int, running: bool, start: int, length: int) -> None:
        source = self._pick(index, running=running)
        if source is None:
            return
        asset = source.asset or Asset.open(source.directory)
        part = asset.presentation(start * SECOND, (start + length) * SECOND)
        self.count += 1
        clip = Program(self.root / "assets" / f"clip-{self.count}", source.window_ns)
        try:
            clip.asset = clipped(asset, clip.directory, "clip", start * SECOND, (start + length) * SECOND, 99)
        except PackagerError as error:
            if error.code != "CLIP_EMPTY":
                raise
            return
        clip.clip = True
        self._ended(clip)
        assert clip.before == rows_of(part)
        self.programs.append(clip)

    @rule(index=st.integers(0, 3))
    def delete_clip(self, index: int) -> None:
        if clips := [program for program in self.programs if program.clip]:
            clip = clips[index % len(clips)]
            Asset.open(clip.directory).delete()
            self._forget(clip)

    def _forget(self, program: Program) -> None:
        self.programs.remove(program)
        self.deleted.append(program.directory)

    # --- kill -9 inside a command

    @rule(what=st.sampled_from(["start", "stop", "again", "delete"]), index=st.integers(0, 3), calls=st.integers(0, 20))
    def killed_in(self, what: str, index: int, calls: int) -> None:
        act: Callable[[], Any]
        if what == "start":
            self.count += 1
            program = Program(self.root / "assets" / f"asset-{self.count}", 20 * SECOND)
            self._started(program)
            self.programs.append(program)
            act = partial(self._start, program)
        else:
            found = self._pick(index, running=what == "stop")
            if found is None:
                return
            program = found
            asset = program.asset = program.asset or Asset.open(program.directory)
            store = self.channel.store
            window = program.window_ns
            act = {"stop": lambda: asset.stop(5), "again": lambda: asset.start_again(store, window), "delete": asset.delete}[what]
        with pytest.MonkeyPatch.context() as patch, suppress(KilledError):
            self._die_after(patch, calls)
            act()
        self.channel.kill()
        self._back(unsure=program)

    def _die_after(self, patch: pytest.MonkeyPatch, calls: int) -> None:
        left = calls

        def dying(real: Callable[..., Any]) -> Callable[..., Any]:
            def call(*args: Any, **named: Any) -> Any:
                nonlocal left
                left -= 1
                if left < 0:
                    raise KilledError
                return real(*args, **named)

            return call

        for name in CALLS:
            patch.setattr(os, name, dying(getattr(os, name)))

    def _back(self, unsure: Program | None = None) -> None:
        super()._back()
        for program in list(self.programs):
            if not (program.directory / DESCRIPTION).exists():
                assert program is unsure
                self._forget(program)
                continue
            ended = read_description(program.directory).stop is not None
            if ended != (program.ended is not None):
                assert program is unsure
                self._turned(program, ended=ended)
            program.asset = None if ended else Asset.resume(program.directory, self.channel.store)
        self.ended_programs_stand()

    def _turned(self, program: Program, *, ended: bool) -> None:
        """The command that was killed has happened, nevertheless."""
        if ended:
            program.asset = Asset.open(program.directory)
            self._ended(program)
        else:
            self._started(program)

    # --- what has to hold

    @rule(seconds=st.integers(0, 200))
    def trim_long_ago(self, seconds: int) -> None:
        self.channel.store.trim(seconds * SECOND + KEPT_NS)

    @rule()
    def ended_programs_stand(self) -> None:
        for program in self.programs:
            if program.ended is not None:
                again = Asset.open(program.directory).presentation()
                assert same(again, program.ended[0])
                assert stored(again) == program.ended[1]

    @invariant()
    def deleted_ones_are_gone(self) -> None:
        assert not [directory for directory in self.deleted if (directory / DESCRIPTION).exists()]

    @invariant()
    def running_programs_show_their_runs(self) -> None:
        for program in self.programs:
            if program.ended is None and program.asset is not None:
                program.judge(program.asset.presentation(), self.listed)


TestKillAssets = KillAssets.TestCase
TestKillAssets.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
