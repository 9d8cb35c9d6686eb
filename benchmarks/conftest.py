"""Writes what was measured to RESULTS.md at the end of a run over all suites, missed budgets included."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from benchmarks.report import table, write_section
from pypackager.runtime.allocator import keep_memory

_failed: list[str] = []


def pytest_configure() -> None:
    """Memory is kept as the daemon keeps it: what one suite leaves of the allocator's settings is not the next one's cost."""
    keep_memory()


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """A benchmark that fails, most likely for its budget, is named under the table."""
    if report.failed:
        _failed.append(report.nodeid.rpartition("::")[2])


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Only a whole run is written down."""
    measured = getattr(getattr(session.config, "_benchmarksession", None), "benchmarks", [])
    chosen = session.config.option.keyword or session.config.option.markexpr or not all(Path(one).is_dir() for one in session.config.args)
    if not measured or chosen or exitstatus not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        return
    rows = [_row(one) for one in sorted(measured, key=lambda one: (one.fullname.partition("::")[0], one.name))]
    body = table(["benchmark", "minimum", "median", "rounds", "beside"], rows)
    missed = f"\nFailed or over budget: {', '.join(_failed)}.\n" if _failed else ""
    about = f"Wall time, but sessions in CPU time of the pump's thread; load average at the end {os.getloadavg()[1]:.2f}."
    write_section("units", "Parts", f"{about}\n\n{body}{missed}")


def _row(one: Any) -> list[str]:
    suite = one.fullname.partition("::")[0].rpartition("/")[2].removeprefix("bench_").removesuffix(".py")
    beside = ", ".join(f"{name.replace('_', ' ')} {_plain(value)}" for name, value in one.extra_info.items())
    name = one.name.removeprefix("test_").replace("_", " ")
    return [f"{suite}: {name}", _time(one.stats.min), _time(one.stats.median), str(one.stats.rounds), beside]


def _plain(value: Any) -> str:
    return " / ".join(map(str, value.values())) if isinstance(value, dict) else str(value)


def _time(seconds: float) -> str:
    for unit, factor in (("s", 1.0), ("ms", 1e3)):
        if seconds * factor >= 1:
            return f"{seconds * factor:.2f} {unit}"
    return f"{seconds * 1e6:.1f} µs"
