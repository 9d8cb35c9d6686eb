"""Log lines for machines: one JSON object each, whatever is in it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from pypackager.runtime.logs import configure_logs


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def test_each_line_is_an_object(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("json")
    log = structlog.get_logger()
    log.info("request", path='/ä"\n', ms=1.25, where=Path("x"))
    log.warning("odd", name="\udc80")
    first, second = (json.loads(line) for line in capsys.readouterr().err.splitlines())
    assert (first["event"], first["path"], first["ms"], first["level"]) == ("request", '/ä"\n', 1.25, "info")
    assert "x" in first["where"]
    assert second["name"] == "\udc80"


def test_a_fault_has_its_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("json")
    try:
        int("why")
    except ValueError:
        structlog.get_logger().exception("fault")
    (line,) = map(json.loads, capsys.readouterr().err.splitlines())
    assert "ValueError: invalid literal" in line["exception"]
