"""structlog set up once: for people on a terminal, JSON otherwise."""

from __future__ import annotations

import contextlib
import json
import logging
import sys
from collections.abc import Callable
from typing import Any, Literal, TextIO, cast

import msgspec
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


def _encode(event: dict[str, Any], default: Callable[[Any], Any], **_: Any) -> str:
    """A line. The access log has one for each request, and the standard library's encoder takes four times as long."""
    try:
        return msgspec.json.encode(event, enc_hook=default).decode()
    except UnicodeEncodeError:
        # A name that is no text; the standard library escapes what UTF-8 has no form for.
        return json.dumps(event, default=default)


def configure_logs(style: Literal["auto", "human", "json"], *, verbose: bool = False, quiet: bool = False) -> None:
    """Sends all log lines to standard error."""
    human = sys.stderr.isatty() if style == "auto" else style == "human"
    renderer: structlog.typing.Processor = structlog.dev.ConsoleRenderer() if human else structlog.processors.JSONRenderer(_encode)
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
        logger_factory=structlog.WriteLoggerFactory(cast(TextIO, _Patient())),
        cache_logger_on_first_use=True,
    )
