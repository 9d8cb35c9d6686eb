"""`pypackager …`: commands, options, exit codes (0 fine, 1 failed, 2 wrong usage)."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from types import ModuleType
from typing import NoReturn

from pypackager import __version__
from pypackager.cli.cause import sole_cause
from pypackager.model.errors import PackagerError

COMMANDS = ("serve", "demo", "push", "check", "top", "drain")
"""Each a module of its name; the kinds of resources are commands of operate.py."""


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
    arguments = sys.argv[1:] if argv is None else argv
    parser = argparse.ArgumentParser(prog="pypackager", description="A live-streaming packager and origin.")
    parser.add_argument("--version", action="version", version=f"pypackager {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in _commands(arguments[0] if arguments else ""):
        command.add_to(commands)
    options = parser.parse_args(arguments)
    try:
        return int(options.run(options))
    except PackagerError as error:
        place = f"\n  at {error.where}" if error.where else ""
        sys.stderr.write(f"pypackager: {error.code}: {error.detail}{place}\n")
        return 2 if error.code.startswith("CONFIG_") else 1


def _commands(name: str) -> list[ModuleType]:
    """The module of a command; all of them where there is no such command, for help and complaints.

    Together they take a second to load, which a daemon's first answer would wait for. Ctrl-C may come meanwhile.
    """
    if name in COMMANDS:
        return [import_module(f"pypackager.cli.{name}")]
    operate = import_module("pypackager.cli.operate")
    if name in operate.KINDS:
        return [operate]
    return [*(import_module(f"pypackager.cli.{command}") for command in COMMANDS), operate]


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
