"""What the benchmarks write down: each its own section of the page, from the outputs of the programs that they run."""

from __future__ import annotations

import argparse
import json
import os
import re
import time
from collections import Counter
from functools import partial
from pathlib import Path

import pytest

from benchmarks import compare, delivery, flame_graph, instructions, processes, report
from benchmarks.doorstep import SIZES
from benchmarks.series import Series

WRK = """\
Running 2s test @ http://127.0.0.1:1/manifest
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.54ms    2.35ms  40.90ms   93.22%
    Req/Sec    40.84k     6.32k   53.93k    71.67%
  125477 requests in 3.09s, 288.39MB read
{}Requests/sec:  40610.22
Transfer/sec:     93.34MB
"""


def test_answers_are_counted_when_all_are_good() -> None:
    assert delivery.parse_wrk(WRK.format("")) == 125_477
    for fault in ("  Non-2xx or 3xx responses: 3\n", "  Socket errors: connect 0, read 0, write 0, timeout 7\n"):
        with pytest.raises(AssertionError):
            delivery.parse_wrk(WRK.format(fault))


def test_percentiles_are_values_that_came() -> None:
    values = [float(value) for value in range(200, 0, -1)]
    assert [delivery.percentile(values, percent) for percent in (50, 99, 100)] == [100.0, 198.0, 200.0]
    assert delivery.percentile([7.0], 99) == 7.0


def test_a_section_takes_the_place_of_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "RESULTS", tmp_path / "RESULTS.md")
    report.write_section("other", "Other", "kept")
    for measured in (90_000.0, 110_000.0):
        rate = delivery.Rate([measured], [50_000.0])
        result = delivery.Result(dict.fromkeys(SIZES, rate), {1: rate, 5000: rate}, delivery.Idle(1000, 20.0))
        options = argparse.Namespace(runs=1, seconds=2.0)
        body = delivery.render(options, {"pypackager": result, "another": result}, delivery.Polls(5000, [0.001, 0.003], 12.0))
        report.write_section("delivery", "Delivery", body)
    text = (tmp_path / "RESULTS.md").read_text()
    assert "kept" in text
    assert "90,000" not in text
    assert text.count("| another, segment, 90 kB | 110,000 / 110,000 | 50,000 / 50,000 | ≥ 50,000 |") == 1
    assert "| another, 1,000 idle viewers, anonymous memory | ≤ 500 MB for 20,000 | 21 MB, 21.0 kB each |" in text
    assert "3.00 ms (median 1.00, most 3.0)" in text


def test_instructions_are_kept_by_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "RESULTS", tmp_path / "RESULTS.md")
    for number, sha in enumerate(["a1", "b2", "c3+", "d4", "e5", "f6", "f6", "a7", "b8"]):
        counts = {"box scan": 1_000 + number} | ({"new path": 7} if number > 6 else {})
        body = instructions.render(counts, sha, instructions.history(report.read_section("instructions")))
        report.write_section("instructions", "Instructions", body)
    rows = [line for line in report.read_section("instructions").splitlines() if line.startswith("| ")]
    assert rows == [
        "| path | b2 | d4 | e5 | f6 | a7 | b8 |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
        "| box scan | 1,001 | 1,003 | 1,004 | 1,006 | 1,007 | 1,008 |",
        "| new path | - | - | - | - | 7 | 7 |",
    ]


def test_what_callgrind_says_is_read() -> None:
    assert instructions.parse_collected("==9== Events    : Ir\n==9== Collected : 38098\n") == 38_098
    assert instructions.parse_totals("summary: 5\ntotals: 250\n") == 250
    for nothing in ("==9== Collected : 0\n", "==9== error\n"):
        with pytest.raises(AssertionError):
            instructions.parse_collected(nothing)


def test_two_commits_are_put_beside_each_other() -> None:
    text = compare.side_by_side(["instructions", "base", "ours"], {"a": 200, "gone": 1}, {"a": 150, "new": 1}, "{:,.0f}")
    assert "| a | 200 | 150 | 0.750 |" in text
    assert text.endswith("\nNot in both: gone, new.\n")
    measured = {"benchmarks": [{"fullname": "benchmarks/bench_mux.py::test_x[a]", "stats": {"median": 2e-6}}]}
    runs = [compare.parse_medians(json.dumps(measured)), {"mux.py::test_x[a]": 4e-6}, {"mux.py::test_x[a]": 3e-6}]
    assert compare.middle(runs) == {"mux.py::test_x[a]": pytest.approx(3.0)}


def test_the_programs_that_are_measured_are_there() -> None:
    assert all((instructions.ROOT / source).is_file() for source in compare.SOURCES.values())


PERF = """\
pump
\tffffffff81d0 _copy_to_iter ([kernel.kallsyms])
\tffffffff81c0 __x64_sys_recvfrom+0x25 ([kernel.kallsyms])
\t    7f0000aa recv (/usr/lib/x86_64-linux-gnu/libc.so.6)
\t    7f0000bb pypackager_pump::pump::run::Loop::run::h0123456789abcdef+0x1f (/srv/pypackager/_core.so)
\tffffffffffffffff [unknown] ([unknown])

python
\t    55550001 _PyEval_EvalFrameDefault (/usr/bin/python3.11)
\t    55550002 PyObject_Vectorcall (/usr/bin/python3.11)

python
\t    7f0000cc [unknown] (/srv/pypackager/_core.so)
\t    55550002 PyObject_Vectorcall (/usr/bin/python3.11)
"""


def test_samples_become_stacks() -> None:
    pump = ("pump", "pypackager_pump::pump::run::Loop::run", "recv", "__x64_sys_recvfrom_k", "_copy_to_iter_k")
    stacks = flame_graph.fold_perf(PERF)
    assert stacks == Counter({pump: 1, ("python", "Python"): 1, ("python", "Python", "[_core.so]"): 1})
    assert flame_graph.fold_raw("run (a.py:1);take (b.py:2) 3\nrun (a.py:1) 1\n") == Counter(
        {("run (a.py:1)", "take (b.py:2)"): 3, ("run (a.py:1)",): 1}
    )
    parts = {"socket": "recvfrom_k", "kernel": "_k", "Python": "Python$"}
    assert flame_graph.shares(stacks, parts) == {"socket": 1 / 3, "kernel": 0, "Python": 1 / 3, "the rest": 1 / 3}


def test_a_box_is_as_wide_as_its_samples() -> None:
    stacks = Counter({("pump", "read"): 600, ("pump", "<write>"): 397, ("pump", "rare"): 1, ("writer",): 2})
    found = re.findall(r'<title>(.*?)</title><rect .*?width="([0-9.]+)"', flame_graph.draw(stacks, "a run"))
    widths = {name: float(width) for name, width in found}
    assert widths["read 60.0%"] == pytest.approx(720 - 0.4)
    assert widths["&lt;write&gt; 39.7%"] == pytest.approx(476.4 - 0.4)
    assert not [name for name in widths if name.startswith("rare")]


def test_memory_comes_free_as_it_is_written(tmp_path: Path) -> None:
    """By a process of its own in a benchmark; here it is this one."""

    def held_mib() -> float:
        found = re.findall(r"^Anonymous:\s+(\d+) kB", Path("/proc/self/smaps_rollup").read_text(), re.MULTILINE)
        return int(found[0]) / 1024

    before = held_mib()
    with processes.given_memory(os.getpid(), 0.128, ahead=16 << 20), (tmp_path / "file").open("wb") as file:
        assert 100 < held_mib() - before < 150
        file.write(bytes(64 << 20))
        deadline = time.monotonic() + 20
        while held_mib() - before > 80 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert 30 < held_mib() - before < 80
    assert held_mib() - before < 30


def test_a_series_goes_on_where_it_was_broken_off(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept = tmp_path / "kept" / "ladders.json"
    asked: list[str] = []

    def measure(name: str) -> list[float]:
        asked.append(name)
        if asked == ["one", "two"]:
            raise KeyboardInterrupt
        return [float(len(asked)), 0.5]

    first = Series(kept)
    assert first.part("one", lambda: measure("one")) == [1.0, 0.5]
    with pytest.raises(KeyboardInterrupt):
        first.part("two", lambda: measure("two"))
    again = Series(kept)
    assert [again.part(name, partial(measure, name)) for name in ("one", "two")] == [[1.0, 0.5], [3.0, 0.5]]
    assert asked == ["one", "two", "two"]
    assert "one: kept of " in capsys.readouterr().out
    assert re.fullmatch(r"Measured on \d{4}-\d\d-\d\d \(.+\); load average at most \d+\.\d\d\.", again.told())
    assert Series(None).part("one", lambda: [2.0]) == [2.0]
