"""`pypackager drain`: planned disconnects of the encoders of a running daemon, over its REST API."""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import closing
from typing import Any

from pypackager.cli.api import Api, add_control
from pypackager.cli.tables import print_table

COLUMNS = ("channel", "side", "closed", "missing", "seconds")


def add_to(commands: Any) -> None:
    """Adds the command to the parser."""
    about = (
        "Closes the connections of encoders in good order: one side of each channel, and the next one when its streams are there again. "
        "Who comes back is taken at once. Exit code 1: a stream did not come back in time."
    )
    parser = commands.add_parser("drain", help="disconnect the encoders of a running daemon, one side after the other", description=about)
    add_control(parser)
    parser.add_argument("sides", nargs="*", metavar="SIDE", help="primary, secondary; in this order (default: primary secondary)")
    parser.add_argument("--channel", metavar="NAME", help="of this channel alone")
    parser.add_argument("--wait", metavar="TIME", help="how long streams are waited for (default: tuning.drain_wait of the daemon)")
    parser.add_argument("--json", action="store_true", help="print the API's answer")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Has it done, and prints what came of it."""
    body: dict[str, Any] = {name: value for name in ("sides", "channel", "wait") if (value := getattr(options, name))}
    with closing(Api(options.control, options.trust)) as ask:
        operation = ask.ended(ask("POST", "drain", body))
    sides: list[dict[str, Any]] = operation["result"]["sides"]
    if options.json:
        sys.stdout.write(f"{json.dumps(operation, indent=2)}\n")
    else:
        print_table(COLUMNS, sides)
    return 1 if any(each["missing"] for each in sides) else 0
