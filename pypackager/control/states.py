"""The states of channels, programs and streaming endpoints, and the one table of what may be told them in each.

In: a state, a command, the names of programs. Out: the way to the next state, or why there is none. Never: an effect.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from pypackager.model.errors import PackagerError

State = Literal["Stopped", "Starting", "Running", "Stopping", "Deleting"]
"""Media is taken, and the preview is served, in Running only. What programs recorded is served in every state."""
Status = Literal["Starting", "Ready", "Streaming", "Stopping", "Stopped", "Deleting"]
Command = Literal["start", "stop", "reset", "delete", "configure", "describe"]
"""`describe` changes what may change at any time: the description and the allow-lists; `configure` changes the other settings."""
ProgramState = Literal["Stopped", "Starting", "Running", "Stopping"]
"""Starting: it is to run, and waits for its channel."""
ProgramCommand = Literal["create", "start", "stop", "delete", "configure", "describe"]
"""`describe` changes the description, `configure` the archive window."""
EndpointState = Literal["Stopped", "Starting", "Running", "Stopping"]
"""Content streams in Running only. Starting: its addresses are not open yet."""
EndpointCommand = Literal["start", "stop", "delete", "configure", "describe"]
"""`configure` changes its addresses, `describe` all other settings."""


class Way(msgspec.Struct, frozen=True):
    """What a command does in a state."""

    through: State
    """Shown while it happens."""
    to: State | None
    """None: it is gone."""
    programs: Literal["any", "stopped", "none"] = "any"
    """Those that its channel may have."""


WAYS: dict[tuple[State, Command], Way] = {
    ("Stopped", "start"): Way("Starting", "Running"),
    ("Stopped", "delete"): Way("Deleting", None, programs="none"),
    ("Stopped", "configure"): Way("Stopped", "Stopped"),
    ("Stopped", "describe"): Way("Stopped", "Stopped"),
    ("Running", "stop"): Way("Stopping", "Stopped", programs="stopped"),
    ("Running", "reset"): Way("Stopping", "Running", programs="stopped"),
    ("Running", "describe"): Way("Running", "Running"),
}


class ProgramWay(msgspec.Struct, frozen=True):
    """What a command does to a program."""

    through: ProgramState
    to: ProgramState | None
    channel: tuple[State, ...] = ("Stopped", "Running")
    """Its channel is in one of these."""


PROGRAM_WAYS: dict[tuple[ProgramState | None, ProgramCommand], ProgramWay] = {
    (None, "create"): ProgramWay("Stopped", "Stopped"),
    ("Stopped", "start"): ProgramWay("Starting", "Running", channel=("Running",)),
    ("Stopped", "delete"): ProgramWay("Stopped", None),
    ("Stopped", "configure"): ProgramWay("Stopped", "Stopped"),
    ("Stopped", "describe"): ProgramWay("Stopped", "Stopped"),
    ("Starting", "stop"): ProgramWay("Stopped", "Stopped"),
    ("Starting", "describe"): ProgramWay("Starting", "Starting"),
    ("Running", "stop"): ProgramWay("Stopping", "Stopped", channel=("Running",)),
    ("Running", "describe"): ProgramWay("Running", "Running", channel=("Running",)),
}
"""A program that does not exist has no state."""


class EndpointWay(msgspec.Struct, frozen=True):
    """What a command does to a streaming endpoint."""

    through: EndpointState
    to: EndpointState | None


ENDPOINT_WAYS: dict[tuple[EndpointState, EndpointCommand], EndpointWay] = {
    ("Stopped", "start"): EndpointWay("Starting", "Running"),
    ("Stopped", "delete"): EndpointWay("Stopped", None),
    ("Stopped", "configure"): EndpointWay("Stopped", "Stopped"),
    ("Stopped", "describe"): EndpointWay("Stopped", "Stopped"),
    ("Starting", "describe"): EndpointWay("Starting", "Starting"),
    ("Running", "stop"): EndpointWay("Stopping", "Stopped"),
    ("Running", "describe"): EndpointWay("Running", "Running"),
}


def way(state: State, command: Command, running: Sequence[str], programs: Sequence[str] = ()) -> Way:
    """What a command does to a channel.

    Args:
        state: of the channel.
        command: what it is told.
        running: names of its programs that run.
        programs: names of all its programs.

    Raises:
        PackagerError: CHANNEL_STATE, PROGRAMS_RUNNING or CHANNEL_HAS_PROGRAMS (409).
    """
    found = WAYS.get((state, command))
    if found is None:
        able = _either([each for each, told in WAYS if told == command])
        detail = f"a channel that is {state} cannot {command}: it has to be {able}"
        raise PackagerError("CHANNEL_STATE", detail, status=409, fault="operator")
    if found.programs != "any" and running:
        raise PackagerError("PROGRAMS_RUNNING", f"stop its programs first: {', '.join(running)}", status=409, fault="operator")
    if found.programs == "none" and programs:
        raise PackagerError("CHANNEL_HAS_PROGRAMS", f"delete its programs first: {', '.join(programs)}", status=409, fault="operator")
    return found


def program_way(state: ProgramState | None, command: ProgramCommand, channel: State) -> ProgramWay:
    """What a command does to a program.

    Args:
        state: of the program; None: it does not exist yet.
        command: what it is told.
        channel: its channel's state.

    Raises:
        PackagerError: CHANNEL_STATE or PROGRAM_STATE (409).
    """
    found = PROGRAM_WAYS.get((state, command))
    if found is None:
        able = _either([each for each, told in PROGRAM_WAYS if told == command and each is not None])
        detail = f"a program that is {state} cannot {command}: it has to be {able}"
        raise PackagerError("PROGRAM_STATE", detail, status=409, fault="operator")
    if channel not in found.channel:
        detail = f"no program can {command} while its channel is {channel}: it has to be {_either(found.channel)}"
        raise PackagerError("CHANNEL_STATE", detail, status=409, fault="operator")
    return found


def endpoint_way(state: EndpointState, command: EndpointCommand) -> EndpointWay:
    """What a command does to a streaming endpoint.

    Raises:
        PackagerError: ENDPOINT_STATE (409).
    """
    found = ENDPOINT_WAYS.get((state, command))
    if found is None:
        able = _either([each for each, told in ENDPOINT_WAYS if told == command])
        detail = f"a streaming endpoint that is {state} cannot {command}: it has to be {able}"
        raise PackagerError("ENDPOINT_STATE", detail, status=409, fault="operator")
    return found


def status(state: State, programs: Sequence[str]) -> Status:
    """What people are shown: a channel that runs is Ready, or Streaming while a program runs."""
    if state == "Running":
        return "Streaming" if programs else "Ready"
    return state


def _either(states: Sequence[str]) -> str:
    return " or ".join(states)
