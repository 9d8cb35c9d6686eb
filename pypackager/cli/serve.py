"""`pypackager serve`: the daemon."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import trio

from pypackager.cli.cause import sole_cause
from pypackager.config.load import load_config
from pypackager.model.errors import PackagerError
from pypackager.runtime.allocator import keep_memory
from pypackager.runtime.daemon import Daemon
from pypackager.runtime.logs import configure_logs


def add_to(commands: Any) -> None:
    """Adds the command to the parser."""
    parser = commands.add_parser(
        "serve", help="run the daemon", description="Runs the daemon until SIGINT or SIGTERM; SIGHUP reloads the file."
    )
    parser.add_argument("--config", type=Path, default=Path("pypackager.toml"), metavar="FILE", help="TOML file (default: pypackager.toml)")
    parser.add_argument("--verbose", action="store_true", help="log more")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Loads the file and serves."""
    config = load_config(options.config)
    configure_logs(config.log, verbose=options.verbose)
    keep_memory()
    try:
        trio.run(Daemon(config, reload=lambda: load_config(options.config)).run)
    except BaseExceptionGroup as group:
        cause = sole_cause(group, PackagerError)
        if cause is not None:
            raise cause from None
        raise
    return 0
