"""`pypackager top`: what it shows, once and each second, and how it ends."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any, cast

import pytest
from rich.console import Console

from pypackager.cli.api import Api
from pypackager.cli.top import follow, render
from pypackager.model.errors import PackagerError
from tests.component.test_locators import both
from tests.component.test_operate import Capture

CHANNEL: dict[str, Any] = {
    "name": "news",
    "state": "Running",
    "status": "Streaming",
    "tracks": [
        {"kind": "video", "bitrate_bps": 2_000_000},
        {"kind": "video", "bitrate_bps": 500_000},
        {"kind": "audio", "bitrate_bps": 128_000},
    ],
    "gap_s": 1.24,
    "depth_s": 4000.0,
    "interval_s": 2.0,
    "viewers": 7,
    "programs": ["final", "old"],
    "recording": ["final"],
    "alerts": [{"code": "TRACK_GAP", "count": 3}],
}


def text(channels: list[Any], width: int = 140) -> str:
    out = io.StringIO()
    Console(file=out, width=width).print(render(channels))
    return out.getvalue()


def test_a_row_says_how_a_channel_is() -> None:
    shown = text([CHANNEL, CHANNEL | {"name": "[b]", "status": "Stopped", "state": "Stopped", "tracks": [], "viewers": 0}])
    assert "2 channels   2.6 Mbit/s in   7 viewers" in shown
    news, other = shown.splitlines()[2:4]
    assert news.split() == [
        "news",
        "Streaming",
        "2v",
        "1a",
        "2.63",
        "1.2",
        "s",
        "1:06:40",
        "7",
        "final",
        "old",
        "TRACK_GAP",
        "3",
    ]
    assert other.split()[:6] == ["[b]", "Stopped", "none", "0.00", "-", "1:06:40"], "a name is no markup"


@pytest.mark.parametrize(("gap", "interval", "late"), [(5.9, 2.0, False), (6.1, 2.0, True), (6.1, 6.0, False), (6.1, None, True)])
def test_a_gap_of_three_key_frame_intervals_is_late(gap: float, interval: float | None, late: bool) -> None:
    out = io.StringIO()
    Console(file=out, width=140, force_terminal=True).print(render([CHANNEL | {"gap_s": gap, "interval_s": interval}]))
    assert ("\x1b[1;31m" in out.getvalue()) == late


class Answers:
    """A daemon that answers, is gone for a while, and answers again."""

    def __init__(self) -> None:
        self.asked = 0

    def pages(self, path: str, wanted: object) -> list[Any]:
        assert (path, wanted) == ("channels", {})
        self.asked += 1
        if self.asked == 3:
            raise PackagerError("CONTROL_UNREACHABLE", "no daemon answers there")
        return [CHANNEL | {"viewers": self.asked * 100}]


def test_it_shows_each_second_until_it_is_interrupted_whatever_the_daemon_does() -> None:
    out, slept = io.StringIO(), []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 4:
            raise KeyboardInterrupt

    follow(cast("Api", Answers()), Console(file=out, width=140, height=20, force_terminal=True), 1.0, sleep)
    assert slept == [1.0] * 4
    parts = [out.getvalue().find(part) for part in ("100 viewers", "200 viewers", "CONTROL_UNREACHABLE", "400 viewers")]
    assert parts == sorted(parts)
    assert parts[0] >= 0
    assert out.getvalue().endswith("\x1b[?25h\x1b[?1049l"), "the terminal is as it was"


async def test_once_and_in_json_against_a_daemon(tmp_path: Path, capsys: Capture) -> None:
    life = both(tmp_path)
    async with life.running():
        await life.publish()
        capsys.readouterr()
        for command in ("top", "top --once"):
            assert await life.tell(command) == 0
            row = capsys.readouterr().out.splitlines()[2].split()
            assert row[:4] == ["ch", "Streaming", "2v", "1a"]
        assert await life.tell("top --json") == 0
        (channel,) = json.loads(capsys.readouterr().out)
        assert channel == await life.fine("GET", "channels/ch") | {"usage": channel["usage"], "gap_s": channel["gap_s"]}
    assert await life.tell("top --once") == 1
    assert "CONTROL_UNREACHABLE" in capsys.readouterr().err
