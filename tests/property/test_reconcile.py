"""Whatever file follows whatever file, with whatever commands between."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import get_args

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from pypackager.config.reconcile import plan
from pypackager.config.schema import Channel, Config, Program
from pypackager.control.resources import Resource, Resources
from pypackager.control.settings import MAX_RUNNING
from pypackager.control.states import State

NOW = datetime(2026, 11, 22, 2, 0, tzinfo=UTC)
NAMES = st.sampled_from("abcd")
SWITCHES = st.sampled_from(["running", "stopped"])
PROGRAMS = st.builds(
    Program,
    name=NAMES,
    asset=st.none() | NAMES,
    locator=st.none() | st.just(value=True) | NAMES,
    state=SWITCHES,
    description=st.sampled_from("xy"),
)
CHANNELS = st.builds(
    Channel,
    name=NAMES,
    state=SWITCHES,
    protocol=st.sampled_from(["fmp4", "rtmp"]),
    description=st.sampled_from("xy"),
    program=st.lists(PROGRAMS, max_size=3, unique_by=lambda program: program.name),
)


def distinct(config: Config) -> bool:
    """Whether no two programs have one locator: such files are refused when they are read."""
    paths = [program.locator for channel in config.channel for program in channel.program if isinstance(program.locator, str)]
    return len(paths) == len(set(paths))


FILES = st.builds(Config, prune=st.booleans(), channel=st.lists(CHANNELS, max_size=3, unique_by=lambda c: c.name)).filter(distinct)
STATES = st.dictionaries(NAMES, st.sampled_from(get_args(State)))
RECORDING = st.sets(st.tuples(NAMES, NAMES))


def after(stored: Resources, config: Config, states: dict[str, State], recording: set[tuple[str, str]]) -> Resources:
    made = plan(config, stored, NOW, states, recording)
    return stored.changed(list(made.put), list(made.drop))


@st.composite
def histories(draw: st.DrawFn) -> Resources:
    """What files and an operator's commands have made."""
    stored = Resources()
    for config in draw(st.lists(FILES, max_size=3)):
        stored = after(stored, config, {}, set())
        told: list[Resource] = [replace(each, desired=draw(SWITCHES)) for each in stored.channels.values() if each.desired != "deleted"]
        stored = stored.changed(told, [])
    return stored


@given(histories(), FILES, STATES, RECORDING)
def test_a_plan_keeps_what_it_must_and_a_second_one_does_nothing(
    stored: Resources, config: Config, states: dict[str, State], recording: set[tuple[str, str]]
) -> None:
    new = after(stored, config, states, recording)
    again = plan(config, new, NOW, states, recording)
    assert not again.put
    assert {line.action for line in again.lines} <= {"keep", "defer"}
    for name, channel in stored.channels.items():
        table = next((each for each in config.channel if each.name == name), None)
        state = states.get(name, "Stopped")
        here = new.channels[name]
        if table is None:
            assert here == channel or (config.prune and here.desired == "deleted" and channel.desired == state.lower() == "stopped")
        elif table.state == channel.filed:
            assert here.desired == channel.desired, "the operator's state stands"
        if state != "Stopped":
            assert here.settings.protocol == channel.settings.protocol
    for key, program in stored.programs.items():
        assert key in new.programs or (config.prune and program.desired == "stopped" and key not in recording)
        assert key not in new.programs or new.programs[key].asset == program.asset
    assert config.prune or set(stored.locators) <= set(new.locators)
    used = [program.asset for program in new.programs.values()]
    assert len(used) == len(set(used)), "an asset is that of one program"
    for name in new.channels:
        before = sum(program.desired == "running" for program in stored.of(name))
        assert sum(program.desired == "running" for program in new.of(name)) <= max(MAX_RUNNING, before)
