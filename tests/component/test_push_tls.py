"""The test encoder over TLS and with users against a real daemon: who is trusted, who is let in, and that no password is in a text."""

from __future__ import annotations

from http import HTTPStatus
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pypackager.cli.main import main
from tests.helpers.certificates import Authority
from tests.helpers.daemon import Channel, Daemon, running_daemon
from tests.helpers.frames import read_file
from tests.helpers.media import SINGLE, material
from tests.helpers.presentation import OUTPUTS

USERS = 'ingest_users = { studio = "first-word", "o@k" = "a:b/c@d%-word" }'
CHANNELS = [Channel("http", settings=USERS), Channel("rtmp", protocol="rtmp", settings=f'clock = "source"\n{USERS}')]


def push(capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, list[dict[str, Any]]]:
    code = main(["push", "--ladder", str(material(SINGLE)), "--speed", "0", "--once", "--json", "--give-up", "2s", *options])
    out = capsys.readouterr().out
    assert "-word" not in out, "a password is in the report"
    return code, msgspec.json.decode(out)["streams"] if out else []


def urls(daemon: Daemon, who: str) -> dict[str, str]:
    return {
        "http": f"https://{who}127.0.0.1:{daemon.port('ingest_tls')}/http/ingest.isml",
        "rtmp": f"rtmps://{who}127.0.0.1:{daemon.port('rtmps')}/rtmp",
    }


def test_who_is_trusted_and_known_is_taken_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    authority = Authority(tmp_path)
    with running_daemon(tmp_path, *CHANNELS, tls=authority.issue("server")) as daemon:
        for channel, url in urls(daemon, "studio:first-word@").items():
            code, streams = push(capsys, "--to", url, "--ca", str(authority.path))
            assert code == 0, streams
            assert all(each["reconnects"] == 0 for each in streams), "a challenge is no lost connection"
            daemon.end_program(channel)
            got = OUTPUTS["dash"].read(daemon.fetch, daemon.presentation(channel, OUTPUTS["dash"].manifest))
            sent = read_file(material(SINGLE))
            assert {each.kind: each.digests() for each in got} == {each.kind: each.digests() for each in sent}
        assert "-word" not in daemon.log()


def test_a_name_and_a_password_may_have_any_characters(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with running_daemon(tmp_path, *CHANNELS, unjudged="the same media comes again") as daemon:
        who = "o%40k:a%3Ab%2Fc%40d%25-word@"
        for url in (f"http://{who}127.0.0.1:{daemon.port('ingest')}/http/ingest.isml", f"rtmp://{who}127.0.0.1:{daemon.port('rtmp')}/rtmp"):
            code, streams = push(capsys, "--to", url)
            assert code == 0, streams


def test_who_is_not_is_told_so_and_does_not_try_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    authority = Authority(tmp_path)
    other = authority.another("other")
    with running_daemon(tmp_path, *CHANNELS, tls=authority.issue("server"), unjudged="nobody is let in at first") as daemon:
        for who, http, rtmp in (
            ("studio:second-word@", f"{HTTPStatus.FORBIDDEN.value} ", "CREDENTIALS_WRONG"),
            ("", f"{HTTPStatus.UNAUTHORIZED.value} ", "authmod=adobe"),
        ):
            for channel, url in urls(daemon, who).items():
                code, streams = push(capsys, "--to", url, "--ca", str(authority.path))
                assert code == 1
                said = http if channel == "http" else ("NetConnection.Connect.Rejected" if who else rtmp)
                assert all(said in each["detail"] for each in streams), streams
        for channel, url in urls(daemon, "studio:first-word@").items():
            # Another authority than the server's, and the system's.
            for trust in (["--ca", str(other.path)], []):
                code, streams = push(capsys, "--to", url, *trust)
                assert (code, {each["code"] for each in streams}) == (1, {"TLS_HANDSHAKE"}), (channel, streams)
                assert "UnknownIssuer" in streams[0]["detail"]
            code, streams = push(capsys, "--to", url, "--insecure")
            assert code == 0, streams


def test_an_encoder_shows_its_own_certificate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    authority = Authority(tmp_path)
    encoders = authority.another("encoders")
    shown = encoders.issue("encoder", "encoder.example")
    tls = authority.issue("server")
    with running_daemon(tmp_path, *CHANNELS, tls=tls, client_ca=encoders.path, unjudged="the same media comes again") as daemon:
        trust = ["--ca", str(authority.path)]
        for url in urls(daemon, "studio:first-word@").values():
            code, streams = push(capsys, "--to", url, *trust)
            assert code == 1, streams
            code, streams = push(capsys, "--to", url, *trust, "--cert", shown.certificate, "--key", shown.key)
            assert code == 0, streams


def test_what_cannot_be_read_is_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["push", "--ladder", str(material(SINGLE)), "--to", "https://u:hidden-word@127.0.0.1:1/x/ingest.isml"]
    for options in (["--ca", str(tmp_path / "none.pem")], ["--cert", "a.pem"], ["--insecure", "--cert", "none.pem", "--key", "none.key"]):
        assert main([*command, *options]) == 2
        error = capsys.readouterr().err
        assert "CONFIG_PUSH_URL" in error
        assert "hidden-word" not in error
