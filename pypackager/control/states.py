"""The states of a channel, and the one table of what may be told it in each.

In: a state, a command, the names of running programs. Out: the way to the next state, or why there is none. Never: an effect.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from pypackager.model.errors import PackagerError

State = Literal["Starting", "Running", "Stopping", "Stopped"]
"""Media is taken, and the preview is served, in Running only. What programs recorded is served in every state."""
Status = Literal["Starting", "Ready", "Streaming", "Stopping", "Stopped"]
Command = Literal["start", "stop"]


class Way(msgspec.Struct, frozen=True):
    """What a command does in a state."""

    through: State
    """Shown while it happens."""
    to: State
    idle: bool = False
    """Only when no program runs."""


WAYS: dict[tuple[State, Command], Way] = {
    ("Stopped", "start"): Way("Starting", "Running"),
    ("Running", "stop"): Way("Stopping", "Stopped", idle=True),
}


def way(state: State, command: Command, programs: Sequence[str]) -> Way:
    """What a command does.

    Args:
        state: of the channel.
        command: what it is told.
        programs: names of its programs that run.

    Raises:
        PackagerError: CHANNEL_STATE or PROGRAMS_RUNNING (409).
    """
    found = WAYS.get((state, command))
    if found is None:
        raise PackagerError("CHANNEL_STATE", f"a channel that is {state} cannot {command}", status=409, fault="operator")
    if found.idle and programs:
        raise PackagerError("PROGRAMS_RUNNING", f"stop its programs first: {', '.join(programs)}", status=409, fault="operator")
    return found


def status(state: State, programs: Sequence[str]) -> Status:
    """What people are shown: a channel that runs is Ready, or Streaming while a program runs."""
    if state == "Running":
        return "Streaming" if programs else "Ready"
    return state
