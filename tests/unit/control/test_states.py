"""The table of states: the code, the page and these tests say the same of every pair."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from pypackager.control.states import Command, State, status, way
from pypackager.model.errors import PackagerError

PAGE = Path(__file__).parents[3] / "docs/reference/states.md"


def said() -> dict[tuple[str, str], str]:
    """What the page says of each (state, command)."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in PAGE.read_text().splitlines() if line.startswith("|")]
    return {(row[0], command): cell for row in rows[2:] for command, cell in zip(rows[0][1:], row[1:], strict=True)}


def test_the_page_has_every_pair() -> None:
    assert set(said()) == {(state, command) for state in get_args(State) for command in get_args(Command)}


@pytest.mark.parametrize("command", get_args(Command))
@pytest.mark.parametrize("state", get_args(State))
def test_a_command_does_what_the_page_says(state: State, command: Command) -> None:
    expected, _, unless = said()[state, command].partition("; ")
    if expected == "409":
        with pytest.raises(PackagerError) as refused:
            way(state, command, [])
        assert (refused.value.code, refused.value.status) == ("CHANNEL_STATE", 409)
        return
    found = way(state, command, [])
    assert f"{found.through}, then {found.to}" == expected
    if not unless:
        assert way(state, command, ["show"]) == found
        return
    with pytest.raises(PackagerError) as refused:
        way(state, command, ["show", "late"])
    assert (refused.value.code, refused.value.status) == ("PROGRAMS_RUNNING", 409)
    assert "show, late" in refused.value.detail


@pytest.mark.parametrize("state", get_args(State))
def test_people_see_whether_a_program_runs(state: State) -> None:
    running = state == "Running"
    assert status(state, []) == ("Ready" if running else state)
    assert status(state, ["show"]) == ("Streaming" if running else state)
