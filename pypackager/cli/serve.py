"""`pypackager serve`: the daemon."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pypackager.cli.cause import run_to_end
from pypackager.config.load import load_config
from pypackager.config.reconcile import lines, plan
from pypackager.control.database import peek
from pypackager.control.registry import FILE
from pypackager.runtime.allocator import keep_memory
from pypackager.runtime.daemon import Daemon
from pypackager.runtime.descriptors import allow_descriptors
from pypackager.runtime.logs import configure_logs


def add_to(commands: Any) -> None:
    """Adds the command to the parser."""
    parser = commands.add_parser(
        "serve", help="run the daemon", description="Runs the daemon until SIGINT or SIGTERM; SIGHUP reloads the file."
    )
    parser.add_argument("--config", type=Path, default=Path("pypackager.toml"), metavar="FILE", help="TOML file (default: pypackager.toml)")
    parser.add_argument("--plan", action="store_true", help="print what a start with this file would do, and why; do nothing")
    parser.add_argument("--verbose", action="store_true", help="log more")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Loads the file and serves."""
    config = load_config(options.config)
    if options.plan:
        made = plan(config, peek(Path(config.data_dir) / FILE), datetime.now(UTC))
        sys.stdout.write("".join(f"{line}\n" for line in lines(made)) or "nothing to do\n")
        return 0
    configure_logs(config.log, verbose=options.verbose)
    keep_memory()
    allow_descriptors()
    run_to_end(Daemon(config, reload=lambda: load_config(options.config), verbose=options.verbose).run)
    return 0
