"""Two real encoders that are not synchronised: one of them is shown at a time, whole, and a discontinuity where the other takes over."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.helpers.daemon import Channel, Daemon, running_daemon
from tests.helpers.encoders import Encoder, push_isml, push_rtmp, wait_until
from tests.helpers.frames import Track, read_file
from tests.helpers.media import PLAIN, material
from tests.helpers.presentation import read_dash

pytestmark = pytest.mark.e2e

SECOND_AT_S = 20
"""Where in the material the second encoder begins, far behind all that the first one sends."""


def first_isml(daemon: Daemon, source: Path, log: Path) -> Encoder:
    return push_isml(daemon.ingest("news"), source, log, extra=("-output_ts_offset", "1"))


def second_isml(daemon: Daemon, source: Path, log: Path) -> Encoder:
    # A clock and a grid of its own.
    where = daemon.ingest("news", side="secondary")
    return push_isml(where, source, log, start=SECOND_AT_S, extra=("-output_ts_offset", "1000.7"))


def first_rtmp(daemon: Daemon, source: Path, log: Path) -> Encoder:
    return push_rtmp(daemon.rtmp("news"), source, log, {"main": ["0:0", "0:1"]})


def second_rtmp(daemon: Daemon, source: Path, log: Path) -> Encoder:
    return push_rtmp(daemon.rtmp("news", "secondary"), source, log, {"main": ["0:0", "0:1"]}, start=SECOND_AT_S)


Push = Callable[[Daemon, Path, Path], Encoder]
PUSHES: dict[str, tuple[Push, Push]] = {"fmp4": (first_isml, second_isml), "rtmp": (first_rtmp, second_rtmp)}


def places(sent: Track, got: Track) -> list[int]:
    """Where in the material all that came out may begin, as one piece; a tone has the same frames in several places."""
    whole, part = sent.digests(), got.digests()
    return [at for at in range(len(whole) - len(part) + 1) if whole[at] == part[0] and whole[at : at + len(part)] == part]


@pytest.mark.parametrize("protocol", PUSHES)
def test_one_is_shown_until_it_dies(protocol: str, tmp_path: Path) -> None:
    source = material(PLAIN)
    first, second = PUSHES[protocol]
    with running_daemon(tmp_path, Channel("news", protocol=protocol)) as daemon:
        manifest = daemon.presentation("news", "manifest(format=mpd-time-cmaf)")

        def told() -> bool:
            return "ENCODERS_OUT_OF_SYNC" in daemon.get(daemon.control("v1/channels/news")).text

        with first(daemon, source, tmp_path / "first.log") as one:
            daemon.wait_for(manifest)
            time.sleep(3.3)
            with second(daemon, source, tmp_path / "second.log"):
                wait_until(told, "nobody is told")
                time.sleep(4)
                one.kill()
                wait_until(lambda: daemon.fetch(manifest).count(b"<Period ") == 2, "the other does not take over")
                time.sleep(5)
        daemon.end_program("news")
        tracks = read_dash(daemon.fetch, manifest)
    sent = {str(track.kind): track for track in read_file(source)}
    for kind, rate in (("video", float(PLAIN.frame_rate)), ("audio", 48_000 / 1024)):
        turns = [track for track in tracks if track.kind == kind]
        assert len(turns) == 2, f"{kind}: a turn is a period"
        border = SECOND_AT_S * rate
        one_at, other_at = (places(sent[kind], track) for track in turns)
        assert any(at + len(turns[0].frames) <= border for at in one_at), f"{kind}: first nothing but the first one's, nothing left out"
        assert any(at >= border - 2 for at in other_at), f"{kind}: then nothing but the second one's"
        assert min(len(track.frames) for track in turns) >= 4 * rate
