"""structlog set up once: for people on a terminal, JSON otherwise."""

from __future__ import annotations

import contextlib
import logging
import sys
from typing import Literal, TextIO, cast

import structlog


class _Patient:
    """Standard error, but a line that can't be written (disk full, reader gone) is lost instead of taking the daemon down."""

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError, ValueError):
            return sys.stderr.write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.flush()


def configure_logs(style: Literal["auto", "human", "json"], *, verbose: bool = False, quiet: bool = False) -> None:
    """Sends all log lines to standard error."""
    human = sys.stderr.isatty() if style == "auto" else style == "human"
    renderer: structlog.typing.Processor = structlog.dev.ConsoleRenderer() if human else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="%H:%M:%S" if human else "iso", utc=not human),
            structlog.processors.StackInfoRenderer(),
            *([] if human else [structlog.processors.format_exc_info]),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG if verbose else logging.WARNING if quiet else logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(cast(TextIO, _Patient())),
        cache_logger_on_first_use=True,
    )
