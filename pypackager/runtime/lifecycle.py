"""The state of one channel: started and stopped as its table asks for, when its programs allow it.

In: what the configuration asks for. Out: the state, and a count of its changes. Never: the connections, which the router ends.
"""

from __future__ import annotations

from collections.abc import Sized
from typing import Any, Protocol

from pypackager.control.settings import Switch
from pypackager.control.states import Command, State, Status, status, way
from pypackager.dvr.store import ChannelStore
from pypackager.model.errors import PackagerError
from pypackager.runtime.programs import Programs
from pypackager.runtime.taken import Edge, Taken


class Line(Edge, Protocol):
    """The channel's timeline, as its state sees it."""

    @property
    def feeds(self) -> Sized:
        """Connections that bring media."""
        ...


class Lifecycle:
    """One channel's state.

    A stop waits until no program runs, which is said where one is to go on, then for the router to end the connections, then until
    everything that they brought is published.

    Args:
        programs: the channel's.
        line: its timeline.
        store: its store.
        log: a bound structured logger.
        switch: what the configuration asks for at the start.
    """

    def __init__(self, programs: Programs, line: Line, store: ChannelStore, log: Any, switch: Switch) -> None:
        # A program that ran when the daemon ended is stopped first, as by any stop.
        self.state: State = "Running" if switch == "running" or programs.running else "Stopped"
        self.changes = 0
        """How often the state has changed."""
        self._programs = programs
        self._line = line
        self._store = store
        self._log = log
        self._asked = switch
        self._taken: Taken | None = None
        """What its connections had brought when the last of them was gone."""

    @property
    def status(self) -> Status:
        """What people are shown."""
        return status(self.state, self._programs.running)

    @property
    def settled(self) -> bool:
        """Whether it is what the configuration asks for."""
        return self.state == ("Running" if self._asked == "running" else "Stopped")

    @property
    def begins(self) -> bool:
        """Whether a program may begin to record."""
        return self.state == "Running" and self._asked == "running"

    def ask(self, switch: Switch) -> None:
        """The configuration was loaded again."""
        self._asked = switch
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
        if not self.settled and self.state != "Stopping" and not (self._asked == "stopped" and self._programs.running):
            self._go_on()

    def _go_on(self) -> None:
        command: Command = "start" if self._asked == "running" else "stop"
        step = way(self.state, command, self._programs.running)
        self._become(step.through)
        if step.through == "Starting":
            # Its journal is open since the daemon started: there is nothing to wait for.
            self._become("Running")
        self._taken = None

    def _finish(self) -> None:
        if self._line.feeds:
            return
        self._taken = self._taken or Taken(self._line, self._store)
        if self._taken.settled():
            self._become("Stopped")

    def _become(self, state: State) -> None:
        self.state = state
        self.changes += 1
        self._log.info("channel", state=state)
