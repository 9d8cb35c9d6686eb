"""The state of one channel: started, stopped and reset as it is asked for, when its programs allow it.

In: what the configuration asks for. Out: the state, and a count of its changes. Never: the connections, which the router ends.
"""

from __future__ import annotations

from collections.abc import Callable, Sized
from typing import Any, Protocol

from pypackager.control.settings import Switch
from pypackager.control.states import Command, State, Status, status, way
from pypackager.dvr.store import ChannelStore
from pypackager.model.errors import PackagerError
from pypackager.model.records import Reset
from pypackager.runtime.programs import Programs
from pypackager.runtime.taken import Edge, Taken


class Line(Edge, Protocol):
    """The channel's timeline, as its state sees it."""

    @property
    def feeds(self) -> Sized:
        """Connections that bring media."""
        ...

    def begin_anew(self) -> None:
        """Forgets what the store has forgotten by a reset."""
        ...


class Lifecycle:
    """One channel's state.

    A stop waits until no program runs, which is said where one is to go on, then for the router to end the connections, then until
    everything that they brought is published. A reset is such a stop and, behind it, one record in the journal: before it nothing of it is
    so, behind it all, whatever happens between.

    Args:
        programs: the channel's.
        line: its timeline.
        store: its store.
        log: a bound structured logger.
        switch: what the configuration asks for at the start.
        reset_ns: when it was last told to reset; None: never.
        became: told of each state.
    """

    def __init__(
        self,
        programs: Programs,
        line: Line,
        store: ChannelStore,
        log: Any,
        switch: Switch,
        reset_ns: int | None = None,
        became: Callable[[State], None] = lambda _: None,
    ) -> None:
        # A program that ran when the daemon ended is stopped first, as by any stop.
        self.state: State = "Running" if switch == "running" or programs.running else "Stopped"
        self.changes = 0
        """How often the state has changed."""
        self._programs = programs
        self._line = line
        self._store = store
        self._log = log
        self._became = became
        self._asked = switch
        self._reset_ns = reset_ns
        self._recorded: int | None = None
        """The ticket of a reset that is on its way to the journal."""
        self._to: State = "Stopped"
        """What a stop or reset that is under way ends in."""
        self._taken: Taken | None = None
        """What its connections had brought when the last of them was gone."""

    @property
    def status(self) -> Status:
        """What people are shown."""
        return status(self.state, self._programs.running)

    @property
    def settled(self) -> bool:
        """Whether it is what the configuration asks for."""
        # One that is being deleted is asked for nothing more, whatever the disk still has to answer.
        if self.state == "Deleting":
            return True
        # One that is stopped is reset when it runs again.
        return self.state == "Stopped" if self._asked == "stopped" else self.begins

    @property
    def begins(self) -> bool:
        """Whether a program may begin to record."""
        return self.state == "Running" and self._asked == "running" and not self._due

    @property
    def _due(self) -> bool:
        """Whether it was told to reset and has not."""
        return self._reset_ns not in (None, self._store.ledger.reset_ns)

    def ask(self, switch: Switch, reset_ns: int | None = None) -> None:
        """This is what it is to be from now on."""
        self._asked, self._reset_ns = switch, reset_ns
        if self.settled or self.state == "Stopping" or self._programs.stopping:
            return
        try:
            self._go_on()
        except PackagerError as error:
            self._log.warning("channel not stopped", code=error.code, detail=error.detail, remedy="it stops when they have")

    def settle(self) -> None:
        """Goes on with what was asked for, as far as programs, connections and the disk have come."""
        if self.state == "Stopping":
            self._finish()
        if not self.settled and self.state != "Stopping" and not (self.state == "Running" and self._programs.running):
            self._go_on()

    def _go_on(self) -> None:
        command: Command = "stop" if self._asked == "stopped" else "reset" if self.state == "Running" else "start"
        step = way(self.state, command, self._programs.running)
        self._to = step.to or "Stopped"
        self._become(step.through)
        if step.through == "Starting":
            # Its journal is open since the daemon started: there is nothing to wait for.
            self._become("Running")
            self.settle()
        self._taken = None

    def _finish(self) -> None:
        if self._line.feeds:
            return
        self._taken = self._taken or Taken(self._line, self._store)
        if not self._taken.settled():
            return
        if self._reset_ns is None or not self._due:
            if self._recorded is not None:
                self._recorded = None
                self._line.begin_anew()
            self._become(self._to)
        elif self._recorded is None:
            # Should the disk not take it, it is recorded again as decisions are.
            self._recorded = self._store.append(Reset(self._reset_ns))

    def _become(self, state: State) -> None:
        self.state = state
        self.changes += 1
        self._log.info("channel", state=state)
        self._became(state)
