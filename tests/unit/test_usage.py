"""What is counted: exact on the clock, by the hour, each amount given away once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pypackager.control.usage import HOUR_NS, Amount, Used
from pypackager.runtime.usage import Usage
from pypackager.timeline.feeds import Now

SECOND_NS = 10**9
UTC = 500_000 * HOUR_NS
START = Now(UTC - 10 * SECOND_NS, 77)


def after(seconds: float) -> Now:
    return Now(START.utc_ns + int(seconds * SECOND_NS), START.mono_ns + int(seconds * SECOND_NS))


def test_only_time_in_running_counts_and_each_hour_has_its_own() -> None:
    usage = Usage()
    usage.look(after(0))
    usage.runs("news", after(4), running=True)
    usage.look(after(6))
    usage.look(after(6))
    usage.runs("news", after(15), running=False)
    usage.look(after(100))
    usage.runs("news", after(7210), running=True)
    usage.look(after(7212.5))
    assert usage.total("channel", "news") == Amount(running_ns=int(13.5 * SECOND_NS))
    assert usage.take() == [
        Used("channel", "news", 499_999, Amount(6 * SECOND_NS)),
        Used("channel", "news", 500_000, Amount(5 * SECOND_NS)),
        Used("channel", "news", 500_002, Amount(int(2.5 * SECOND_NS))),
    ]


def test_a_state_that_is_told_again_counts_once() -> None:
    usage = Usage()
    for second in (0, 1, 2):
        usage.runs("news", after(second), running=True)
    for second in (3, 4):
        usage.runs("news", after(second), running=False)
    assert usage.total("channel", "news").running_ns == 3 * SECOND_NS


def test_a_clock_that_is_set_moves_hours_and_no_time() -> None:
    usage = Usage()
    usage.runs("news", START, running=True)
    usage.look(Now(START.utc_ns + 5 * HOUR_NS, START.mono_ns + 2 * SECOND_NS))
    usage.look(Now(START.utc_ns - 5 * HOUR_NS, START.mono_ns + 3 * SECOND_NS))
    assert usage.total("channel", "news").running_ns == 3 * SECOND_NS
    assert [used.hour for used in usage.take()] == [500_004, 499_994]


def test_bytes_are_those_of_the_hour_in_which_they_are_looked_at() -> None:
    usage = Usage()
    usage.took("news", 700)
    usage.took("news", 50)
    usage.look(after(0))
    usage.gave("locator", "show", 9, after(11))
    usage.gave("locator", "show", 1, after(12))
    usage.look(after(13))
    assert usage.take() == [Used("channel", "news", 499_999, Amount(bytes_in=750)), Used("locator", "show", 500_000, Amount(bytes_out=10))]
    assert usage.take() == []


def test_what_could_not_be_saved_goes_with_the_next_save() -> None:
    usage = Usage()
    usage.remember([("locator", "show", Amount(bytes_out=1000))])
    usage.gave("locator", "show", 5, after(0))
    taken = usage.take()
    usage.gave("locator", "show", 2, after(1))
    usage.give_back(taken)
    assert usage.total("locator", "show") == Amount(bytes_out=1007)
    assert usage.take() == [Used("locator", "show", 499_999, Amount(bytes_out=7))]


@given(st.lists(st.tuples(st.integers(1, 3 * HOUR_NS), st.sampled_from(["run", "rest", "look", "take"])), max_size=40))
def test_whenever_it_is_looked_at_all_running_time_is_counted_once(steps: list[tuple[int, str]]) -> None:
    usage, now, running, expected, taken = Usage(), START, False, 0, 0
    for passed, step in steps:
        now = Now(now.utc_ns + passed, now.mono_ns + passed)
        expected += passed * running
        if step in ("run", "rest"):
            running = step == "run"
            usage.runs("news", now, running=running)
        else:
            usage.look(now)
        if step == "take":
            taken += sum(used.amount.running_ns for used in usage.take())
    usage.look(now)
    assert usage.total("channel", "news").running_ns == expected
    rest = usage.take()
    assert taken + sum(used.amount.running_ns for used in rest) == expected
    assert all(0 < used.amount.running_ns <= HOUR_NS for used in rest)
