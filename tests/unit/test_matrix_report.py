"""The page of the fault matrix is gathered in parts: each set-up's run replaces its own row and leaves all others."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.report import read_section, read_table, table, write_section
from tests.helpers import matrix_report
from tests.helpers.looped import Hole, Story
from tests.helpers.matrix import Outcome
from tests.helpers.matrix_plan import SET_UPS, SINGLE, Hit, Plan, Protocol, SetUp

FOUR = [Hit("cut", 6.0 + n, 0.0, 0, "primary") for n in range(4)]


@pytest.fixture(autouse=True)
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "RESULTS.md"
    path.write_text("# Results\n\nOf others.\n")
    monkeypatch.setattr("benchmarks.report.RESULTS", path)
    return path


def outcome(
    set_up: SetUp, lags: list[float], *, hits: list[Hit] | None = None, faults: list[str] | None = None, hole: float = 0.0
) -> Outcome:
    plan = Plan("run", set_up, "fmp4", 30.0, hits=hits or [])
    holes = [Hole("video", 10.0, hole, 50)] if hole else []
    return Outcome(plan, [Story("video", "video", 0.0, 0.0, 30.0, holes)], faults or [], len(plan.hits), lags)


def held(rate: float) -> matrix_report.Held:
    return matrix_report.Held(rate, 16, 0.25, "a frame was lost")


def rows() -> list[dict[str, str]]:
    return read_table(read_section("matrix"))


def test_added_latency_is_what_one_encoder_on_one_path_has_less() -> None:
    runs = [
        outcome(SET_UPS["b"], [1.0, 1.5, 3.5], hits=FOUR),
        outcome(SET_UPS["b"], [1.25, 1.5], hits=FOUR[:2], faults=["a frame is missing"], hole=2.0),
        outcome(SINGLE, [1.0, 1.25, 2.0]),
    ]
    matrix_report.write_row("b", "fmp4", runs, 7)
    assert rows() == [
        {
            "set-up": "b", "protocol": "fmp4", "faults survived": "4 / 6", "longest gap": "2.00 s", "lag, median": "1.50 s",
            "lag, most": "3.50 s", "one path, median": "1.25 s", "one path, most": "2.00 s", "added, median": "0.25 s",
            "added, most": "1.50 s", "reconnects": "6", "seed": "7",
        }
    ]  # fmt: skip


def test_nothing_is_added_without_a_sign() -> None:
    matrix_report.write_row("b", "fmp4", [outcome(SET_UPS["b"], [1.001], hits=FOUR), outcome(SINGLE, [1.003])], 7)
    assert rows()[0]["added, median"] == "0.00 s"


def test_a_lane_without_samples_says_so() -> None:
    matrix_report.write_row("b", "fmp4", [outcome(SET_UPS["b"], [1.0], hits=FOUR), outcome(SINGLE, [])], 7)
    assert [rows()[0][head] for head in ("lag, median", "one path, median", "added, median")] == ["1.00 s", "-", "-"]


def test_each_set_up_has_its_row(page: Path) -> None:
    for name, seed in (("c", 1), ("a", 2), ("c", 3)):
        matrix_report.write_row(name, "fmp4", [outcome(SET_UPS[name], [1.0], hits=FOUR), outcome(SINGLE, [1.0])], seed)
    matrix_report.write_row("b", "rtmp", [outcome(SET_UPS["b"], [1.0], hits=FOUR), outcome(SINGLE, [1.0])], 4)
    assert [(row["set-up"], row["protocol"], row["seed"]) for row in rows()] == [("a", "fmp4", "2"), ("c", "fmp4", "3"), ("b", "rtmp", "4")]
    assert page.read_text().startswith("# Results\n\nOf others.\n")
    assert page.read_text().count("<!-- matrix -->") == 1


def test_reconnects_held_stay_where_rows_change() -> None:
    matrix_report.write_row("a", "fmp4", [outcome(SET_UPS["a"], [1.0], hits=FOUR), outcome(SINGLE, [1.0])], 1)
    matrix_report.write_held("fmp4", held(48.4), 5)
    matrix_report.write_row("a", "fmp4", [outcome(SET_UPS["a"], [2.0], hits=FOUR), outcome(SINGLE, [1.0])], 2)
    text = read_section("matrix")
    assert text.count("Reconnects held over fmp4: **48 a second**") == 1
    assert "seed 5" in text
    assert [row["added, median"] for row in rows()] == ["1.00 s"]
    matrix_report.write_held("fmp4", held(52.0), 6)
    assert "**48" not in read_section("matrix")
    assert [row["seed"] for row in rows()] == ["2"]


def test_reconnects_held_are_told_of_each_protocol() -> None:
    told_of: list[tuple[Protocol, float, int]] = [("rtmp", 40.0, 1), ("fmp4", 48.0, 2), ("rtmp", 44.0, 3)]
    for protocol, rate, seed in told_of:
        matrix_report.write_held(protocol, held(rate), seed)
    matrix_report.write_row("a", "rtmp", [outcome(SET_UPS["a"], [1.0], hits=FOUR)], 4)
    told = [text for text in read_section("matrix").split("\n\n") if text.startswith("Reconnects held")]
    assert [text.split("**")[:2] for text in told] == [
        ["Reconnects held over fmp4: ", "48 a second"], ["Reconnects held over rtmp: ", "44 a second"],
    ]  # fmt: skip
    assert "seed 3" in told[1]
    assert len(rows()) == 1


def test_a_row_of_an_older_page_keeps_what_it_says() -> None:
    write_section("matrix", "Faults of ingest redundancy", table(["set-up", "protocol", "lag, median"], [["a", "rtmp", "1.9 s"]]))
    matrix_report.write_row("a", "fmp4", [outcome(SET_UPS["a"], [1.0], hits=FOUR)], 1)
    old = rows()[1]
    assert (old["set-up"], old["protocol"], old["lag, median"], old["added, median"], old["seed"]) == ("a", "rtmp", "1.9 s", "-", "-")


def test_one_path_is_measured_for_as_long_as_the_others() -> None:
    plans = [Plan("a-0", SET_UPS["a"], "rtmp", seconds) for seconds in (20.0, 44.0)]
    lone = matrix_report.beside("a-rtmp", "rtmp", plans)
    assert len({plan.name for plan in lone}) == matrix_report.LONE
    assert {(plan.set_up.name, plan.protocol, plan.seconds, len(plan.hits)) for plan in lone} == {("single", "rtmp", 44.0, 0)}


def test_a_storm_is_raised_until_something_is_lost() -> None:
    """Encoders come back ten times a second, three to a channel, and the daemon holds 700 of them."""
    asked = []

    def attempt(channels: int, every_s: float) -> tuple[float, str]:
        asked.append((channels, every_s))
        rate = 3 * channels * min(10.0, 1 / every_s)
        return rate, "a frame" if rate > 700 else ""

    assert matrix_report.storm(attempt) == matrix_report.Held(480.0, 16, 0.0625, "a frame")
    assert asked == [(8, 0.5), (8, 0.25), (8, 0.125), (8, 0.0625), (8, 0.03125), (16, 0.0625), (32, 0.0625)]


def test_a_storm_is_raised_until_there_are_no_more_reconnects() -> None:
    reached = matrix_report.storm(lambda channels, every_s: (min(100.0, channels / every_s), ""))
    assert reached == matrix_report.Held(100.0, 8, 0.0625, "16 channels made 100 reconnects a second")


def test_a_storm_that_is_too_much_from_the_start_holds_nothing() -> None:
    assert matrix_report.storm(lambda channels, every_s: (48.0, "a frame")).rate == 0
