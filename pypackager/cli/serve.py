"""`pypackager serve`: the daemon."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from pypackager.cli.cause import run_to_end
from pypackager.config.load import load_config
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
    run_to_end(Daemon(config, reload=lambda: load_config(options.config)).run)
    return 0
