"""The tables of states: the code, the page and these tests say the same of every pair."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest

from pypackager.control.states import (
    Command,
    EndpointCommand,
    EndpointState,
    ProgramCommand,
    ProgramState,
    State,
    endpoint_way,
    program_way,
    status,
    way,
)
from pypackager.model.errors import PackagerError

PAGE = Path(__file__).parents[3] / "docs/reference/states.md"
PROGRAM_STATES = [None, *get_args(ProgramState)]


def said(section: str) -> dict[tuple[str, str], str]:
    """What a section of the page says of each (state, command)."""
    text = PAGE.read_text().partition(f"## {section}\n")[2].partition("\n## ")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]
    return {(row[0], command): cell for row in rows[2:] for command, cell in zip(rows[0][1:], row[1:], strict=True)}


def refusal(act: Callable[[], Any]) -> str:
    with pytest.raises(PackagerError) as refused:
        act()
    assert refused.value.status == 409
    return refused.value.code


def test_the_page_has_every_pair() -> None:
    assert set(said("Channels")) == {(state, command) for state in get_args(State) for command in get_args(Command)}
    states = [state or "none" for state in PROGRAM_STATES]
    assert set(said("Streaming endpoints")) == {
        (state, command) for state in get_args(EndpointState) for command in get_args(EndpointCommand)
    }
    assert set(said("Programs")) == {(state, command) for state in states for command in get_args(ProgramCommand)}


@pytest.mark.parametrize("command", get_args(Command))
@pytest.mark.parametrize("state", get_args(State))
def test_a_command_does_to_a_channel_what_the_page_says(state: State, command: Command) -> None:
    expected, _, unless = said("Channels")[state, command].partition("; ")
    if expected == "409":
        assert refusal(lambda: way(state, command, [])) == "CHANNEL_STATE"
        return
    found = way(state, command, [])
    assert f"{found.through}, then {found.to or 'gone'}" == (expected if expected != "done" else f"{state}, then {state}")
    if not unless:
        assert way(state, command, ["show"], ["show"]) == found
    elif "has a program" in unless:
        assert refusal(lambda: way(state, command, [], ["show"])) == "CHANNEL_HAS_PROGRAMS"
    else:
        assert way(state, command, [], ["show"]) == found
        with pytest.raises(PackagerError, match="show, late") as refused:
            way(state, command, ["show", "late"], ["show", "late"])
        assert refused.value.code == "PROGRAMS_RUNNING"


@pytest.mark.parametrize("channel", get_args(State))
@pytest.mark.parametrize("command", get_args(ProgramCommand))
@pytest.mark.parametrize("state", PROGRAM_STATES)
def test_a_command_does_to_a_program_what_the_page_says(state: ProgramState | None, command: ProgramCommand, channel: State) -> None:
    expected, _, when = said("Programs")[state or "none", command].partition(", when its channel is ")
    if expected in ("409", ""):
        assert refusal(lambda: program_way(state, command, channel)) == "PROGRAM_STATE"
        return
    if channel not in when.split(" or "):
        assert refusal(lambda: program_way(state, command, channel)) == "CHANNEL_STATE"
        return
    found = program_way(state, command, channel)
    if expected == "done":
        assert found.through == found.to
    elif expected == "gone":
        assert found.to is None
    else:
        assert f"{found.through}, then {found.to}" == expected


@pytest.mark.parametrize("command", get_args(EndpointCommand))
@pytest.mark.parametrize("state", get_args(EndpointState))
def test_a_command_does_to_a_streaming_endpoint_what_the_page_says(state: EndpointState, command: EndpointCommand) -> None:
    expected, _, _ = said("Streaming endpoints")[state, command].partition(", unless ")
    if expected == "409":
        assert refusal(lambda: endpoint_way(state, command)) == "ENDPOINT_STATE"
        return
    found = endpoint_way(state, command)
    if expected == "done":
        assert found.through == found.to
    else:
        assert expected == ("gone" if found.to is None else f"{found.through}, then {found.to}")


def test_a_refusal_says_in_which_state_it_would_be_done() -> None:
    with pytest.raises(PackagerError, match="has to be Stopped or Running"):
        way("Starting", "describe", [])
    with pytest.raises(PackagerError, match="has to be Starting or Running"):
        program_way("Stopped", "stop", "Running")


@pytest.mark.parametrize("state", get_args(State))
def test_people_see_whether_a_program_runs(state: State) -> None:
    running = state == "Running"
    assert status(state, []) == ("Ready" if running else state)
    assert status(state, ["show"]) == ("Streaming" if running else state)
