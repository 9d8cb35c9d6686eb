"""An operator's commands against a daemon: what is printed, and what is said when it can't be."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import trio

from pypackager.cli.main import main
from tests.component.test_daemon_life import Life

Capture = pytest.CaptureFixture[str]


class Operator(Life):
    """A daemon without a file, told by commands."""

    async def tell(self, command: str, *more: str) -> int:
        control = f"--control=http://{self.daemon.addresses['control'][0]}"
        return await trio.to_thread.run_sync(main, [*command.split(), *more, control])


async def test_an_event_by_commands(tmp_path: Path, capsys: Capture) -> None:
    life = Operator(tmp_path, channel=[])
    async with life.running():
        for command in (
            'channel create ch ingest_allow=["127.0.0.1"] description=evening',
            "channel start ch --wait",
            "program create ch/show archive_window=10m",
            "program start ch/show --wait",
            "locator create show --path tv",
        ):
            assert await life.tell(command) == 0, command
        await life.push()
        capsys.readouterr()
        assert await life.tell("channel list") == 0
        head, row = (line.split() for line in capsys.readouterr().out.splitlines())
        assert head[:4] == ["NAME", "STATUS", "PROTOCOL", "PROGRAMS"]
        assert row[:4] == ["ch", "Streaming", "fmp4", "show"]
        assert await life.tell("channel show ch", "--json") == 0
        shown = json.loads(capsys.readouterr().out)
        assert {track["kind"] for track in shown["tracks"]} == {"video", "audio"}
        assert await life.tell("channel show ch") == 0
        assert shown["ingest"]["primary"][0] in capsys.readouterr().out
        for command in (
            "program stop ch/show --wait",
            "program set ch/show archive_window=20m",
            "channel reset ch --wait",
            "program delete ch/show",
            "channel stop ch --wait",
            "channel set ch description=null",
            "channel delete ch --wait",
            "locator delete tv",
            "asset delete show",
        ):
            assert await life.tell(command) == 0, command
        capsys.readouterr()
        assert await life.tell("channel list", "--json") == 0
        assert json.loads(capsys.readouterr().out) == []


@pytest.mark.parametrize(
    ("command", "code", "said"),
    [
        ("channel stop ch", 1, "CHANNEL_STATE: a channel that is Stopped cannot stop: it has to be Running"),
        ("channel show x", 1, "CHANNEL_UNKNOWN"),
        ("program start show", 2, "write CHANNEL/NAME"),
        ("channel set ch description", 2, "write KEY=VALUE"),
        ("channel set ch protocoll=rtmp", 1, "INVALID"),
        ("program start ch/show --wait", 1, "CHANNEL_STATE: no program can start while its channel is Stopped: it has to be Running"),
    ],
)
async def test_what_cannot_be_is_one_line_with_the_next_step(tmp_path: Path, capsys: Capture, command: str, code: int, said: str) -> None:
    life = Operator(tmp_path, channel=[])
    async with life.running():
        await life.tell("channel create ch")
        await life.tell("program create ch/show")
        capsys.readouterr()
        assert await life.tell(command) == code
        assert said in capsys.readouterr().err


def test_no_daemon_is_said(capsys: Capture) -> None:
    assert main(["asset", "list", "--control", "http://127.0.0.1:9"]) == 1
    assert "CONTROL_UNREACHABLE: no daemon answers there" in capsys.readouterr().err
