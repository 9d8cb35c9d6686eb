"""Instructions of the Rust hot paths over fixed recordings, counted by callgrind (`make bench-instructions`).

A count does not depend on what else the machine does, so it may be measured anywhere and compared between commits. It says nothing of what
memory and the kernel cost. Code that chooses by the processor's features (deflate, CRC) counts what this processor takes.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.report import read_section, read_table, table, write_section

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = {"pypackager-core": "paths", "pypackager-frontdoor": "answers"}
"""Programs that take the paths, by their crates."""
KINDS = {"manifest": "manifest, 2 kB", "gzip": "manifest, deflated", "unchanged": "manifest, not modified", "segment": "segment, 90 kB"}
"""What the front door is asked for, as its program calls it."""
FEW, MANY = 200, 700
"""Answers whose difference is taken: what a start and an end cost is left out."""
KEPT = 6
"""Commits that the table has."""

Counts = dict[str, int]
"""Instructions by path."""


def build(tree: Path, target: Path, *, lent: bool = False) -> dict[str, Path]:
    """Builds the programs of a checkout in a target folder of its own.

    Args:
        tree: the checkout.
        target: the folder.
        lent: programs may be of another commit, and not fit: one that can't be built is left out.
    """
    built = {}
    for crate, example in EXAMPLES.items():
        command = ["cargo", "build", "--quiet", "--release", "--locked", "-p", crate, "--example", example]
        done = subprocess.run(command, cwd=tree, env=os.environ | {"CARGO_TARGET_DIR": str(target)}, check=not lent)
        if done.returncode == 0:
            built[crate] = target / "release" / "examples" / example
        else:
            print(f"{crate} of {commit(tree)} is not measured: {example} is of another commit and does not fit", flush=True)
    return built


def count(programs: Mapping[str, Path]) -> Counts:
    """Instructions of all paths."""
    counts = {}
    if paths := programs.get("pypackager-core"):
        names = subprocess.run([paths], check=True, capture_output=True, text=True).stdout.splitlines()
        counts = {name: parse_collected(callgrind([str(paths), name], "--toggle-collect=*measured*")) for name in names}
    if answers := programs.get("pypackager-frontdoor"):
        for kind, name in KINDS.items():
            few, many = (front_thread(answers, kind, count) for count in (FEW, MANY))
            counts[f"front door: {name}"] = round((many - few) / (MANY - FEW))
    return counts


def callgrind(command: Sequence[str], *options: str, out: str = "/dev/null") -> str:
    """Runs a program; returns what callgrind says of it."""
    valgrind = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", *options, *command]
    ran = subprocess.run(valgrind, check=False, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr[-2000:]
    return ran.stderr


def front_thread(program: Path, kind: str, answers: int) -> int:
    """Instructions of the front door's thread; it is the first that its program starts, so it is the second."""
    with tempfile.TemporaryDirectory() as folder:
        callgrind([str(program), kind, str(answers)], "--separate-threads=yes", out=f"{folder}/out")
        return parse_totals(Path(folder, "out-02").read_text())


def parse_collected(said: str) -> int:
    """The count that callgrind prints at the end."""
    found = re.search(r"Collected : (\d+)", said)
    assert found, said
    assert int(found[1]), "nothing was measured"
    return int(found[1])


def parse_totals(profile: str) -> int:
    """The sum of a profile."""
    found = re.search(r"^totals: (\d+)", profile, re.MULTILINE)
    assert found, profile[:500]
    return int(found[1])


def commit(tree: Path) -> str:
    """The commit that a checkout has; with a plus sign when files of it are not committed."""
    git = ["git", "-C", str(tree)]
    sha = subprocess.run([*git, "rev-parse", "--short=8", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    changed = subprocess.run([*git, "status", "--porcelain", "--", "rust"], check=True, capture_output=True, text=True).stdout
    return f"{sha}+" if changed else sha


def history(section: str) -> dict[str, dict[str, str]]:
    """What a table of earlier commits has: counts by path, by commit."""
    rows = read_table(section) if section else []
    shas = [name for name in rows[0] if name != "path"] if rows else []
    return {sha: {row["path"]: row[sha] for row in rows} for sha in shas}


def render(counts: Counts, sha: str, before: Mapping[str, Mapping[str, str]]) -> str:
    """The section of RESULTS.md: a column for each commit, the newest last."""
    # A column of a tree that was not committed says nothing to who reads it later.
    kept = {old: column for old, column in before.items() if old != sha and not old.endswith("+")}
    columns = dict([*kept.items(), (sha, {name: f"{value:,}" for name, value in counts.items()})][-KEPT:])
    names = dict.fromkeys([*counts, *(name for column in columns.values() for name in column)])
    rows = [[name, *(column.get(name, "-") for column in columns.values())] for name in names]
    return (
        "Instructions by commit, counted by callgrind: they do not depend on what else the machine does. Captures of real encoders and a "
        "made-up layer of 6.6 Mbit/s; the front door's are of its thread, for each answer, without the kernel's.\n\n"
        + table(["path", *columns], rows)
    )


def missing() -> str:
    """What has to be installed first."""
    return "" if shutil.which("valgrind") else "apt-get install valgrind"


def main(arguments: Sequence[str] | None = None) -> None:
    """Counts, and writes RESULTS.md."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.instructions", description=__doc__)
    parser.add_argument("--dry", action="store_true", help="print, and leave RESULTS.md alone")
    options = parser.parse_args(arguments)
    assert not missing(), missing()
    counts = count(build(ROOT, Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))))
    body = render(counts, commit(ROOT), history(read_section("instructions")))
    print(f"\n{body}")
    if not options.dry:
        write_section("instructions", "Instructions of the hot paths", body)


if __name__ == "__main__":
    main()
