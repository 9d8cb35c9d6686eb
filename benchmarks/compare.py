"""Two commits side by side: instructions of the Rust hot paths, and medians of the parts (`make bench-compare BASE=<ref>`).

The base is built in a checkout and a target folder of its own under `.cache/bench-compare`; what is compared with it is this tree as it is.
Wall time is measured in turns, so that what else the machine does falls on both; what is compared is the median of the medians.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.instructions import EXAMPLES, ROOT, build, commit, count, missing
from benchmarks.report import table

FOLDER = ROOT / ".cache" / "bench-compare"
TREE, TARGET = FOLDER / "tree", FOLDER / "target"
SOURCES = {crate: Path("rust", crate.removeprefix("pypackager-"), "examples", f"{example}.rs") for crate, example in EXAMPLES.items()}


def check_out(base: str) -> None:
    """Puts the base in its checkout; of a commit that has no programs to measure with yet, ours are taken."""
    sha = run(["git", "rev-parse", "--verify", f"{base}^{{commit}}"], ROOT).strip()
    if not (TREE / ".git").exists():
        shutil.rmtree(TREE, ignore_errors=True)
        run(["git", "worktree", "prune"], ROOT)
        run(["git", "worktree", "add", "--detach", "--force", str(TREE), sha], ROOT)
    run(["git", "checkout", "--quiet", "--force", "--detach", sha], TREE)
    run(["git", "clean", "--quiet", "--force", "-d", "rust", "benchmarks"], TREE)
    for source in SOURCES.values():
        if not (TREE / source).exists():
            (TREE / source).parent.mkdir(exist_ok=True)
            shutil.copyfile(ROOT / source, TREE / source)
    # The same media for both, encoded once.
    (TREE / ".cache").mkdir(exist_ok=True)
    media = TREE / ".cache" / "media"
    if not media.is_symlink():
        media.symlink_to(ROOT / ".cache" / "media")


def build_extensions() -> None:
    """The base's native parts, where its Python finds them."""
    environment = os.environ | {"CARGO_TARGET_DIR": str(TARGET), "PYO3_PYTHON": sys.executable}
    run(["cargo", "build", "--quiet", "--release", "--locked", "-p", "pypackager-python"], TREE, environment)
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    shutil.copyfile(TARGET / "release" / "lib_core.so", TREE / "pypackager" / f"_core{suffix}")
    run([sys.executable, "-c", "from pypackager_build import build_extensions; build_extensions()"], TREE, _paths(TREE / "build_backend"))


def medians(tree: Path, select: str) -> dict[str, float]:
    """Seconds of each part of a checkout."""
    files = sorted(str(path.relative_to(tree)) for path in (tree / "benchmarks").glob("bench_*.py"))
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "out.json")
        command = [sys.executable, "-m", "pytest", *files, "-q", "--benchmark-only", f"--benchmark-json={out}", "--timeout=0"]
        # A budget that is missed, which is a failure, is a figure all the same.
        subprocess.run([*command, *(["-k", select] if select else [])], cwd=tree, env=_paths(tree), check=False, stdout=subprocess.DEVNULL)
        return parse_medians(out.read_text())


def parse_medians(text: str) -> dict[str, float]:
    """Medians of pytest-benchmark's report, by name."""
    name = "{0[fullname]}".format
    return {name(one).partition("benchmarks/bench_")[2]: one["stats"]["median"] for one in json.loads(text)["benchmarks"]}


def side_by_side(heading: Sequence[str], base: Mapping[str, float], ours: Mapping[str, float], form: str) -> str:
    """A table with what both have, and the second as a share of the first."""
    shared = [name for name in ours if name in base]
    rows = [[name, form.format(base[name]), form.format(ours[name]), f"{ours[name] / base[name]:.3f}"] for name in shared]
    alone = ", ".join(sorted(ours.keys() ^ base.keys()))
    return table([*heading, "ratio"], rows) + (f"\nNot in both: {alone}.\n" if alone else "")


def main(arguments: Sequence[str] | None = None) -> None:
    """Builds, measures and prints."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compare", description=__doc__)
    parser.add_argument("base", help="a commit")
    parser.add_argument("--rounds", type=int, default=3, help="runs of the parts of each, in turns; 0: instructions alone")
    parser.add_argument("--select", default="", help="parts, as pytest's -k")
    options = parser.parse_args(arguments)
    assert not missing(), missing()
    check_out(options.base)
    names = commit(TREE).rstrip("+"), commit(ROOT)
    base = count(build(TREE, TARGET, lent=True))
    ours = count(build(ROOT, Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))))
    print(f"\n{side_by_side(['instructions', *names], base, ours, '{:,.0f}')}")
    if options.rounds:
        build_extensions()
        measured: dict[Path, list[dict[str, float]]] = {TREE: [], ROOT: []}
        for number in range(options.rounds):
            for tree in (TREE, ROOT) if number % 2 == 0 else (ROOT, TREE):
                measured[tree].append(medians(tree, options.select))
        before, now = (middle(measured[tree]) for tree in (TREE, ROOT))
        print(f"\n{side_by_side(['median, µs', *names], before, now, '{:,.1f}')}")


def middle(runs: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Microseconds: the median of what the runs have."""
    names = dict.fromkeys(name for one in runs for name in one)
    return {name: statistics.median(one[name] for one in runs if name in one) * 1e6 for name in names}


def run(command: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None) -> str:
    """What a command says; one that fails ends this."""
    return subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout


def _paths(first: Path) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(first)}


if __name__ == "__main__":
    main()
