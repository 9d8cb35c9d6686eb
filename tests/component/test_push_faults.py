"""The test encoder's faults against a real daemon: what a sender that resends loses (nothing), and what the report says of it."""

from __future__ import annotations

import re
import socket
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pypackager.cli.main import main
from tests.helpers.certificates import Authority
from tests.helpers.daemon import Channel, Daemon, running_daemon
from tests.helpers.media import AUDIO_ONLY, SINGLE, material

EMPTY = "finished at once"
TRACK_ID = re.compile(rb"(tfhd.{4}).{4}", re.DOTALL)
LINES = re.compile(r"^#EXTINF.*|^#EXT-X-DISCONTINUITY.*|^[^#].*", re.MULTILINE)


def push(capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, dict[str, Any]]:
    code = main(["push", "--speed", "0", "--once", "--json", "--seed", "7", "--ladder", *options])
    return code, msgspec.json.decode(capsys.readouterr().out)


def published(daemon: Daemon, channel: str) -> dict[str, list[tuple[str, bytes]]]:
    """Each media playlist's lines that say what there is, with the bytes of the segments, but for the number of their track."""
    root = daemon.presentation(channel, "")
    master = daemon.fetch(root + "master.m3u8").decode()
    names = {*re.findall(r'URI="([^"]+\.m3u8[^"]*)"', master), *re.findall(r"^[^#\n].*", master, re.MULTILINE)}
    found = {}
    for name in sorted(names):
        lines = LINES.findall(daemon.fetch(root + name).decode())
        folder = name.rpartition("/")[0]
        bodies = [b"" if line.startswith("#") else daemon.fetch(f"{root}{folder}/{line}" if folder else root + line) for line in lines]
        # Tracks are numbered as they come.
        found[name] = [(line, TRACK_ID.sub(rb"\1", body)) for line, body in zip(lines, bodies, strict=True)]
    return found


@pytest.mark.parametrize("sealed", [False, True], ids=["plain", "tls"])
def test_a_daemon_has_every_fragment_once_whatever_ends_the_connections(
    sealed: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    authority = Authority(tmp_path)
    trust = ["--ca", str(authority.path)] if sealed else []
    settings = 'ingest_users = { studio = "first-word" }' if sealed else ""
    channels = [Channel(name, settings=settings) for name in ("whole", "torn")]
    with running_daemon(tmp_path, *channels, unjudged=EMPTY, tls=authority.issue("server") if sealed else None) as daemon:
        ladder = str(material(SINGLE))
        root = f"https://studio:first-word@127.0.0.1:{daemon.port('ingest_tls')}" if sealed else f"http://127.0.0.1:{daemon.port('ingest')}"
        url = {name: f"{root}/{name}/ingest.isml" for name in ("whole", "torn")}
        assert push(capsys, ladder, *trust, "--to", url["whole"])[0] == 0
        faults = "cut@3s,truncate[video-1]@5s,hangup[audio-eng]@6s,vanish@7s,cut[video-1]@9s"
        code, report = push(capsys, ladder, *trust, "--to", url["torn"], "--fault", faults)
        assert code == 0
        assert {one["url"].rpartition("(")[2]: one["reconnects"] for one in report["streams"]} == {"video-1)": 4, "audio-eng)": 3}
        for name in url:
            daemon.end_program(name)
        whole, torn = published(daemon, "whole"), published(daemon, "torn")
    assert whole == torn
    assert all(len(lines) == 4 for lines in whole.values())


def test_the_report_has_seed_faults_and_answers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with running_daemon(tmp_path, Channel("news"), unjudged=EMPTY) as daemon:
        urls = [f"http://127.0.0.1:{daemon.port('ingest')}/news/{side}ingest.isml" for side in ("", "secondary/")]
        options = [str(material(AUDIO_ONLY)), "--to", urls[0], "--to", urls[1], "--fault", "cut[secondary]@6s~9s,dup[primary]@2s"]
        runs = [push(capsys, *options) for _ in range(2)]
    instants = []
    for code, report in runs:
        assert (code, report["seed"]) == (0, 7)
        primary, secondary = report["streams"]
        assert (primary["reconnects"], secondary["reconnects"]) == (0, 1)
        assert (primary["resent"], secondary["resent"] >= 2) == (1, True)
        assert [one["fault"] for one in primary["injected"] + secondary["injected"]] == ["dup", "cut"]
        assert {one["answer"][:3] for one in primary["answers"]} == {"200"}
        instants.append([one["media_seconds"] for one in secondary["injected"]])
    assert instants[0] == instants[1]


def test_a_refused_probe_is_reported_with_its_answer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with running_daemon(tmp_path, Channel("news"), unjudged=EMPTY) as daemon:
        url = f"http://127.0.0.1:{daemon.port('ingest')}/nobody/ingest.isml"
        code, report = push(capsys, str(material(AUDIO_ONLY)), "--to", url)
    (stream,) = report["streams"]
    assert (code, stream["code"], stream["units"]) == (1, "HTTP_REFUSED", 0)
    assert stream["detail"].startswith("404 ")
    assert "CHANNEL_NOT_FOUND" in stream["detail"]


def test_unknown_faults_are_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/news/ingest.isml"
        for fault in ("break@10s", "cut[video-7]@1s", "cut@soon"):
            assert main(["push", "--ladder", str(material(AUDIO_ONLY)), "--to", url, "--fault", fault]) == 2
            assert "CONFIG_PUSH_FAULT" in capsys.readouterr().err
