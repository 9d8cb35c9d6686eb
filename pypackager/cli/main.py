"""`pypackager …`: commands, options, exit codes (0 fine, 1 failed, 2 wrong usage)."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from pypackager import __version__
from pypackager.cli.cause import sole_cause
from pypackager.model.errors import PackagerError


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code."""
    try:
        return _run(argv)
    except KeyboardInterrupt:
        return 130
    except BaseExceptionGroup as group:
        if sole_cause(group, KeyboardInterrupt) is None:
            raise
        return 130


def _run(argv: Sequence[str] | None) -> int:
    # The commands' modules take a second or more to load, and Ctrl-C may come meanwhile.
    from pypackager.cli import check, demo, drain, operate, push, serve, top

    parser = argparse.ArgumentParser(prog="pypackager", description="A live-streaming packager and origin.")
    parser.add_argument("--version", action="version", version=f"pypackager {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in (serve, demo, push, check, top, drain, operate):
        command.add_to(commands)
    options = parser.parse_args(argv)
    try:
        return int(options.run(options))
    except PackagerError as error:
        place = f"\n  at {error.where}" if error.where else ""
        sys.stderr.write(f"pypackager: {error.code}: {error.detail}{place}\n")
        return 2 if error.code.startswith("CONFIG_") else 1


def entry() -> NoReturn:
    """Runs the command of this process, and ends the process at once.

    What a daemon holds the kernel takes back in a moment. The interpreter would take it apart piece by piece, which is a fifth of a second
    on an idle machine, more than all the rest of an end, and seconds where others want the processor.
    """
    code = main()
    for stream in (sys.stdout, sys.stderr):
        # Who read it may have gone.
        with contextlib.suppress(BrokenPipeError):
            stream.flush()
    os._exit(code)


if __name__ == "__main__":
    entry()
