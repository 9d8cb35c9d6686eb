"""The grammar of the test encoder's faults: what is meant, and what is refused with a reason."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypackager.cli.push_faults import KINDS, RULES, Plan, parse_faults
from pypackager.model.errors import PackagerError


@dataclass(frozen=True)
class Track:
    side: str
    name: str
    ladder: int = 1


LADDER = [Track(side, name) for side in ("primary", "secondary") for name in ("video-1", "video-2", "audio-eng")]


def times(text: str, length: float = 100.0) -> tuple[float, float, float, float]:
    (fault,) = parse_faults([text], length).faults
    return fault.first, fault.within, fault.every, fault.value


def test_times_periods_and_values_are_media_seconds() -> None:
    assert times("cut@10s") == (10, 0, 0, 0)
    assert times("stall@1m:500ms") == (60, 0, 0, 0.5)
    assert times("cut@10s~40s/1m:2s") == (10, 30, 60, 2)
    assert times("jump@30:-5s") == (30, 0, 0, -5)
    assert times("jump@30:+5s") == times("jump@30") == (30, 0, 0, 5)
    assert times("garbage@1h:12") == (3600, 0, 0, 12)


def test_what_has_no_time_draws_it_within_the_run_or_its_period() -> None:
    assert times("dup") == times("dup@?") == (0, 100, 0, 1)
    assert times("cut@?/15s") == (0, 15, 15, 0)
    plan = parse_faults(["cut@?,cut@??"], 100)
    assert [fault.apart for fault in plan.faults] == [False, True]


def test_rules_stand_among_the_faults() -> None:
    plan = parse_faults(["cut@1s, no-resend", "no-probe"], 100)
    assert plan.rules == {"no-resend", "no-probe"}
    assert [fault.kind for fault in plan.faults] == ["cut"]


@pytest.mark.parametrize(
    ("pattern", "hit"),
    [
        ("", [0, 1, 2, 3, 4, 5]),
        ("[video-1]", [0, 3]),
        ("[audio*]", [2, 5]),
        ("[secondary]", [3, 4, 5]),
        ("[primary/video-*]", [0, 1]),
        ("[ladder-1]", [0, 1, 2, 3, 4, 5]),
    ],
)
def test_streams_are_chosen_by_name_side_and_ladder(pattern: str, hit: list[int]) -> None:
    stated = parse_faults(["dup@1s", f"cut{pattern}@5s"], 100).stated(LADDER)
    assert [index for index, kind, number, *_ in stated if (kind, number) == ("cut", 1)] == hit


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "a fault is KIND"),
        ("break@10s", "there is no break"),
        ("cut@10x", "no time"),
        ("cut@10s:fast", "no time"),
        ("cut@20s~10s", "before the first"),
        ("cut@1s/1ms", "more often"),
        ("vanish@1s:3s", "takes nothing"),
        ("garbage@1s:0", "a number"),
        ("jump@1s:5s", "with its sign"),
        ("jump@1s:+five", "no time"),
        ("late-start@1s/5s", "starts once"),
        ("cut@99999h", "no time"),
    ],
)
def test_what_is_no_fault_is_refused_with_its_reason(text: str, reason: str) -> None:
    with pytest.raises(PackagerError, match=reason) as caught:
        parse_faults([text], 100)
    assert caught.value.code == "CONFIG_PUSH_FAULT"


def test_a_fault_that_nobody_has_is_refused() -> None:
    with pytest.raises(PackagerError, match="video-9") as caught:
        parse_faults(["cut[video-9]@1s"], 100).stated(LADDER)
    assert caught.value.code == "CONFIG_PUSH_FAULT"


@given(st.text(alphabet="cutdop-no[]@?~/:.0159smh*+ ,", max_size=30))
def test_no_text_does_anything_but_parse_or_be_refused(text: str) -> None:
    plan = Plan()
    with contextlib.suppress(PackagerError):
        plan = parse_faults([text], 60)
    assert plan.rules <= RULES.keys()
    for fault in plan.faults:
        assert fault.kind in KINDS
        assert fault.first >= 0
        assert fault.within >= 0
