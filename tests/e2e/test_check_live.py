"""A live channel is watched by the judge: in every format it is as live as it says while its encoder sends, and stalls when it does not."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import pytest
import trio

from pypackager.check.finding import Report
from pypackager.check.http_origin import open_http_origin
from pypackager.check.run import run
from pypackager.check.session import Settings
from pypackager.check.tables import describe
from tests.helpers.daemon import Channel, running_daemon
from tests.helpers.encoders import push_isml
from tests.helpers.media import LADDER, material
from tests.helpers.presentation import OUTPUTS

pytestmark = pytest.mark.e2e

BEFORE_SECONDS = 14.0
"""Two segments of HLS."""


def watched(urls: Sequence[str], seconds: float) -> Report:
    async def main() -> Report:
        async with open_http_origin() as origin:
            return await run(list(urls), origin, Settings(seconds=seconds, depth="quick"))

    return trio.run(main)


def said(report: Report) -> dict[str, str]:
    """Rules on liveness and on HTTP that were broken by more than a note, each with its first finding."""
    out: dict[str, str] = {}
    for each in report.findings():
        if each.rule.id.startswith(("LIVE-", "HTTP-")) and each.rule.severity != "note":
            out.setdefault(each.rule.id, f"{each.rule.id} at {describe(each.place)}: {each.found}, expected {each.expected}")
    return out


def test_a_channel_is_as_live_as_it_says(tmp_path: Path) -> None:
    source = material(LADDER)
    with running_daemon(tmp_path, Channel("news")) as daemon, push_isml(daemon.ingest("news"), source, tmp_path / "encoder.log") as encoder:
        time.sleep(BEFORE_SECONDS)
        found = said(watched([daemon.presentation("news", output.manifest) for output in OUTPUTS.values()], 20.0))
        # A machine that many tests share is late itself now and then.
        found.pop("LIVE-JITTER", None)
        assert not found, "\n".join(found.values())
        encoder.kill()
        found = said(watched([daemon.presentation("news", OUTPUTS[name].manifest) for name in ("dash", "smooth")], 12.0))
        assert found.keys() == {"LIVE-STALL"}, "\n".join(found.values())
