"""Channels, programs, assets, locators and endpoints under random commands, with media between them; restarts, kill -9 and torn writes.

What was answered is so for good; what was not answered has happened or not. States allow what the one table says. Every fragment that
was listed is in each program that covered it until it leaves the window; nothing that was deleted comes back; a time of a track is there
once, and a URL never has other bytes.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import Phase, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule

from tests.helpers.plane_commands import CHANNELS, Asked
from tests.helpers.plane_machine import Fate, PlaneMachine

KINDS = (
    *("channel create", "channel describe", "channel start", "channel stop", "channel reset", "channel delete"),
    *("program create", "program configure", "program start", "program start", "program stop", "program delete"),
    *("asset delete", "locator create", "locator delete", "endpoint create", "endpoint start", "endpoint stop", "endpoint delete"),
)
ENCODERS = st.sampled_from(["a", "a", "a", *CHANNELS])
FATES: st.SearchStrategy[Fate] = st.builds(Fate, st.integers(0, 12), st.integers(0, 20_000), st.integers(0, 6), st.integers(0, 60))
NONE_OR_FATE = st.none() | FATES
FINDING = (Phase.explicit, Phase.reuse, Phase.generate)
"""Without making what is found smaller, which takes an hour: that is for who looks for it."""
PICKS = st.integers(0, 1 << 16)
TEXT = st.sampled_from(["", "one", "two"])


class ControlPlane(PlaneMachine):
    """Drives a daemon and a model of what it promised."""

    @initialize(running=st.integers(0, 3), anew=st.booleans())
    def begin(self, running: int, anew: bool) -> None:
        """An event goes on already."""
        names = [
            "channel create a",
            "channel start a",
            *(f"program {what} a/{name}" for name in "pqr"[:running] for what in ("create", "start")),
        ]
        self._give(names)
        self.send("a", 3, anew=anew)
        self.check()

    def _give(self, names: Sequence[str], fate: Fate | None = None, at: int = 0) -> None:
        """Gives commands one after the other, as far as they are accepted; in one of them the process is killed."""
        for position, name in enumerate(names):
            (asked,) = (each for each in self.commands().all() if f"{each.kind} {each.name}" == name)
            if asked.wanted is None:
                self.command(asked, fate if position == at else None)
                self.plane.settle()
                self.look()

    @rule(program=st.sampled_from("pqr"), fate=NONE_OR_FATE, at=st.integers(0, 3))
    def program_and_asset_go(self, program: str, fate: Fate | None, at: int) -> None:
        asset = self.asset_of("a", program)
        self._give([f"program stop a/{program}", f"program delete a/{program}", "locator delete x", f"asset delete {asset}"], fate, at)

    @rule(fate=NONE_OR_FATE, at=st.integers(0, 11), anew=st.booleans())
    def channel_is_made_anew(self, fate: Fate | None, at: int, anew: bool) -> None:
        programs = [f"program {what} a/{name}" for name in self.promised.programs_of("a") for what in ("stop", "delete")]
        self._give([*programs, "channel stop a", "channel delete a", "channel create a", "channel start a"], fate, at)
        self._give(["program create a/p", "program start a/p"])
        self.send("a", 2, anew=anew)
        self.check()

    def _pick(self, kind: str, pick: int, text: str, *, refused: bool) -> Asked | None:
        found = [each for each in self.commands(text).all() if (each.wanted is not None) == refused]
        found = [each for each in found if each.kind == kind] or found
        asked = found[pick % len(found)] if found else None
        note(f"{asked.kind} {asked.name}: {asked.wanted}" if asked else "nothing")
        return asked

    @rule(kind=st.sampled_from(KINDS), pick=PICKS, text=TEXT)
    def told(self, kind: str, pick: int, text: str) -> None:
        if (asked := self._pick(kind, pick, text, refused=False)) is not None:
            self.command(asked)

    @rule(kind=st.sampled_from(KINDS), pick=PICKS, text=TEXT)
    def refused(self, kind: str, pick: int, text: str) -> None:
        if (asked := self._pick(kind, pick, text, refused=True)) is not None:
            self.command(asked)

    @rule(kind=st.sampled_from(KINDS), pick=PICKS, text=TEXT, fate=FATES)
    def killed_in(self, kind: str, pick: int, text: str, fate: Fate) -> None:
        if (asked := self._pick(kind, pick, text, refused=False)) is not None:
            self.command(asked, fate)

    @rule(name=ENCODERS, count=st.integers(1, 5), anew=st.booleans(), listed=st.booleans())
    def media_comes(self, name: str, count: int, anew: bool, listed: bool) -> None:
        self.send(name, count, anew=anew)
        if listed:
            self.check()

    @rule(name=ENCODERS)
    def encoder_leaves(self, name: str) -> None:
        if name in self.plane.conns:
            self.plane.disconnect(name)

    @rule(seconds=st.sampled_from([2, 30, 300]))
    def time_passes(self, seconds: int) -> None:
        self.plane.wait(seconds)

    @rule()
    def house_is_kept(self) -> None:
        self.plane.keep_house()

    @rule()
    def all_is_as_promised(self) -> None:
        self.check()

    @rule()
    def restart(self) -> None:
        self.check()
        self.plane.restart()
        self.check()

    @rule(parts=st.integers(0, 8), torn=st.integers(0, 60))
    def kill(self, parts: int, torn: int) -> None:
        self.killed(parts, torn)

    @invariant()
    def what_was_told_is_kept(self) -> None:
        self.plane.loop.rest()
        self.look()


class ControlPlaneForLong(ControlPlane):
    """The same, until somebody has had enough of it."""


TestControlPlane = ControlPlane.TestCase
TestControlPlane.settings = settings(max_examples=25, stateful_step_count=40, deadline=None, phases=FINDING)
TestControlPlaneForLong = pytest.mark.soak(ControlPlaneForLong.TestCase)
TestControlPlaneForLong.settings = settings(max_examples=2000, stateful_step_count=60, deadline=None)
