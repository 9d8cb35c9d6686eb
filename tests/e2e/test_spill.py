"""More in open fragments than may be held in memory: every frame comes out, and the process stays small."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.helpers.daemon import Channel, Daemon, running_daemon
from tests.helpers.encoders import push_isml, push_rtmp
from tests.helpers.frames import read_file
from tests.helpers.media import HEAVY, material
from tests.helpers.outputs import assert_outputs

pytestmark = pytest.mark.e2e

HELD = "max_held = 1048576"


def metric(daemon: Daemon, name: str) -> float:
    """A metric of the channel."""
    found = re.search(rf'^{name}{{channel="news"}} (.+)$', daemon.fetch(daemon.control("metrics")).decode(), re.MULTILINE)
    assert found, name
    return float(found[1])


@pytest.mark.parametrize("protocol", ["fmp4", "rtmp"])
def test_what_is_spilled_comes_out_whole(protocol: str, tmp_path: Path) -> None:
    source = material(HEAVY)
    with running_daemon(tmp_path, Channel("news", protocol=protocol), tuning=HELD) as daemon:
        if protocol == "fmp4":
            push_isml(daemon.ingest("news"), source, tmp_path / "encoder.log", rate=4).finish()
        else:
            publishes = {"v1": ["0:0", "0:2"], "v2": ["0:1"]}
            push_rtmp(daemon.rtmp("news"), source, tmp_path / "encoder.log", publishes, rate=4).finish()
        daemon.end_program("news")
        assert_outputs(daemon, "news", read_file(source), coarser=1000 if protocol == "rtmp" else 1_000_000)
        # At least what one fragment of the larger layer has beyond the bound.
        assert metric(daemon, "pypackager_spilled_bytes_total") > 1_000_000
        assert metric(daemon, "pypackager_held_bytes") == 0
        assert not list(daemon.data.glob(".spill*")), "the spill file has no name"
