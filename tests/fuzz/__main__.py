"""`python -m tests.fuzz TARGET [options of libFuzzer]`: lets a target run under atheris; `make fuzz` does."""

from __future__ import annotations

import sys
from pathlib import Path

import atheris  # pyright: ignore[reportMissingModuleSource] (only `make fuzz` installs it)

with atheris.instrument_imports(include=["pypackager"]):
    from tests.fuzz.targets import TARGETS

from tests.fuzz.seeds import seeds

CORPUS = Path(__file__).parent / "corpus"


def main() -> None:
    """Fills the corpus and runs."""
    if len(sys.argv) < 2 or sys.argv[1] not in TARGETS:
        sys.exit(f"usage: python -m tests.fuzz {'|'.join(TARGETS)} [-runs=N]")
    target = sys.argv.pop(1)
    corpus = CORPUS / target
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds(target)):
        (corpus / f"seed-{number}").write_bytes(seed)
    atheris.Setup([*sys.argv, str(corpus)], TARGETS[target])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
