"""A drain under real encoders that push to both sides: they are disconnected one after the other, and viewers notice nothing."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path

import pytest

from pypackager.cli.main import main
from tests.helpers.daemon import Channel, running_daemon
from tests.helpers.encoders import push_with_recovery
from tests.helpers.media import SINGLE, material
from tests.helpers.presentation import OUTPUTS

pytestmark = pytest.mark.e2e


def test_each_side_in_its_turn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = material(SINGLE)
    with running_daemon(tmp_path, Channel("news")) as daemon, ExitStack() as stack:
        urls = {side: daemon.ingest("news", side=side) for side in ("", "secondary")}
        encoders = [
            stack.enter_context(push_with_recovery(url, source, tmp_path / f"{side or 'primary'}.log")) for side, url in urls.items()
        ]
        dash = OUTPUTS["dash"]
        daemon.wait_for(daemon.presentation("news", dash.manifest), "<S ")
        assert main(["drain", "--control", daemon.control(), "--json"]) == 0, daemon.tail()
        sides = json.loads(capsys.readouterr().out)["result"]["sides"]
        assert [(each["side"], each["closed"], each["missing"]) for each in sides] == [("primary", 1, []), ("secondary", 1, [])]
        assert all(encoder.running() for encoder in encoders)
        for encoder in encoders:
            encoder.stop()
        daemon.end_program("news")
        tracks = dash.read(daemon.fetch, daemon.presentation("news", dash.manifest))
        for track in tracks:
            steps = {after.dts - before.dts for before, after in zip(track.frames, track.frames[1:], strict=False)}
            assert max(steps) * 10 < track.timescale, f"{track.label}: a hole of {max(steps) / track.timescale} s"
        assert len(tracks) == 2
