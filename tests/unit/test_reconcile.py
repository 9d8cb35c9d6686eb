"""The plan that brings the resources in line with the file: each line of it, and what it must never do."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec.structs import replace

from pypackager.config.load import parse_config
from pypackager.config.reconcile import Plan, lines, locator_of, plan
from pypackager.config.schema import Program
from pypackager.control.resources import Resources
from pypackager.control.settings import Switch

NOW = datetime(2026, 11, 22, 2, 0, tzinfo=UTC)
FILE = """
[[channel]]
name = "news"
ingest_allow = ["127.0.0.1"]
[[channel.program]]
name = "show"
locator = "show"
"""


def planned(text: str, stored: Resources, **states: Any) -> Plan:
    return plan(parse_config(text), stored, NOW, **states)


def done(text: str, stored: Resources | None = None, **states: Any) -> Resources:
    stored = stored or Resources()
    made = planned(text, stored, **states)
    return stored.changed(list(made.put), list(made.drop))


DEFAULT = ("create", "streaming-endpoint default")
"""Every daemon has it."""


def said(made: Plan) -> list[tuple[str, str]]:
    return [(line.action, line.what) for line in made.lines]


def told(stored: Resources, desired: Switch) -> Resources:
    """The operator's command on the channel and its program."""
    channel, program = stored.channels["news"], stored.programs["news", "show"]
    return stored.changed([replace(channel, desired=desired), replace(program, desired=desired)], [])


def test_a_host_stays_with_a_channel_of_the_operators_and_moves_among_those_of_the_file() -> None:
    one, two = '[[channel]]\nname = "one"\n', '[[channel]]\nname = "two"\n'
    hosts = 'ingest_hosts = ["in.test", "{}.test"]\n'
    stored = done(one + hosts.format("one"))
    assert stored.host_owner("in.test") == "one"
    moved = done(one + two + hosts.format("two"), stored)
    assert (moved.host_owner("in.test"), moved.host_owner("one.test"), moved.host_owner("two.test")) == ("two", None, "two")
    alone = planned(two + hosts.format("two"), stored)
    assert ("defer", "channel two") in said(alone)
    kept = stored.changed(list(alone.put), [])
    assert (kept.host_owner("in.test"), kept.host_owner("two.test")) == ("one", "two")


def test_what_is_new_is_created_in_the_files_state() -> None:
    made = planned(FILE, Resources())
    assert said(made) == [("create", "channel news"), ("create", "program news/show"), ("create", "locator show"), DEFAULT]
    stored = done(FILE)
    assert (stored.channels["news"].desired, stored.programs["news", "show"].desired) == ("running", "running")
    assert stored.channels["news"].settings.ingest_allow == ["127.0.0.1"]
    assert stored.locators["show"].asset == "show"
    assert not said(planned(FILE, stored))
    assert next(iter(lines(made))).startswith("create  channel news: ")


def test_the_operators_state_stands_until_the_files_value_changes() -> None:
    stored = told(done(FILE), "stopped")
    assert said(planned(FILE, stored)) == [("keep", "channel news"), ("keep", "program news/show")]
    assert done(FILE, stored) == stored
    stopped = FILE.replace('name = "news"', 'name = "news"\nstate = "stopped"')
    stored = done(stopped, stored)
    assert stored.channels["news"].desired == "stopped"
    stored = done(FILE, stored)
    assert stored.channels["news"].desired == "running", "the file said stopped in between"


def test_settings_change_where_the_state_allows() -> None:
    stored = done(FILE)
    changed = FILE.replace("127.0.0.1", "10.0.0.0/8").replace('"news"', '"news"\nprotocol = "rtmp"')
    changed = changed.replace('"show"\n', '"show"\narchive_window = "2h"\n', 1)
    running = {"states": {"news": "Running"}, "recording": [("news", "show")]}
    made = planned(changed, stored, **running)
    assert said(made) == [("change", "channel news"), ("defer", "channel news"), ("defer", "program news/show")]
    after = done(changed, stored, **running)
    assert after.channels["news"].settings.ingest_allow == ["10.0.0.0/8"]
    assert (after.channels["news"].settings.protocol, after.channels["news"].version) == ("fmp4", 2)
    assert after.programs["news", "show"].settings.archive_window == "1h"
    # At a start nothing runs yet.
    assert done(changed, after).channels["news"].settings.protocol == "rtmp"
    assert done(changed, after).programs["news", "show"].settings.archive_window == "2h"


def test_what_is_gone_from_the_file_stays_unless_it_is_pruned() -> None:
    stored = told(done(FILE), "stopped")
    assert done("", stored) == stored
    made = planned("prune = true", stored)
    assert said(made) == [("delete", "locator show"), ("delete", "program news/show"), ("delete", "channel news")]
    after = done("prune = true", stored)
    assert (after.channels["news"].desired, after.programs, after.locators) == ("deleted", {}, {})
    assert said(planned(FILE, after))[0] == ("defer", "channel news"), "not while it is being deleted"


def test_pruning_waits_for_what_runs_and_leaves_what_the_operator_made() -> None:
    stored = done(FILE)
    assert said(planned("prune = true", stored)) == [
        ("delete", "locator show"),
        ("defer", "program news/show"),
        ("defer", "channel news"),
    ]
    stored = told(stored, "stopped")
    made = planned("prune = true", stored, recording=[("news", "show")])
    assert said(made)[1:] == [("defer", "program news/show"), ("defer", "channel news")]
    channel, program, locator = stored.channels["news"], stored.programs["news", "show"], stored.locators["show"]
    stored = stored.changed([replace(channel, filed=None), replace(program, filed=None), replace(locator, filed=False)], [])
    assert done("prune = true", stored) == stored


def test_a_fourth_program_does_not_start() -> None:
    stored = done(
        FILE.replace("[[channel.program]]", '[[channel.program]]\nname = "a"\n[[channel.program]]\nname = "b"\n[[channel.program]]')
    )
    fourth = '[[channel]]\nname = "news"\n[[channel.program]]\nname = "late"\n'
    assert ("defer", "program news/late") in said(planned(fourth, stored))
    assert done(fourth, stored).programs["news", "late"].desired == "stopped"
    room = fourth + '[[channel.program]]\nname = "a"\nstate = "stopped"\n'
    assert done(room, stored).programs["news", "late"].desired == "running"


@pytest.mark.parametrize(
    ("text", "action", "words"),
    [
        (FILE.replace('"news"', '"other"'), "defer", "news/show"),
        (FILE.replace('locator = "show"', 'asset = "another"'), "keep", "for good"),
        (FILE.replace('locator = "show"', "locator = true"), "create", "'show'"),
    ],
)
def test_what_cannot_be_is_said(text: str, action: str, words: str) -> None:
    stored = done(FILE)
    assert any(line.action == action and words in line.reason for line in planned(text, stored).lines)
    assert done(text, stored).programs["news", "show"] == stored.programs["news", "show"]


def test_a_locator_is_a_path_or_the_same_guid_for_ever() -> None:
    assert locator_of(Program(name="a", locator="path")) == "path"
    assert locator_of(Program(name="a")) is None
    assert locator_of(Program(name="a", locator=True)) == locator_of(Program(name="b", asset="a", locator=True))
    assert locator_of(Program(name="a", locator=True)) != locator_of(Program(name="b", locator=True))


DOORS = """
[[streaming_endpoint]]
name = "default"
state = "running"

[[streaming_endpoint]]
name = "cdn"
listen = ["127.0.0.1:8081"]
"""


def test_streaming_endpoints_are_made_and_changed_as_their_state_allows() -> None:
    stored = done(DOORS)
    assert {name: each.desired for name, each in stored.endpoints.items()} == {"default": "running", "cdn": "stopped"}
    assert not said(planned(DOORS, stored))
    default = stored.endpoints["default"]
    stored = stored.changed([replace(default, desired="stopped")], [])
    assert said(planned(DOORS, stored)) == [("keep", "streaming-endpoint default")], "the operator's command stands"
    moved = DOORS.replace("8081", "8082") + 'allow = ["192.0.2.1"]\n'
    assert done(moved, stored).endpoints["cdn"].settings.listen == ["127.0.0.1:8082"]
    runs = stored.changed([replace(stored.endpoints["cdn"], desired="running", filed="stopped")], [])
    made = done(moved, runs).endpoints["cdn"].settings
    assert (made.listen, made.allow) == (["127.0.0.1:8081"], ["192.0.2.1"]), "where it serves waits until it is stopped"
    assert ("defer", "streaming-endpoint cdn") in said(planned(moved, runs))


def test_streaming_endpoints_that_are_gone_are_pruned_when_they_are_stopped_but_the_default_one() -> None:
    stored = done(DOORS)
    assert set(done("", stored).endpoints) == {"default", "cdn"}
    assert set(done("prune = true", stored).endpoints) == {"default"}
    runs = stored.changed([replace(stored.endpoints["cdn"], desired="running")], [])
    assert set(done("prune = true", runs).endpoints) == {"default", "cdn"}
    assert ("defer", "streaming-endpoint cdn") in said(planned("prune = true", runs))
