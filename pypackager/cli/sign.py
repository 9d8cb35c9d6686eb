"""`pypackager locator sign`: a URL with a token, for viewers of a locator that demands one."""

from __future__ import annotations

import argparse
from typing import Any


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What a token may be given."""
    parser.add_argument("--for", dest="lifetime", metavar="TIME", help="how long it is good: 90s, 2h, … (default: 1h)")
    parser.add_argument("--until", dest="expires", metavar="INSTANT", help="until when it is good: 2027-01-01T00:00:00Z")
    parser.add_argument("--viewer", metavar="ADDRESS", help="the only address that it is good for (default: any)")
    parser.add_argument("--key", metavar="ID", help="the key that signs (default: the newest)")


def body(options: argparse.Namespace) -> dict[str, Any]:
    """What the API is asked."""
    named = {name: getattr(options, name) for name in ("lifetime", "expires", "viewer", "key")}
    return {name: value for name, value in named.items() if value is not None}
