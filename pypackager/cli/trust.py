"""`--cacert`: whom a command believes over HTTPS."""

from __future__ import annotations

import argparse
import os
import ssl

CACERT = "PYPACKAGER_CACERT"


def add_argument(parser: argparse.ArgumentParser) -> None:
    """Adds the option; its value, `trust`, is what httpx takes as `verify`."""
    parser.add_argument(
        "--cacert",
        dest="trust",
        type=trust,
        default=os.environ.get(CACERT) or True,
        metavar="FILE",
        help=f"PEM file of the only authorities, or servers, that HTTPS is believed of (default: ${CACERT}, else the public authorities)",
    )


def trust(path: str) -> ssl.SSLContext:
    """Believes those in a file alone.

    Raises:
        argparse.ArgumentTypeError: it can't be read.
    """
    try:
        return ssl.create_default_context(cafile=path)
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{path}: {error.strerror or error}") from None
