"""Users of a channel, with what real encoders send of them: who knows a password gets in, and nothing in the log tells one."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.helpers.daemon import Channel, running_daemon
from tests.helpers.encoders import NEW_FFMPEG, Encoder, push_isml, push_rtmp, wait_until
from tests.helpers.media import SINGLE, material
from tests.helpers.presentation import OUTPUTS

pytestmark = pytest.mark.e2e

USERS = 'ingest_users = { studio = "first-word", truck = "second-word" }'


def curl(url: str, *options: str, body: bytes = b"") -> int:
    """The status of a POST."""
    command = ["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "-X", "POST", *options, url]
    return int(subprocess.run(command, input=body, stdout=subprocess.PIPE, check=True, timeout=30).stdout)


def gone(encoder: Encoder, else_: str) -> None:
    """Waits until it has ended."""
    wait_until(lambda: not encoder.running(), else_)


def test_an_encoder_that_pushes_to_a_host_of_the_channel(tmp_path: Path) -> None:
    with running_daemon(tmp_path, Channel("news", "rtmp", settings='ingest_hosts = ["localhost"]')) as daemon:
        push_rtmp(f"rtmp://localhost:{daemon.port('rtmp')}/live", material(SINGLE), tmp_path / "encoder.log", {"main": ["0"]}).finish()
        daemon.end_program("news")
        assert '"channel":"news","stream":"main"' in daemon.log()


@pytest.mark.parametrize("binary", ["ffmpeg", NEW_FFMPEG], ids=["5", "9"])
def test_an_encoder_that_pushes_over_rtmp(binary: str, tmp_path: Path) -> None:
    channel = Channel("news", "rtmp", settings=USERS)
    with running_daemon(tmp_path, channel, unjudged="the stranger leaves a program without media, and the other pushes briefly") as daemon:
        for who in ("studio:second-word@", "nobody:first-word@", ""):
            base = daemon.rtmp("news").replace("//", f"//{who}")
            stranger = push_rtmp(base, material(SINGLE), tmp_path / f"{who[:3]}.log", {"main": ["0"]}, binary=binary)
            gone(stranger, f"{who} was not refused")
            assert stranger.process.returncode != 0, who
        assert "CREDENTIALS_WRONG" in daemon.log()
        base = daemon.rtmp("news").replace("//", "//studio:first-word@")
        with push_rtmp(base, material(SINGLE), tmp_path / "encoder.log", {"main": ["0"]}, binary=binary, loop=True) as encoder:
            daemon.wait_for(daemon.presentation("news", OUTPUTS["dash"].manifest), "<S ")
            daemon.reload("news", settings=USERS.replace("first-word", "third-word"))
            gone(encoder, "who has the old password is let on")
        assert "-word" not in daemon.log(), "a password is in the log"


def test_encoders_that_push_over_http(tmp_path: Path) -> None:
    source = material(SINGLE)
    with running_daemon(tmp_path, Channel("news", settings=USERS), unjudged="the same media comes again and again") as daemon:
        url = daemon.ingest("news")
        stream = tmp_path / "stream.ismv"
        written = push_isml(stream.as_uri(), source, tmp_path / "file.log", rate=0)
        written.finish()
        probe, whole = ("-H", "Content-Length: 0"), ("-H", "Transfer-Encoding: chunked", "-T", "-")
        assert curl(url, *probe) == 401
        for scheme in ("--basic", "--digest", "--anyauth"):
            assert curl(url, scheme, "-u", "studio:second-word", *probe) == 403
            assert curl(url, scheme, "-u", "studio:first-word", *probe) == 200
            assert curl(url, scheme, "-u", "truck:second-word", *whole, body=stream.read_bytes()) == 200
        daemon.wait_for(daemon.presentation("news", OUTPUTS["dash"].manifest), "<S ")
        stranger = push_isml(url.replace("//", "//studio:no-word@"), source, tmp_path / "stranger.log")
        gone(stranger, "ffmpeg with a wrong password was not refused")
        with push_isml(url.replace("//", "//studio:first-word@"), source, tmp_path / "encoder.log", loop=True) as encoder:
            wait_until(lambda: '"agent":"Lavf' in daemon.log(), "ffmpeg with the right password does not push")
            daemon.reload("news", settings=USERS.replace("first-word", "third-word"))
            gone(encoder, "who has the old password is let on")
        assert "-word" not in daemon.log(), "a password is in the log"
        daemon.end_program("news")
