"""What is missing of one track, or of all for a moment: every format tells of it, there is no period, and players play on."""

from __future__ import annotations

import re
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.helpers.browser import chromium, watch
from tests.helpers.daemon import Channel, Daemon, running_daemon
from tests.helpers.encoders import Encoder
from tests.helpers.judged import assert_clean, judge_urls
from tests.helpers.media import PLAIN, ffmpeg, material
from tests.helpers.presentation import OUTPUTS
from tests.helpers.raw import post
from tests.helpers.read_mp4 import find

pytestmark = pytest.mark.e2e

HOLE_MS = 85
"""As much as four frames of sound, or two pictures, which is what a connection costs that breaks in front of a key frame."""
FLAGS = "frag_keyframe+empty_moov+default_base_moof"
FRAGMENTS = 32
PLAYERS = ("hls", "ts", "dash", "smooth", "shaka-dash", "shaka-hls")
SETTINGS = "fragments_per_segment = 1"
ON_DEMAND = ("hls", "dash", "smooth", "shaka-dash")


def with_holes(folder: Path) -> bytes:
    """A minute as fragmented MP4, in which every fragment begins so much behind the end of the one before, of picture and sound."""
    path = folder / "holes.mp4"
    command = [ffmpeg(), "-v", "error", "-i", str(material(PLAIN)), "-map", "0", "-c", "copy", "-movflags", FLAGS, str(path)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, timeout=60)
    whole = path.read_bytes()
    scales = dict(_timescales(whole))
    data = bytearray(whole)
    moofs = find(whole, "moof")
    assert len(moofs) == FRAGMENTS
    for number, moof in enumerate(moofs):
        for traf in find(whole, "traf", moof.payload, moof.end):
            ((tfhd,), (tfdt,)) = (find(whole, name, traf.payload, traf.end) for name in ("tfhd", "tfdt"))
            (track,) = struct.unpack_from(">I", whole, tfhd.payload + 4)
            assert whole[tfdt.payload] == 1
            (time,) = struct.unpack_from(">Q", whole, tfdt.payload + 4)
            struct.pack_into(">Q", data, tfdt.payload + 4, time + number * HOLE_MS * scales[track] // 1000)
    return bytes(data)


def _timescales(data: bytes) -> Iterator[tuple[int, int]]:
    for trak in find(data, "moov/trak"):
        ((tkhd,), (mdhd,)) = (find(data, name, trak.payload, trak.end) for name in ("tkhd", "mdia/mdhd"))
        assert not data[tkhd.payload]
        assert not data[mdhd.payload]
        yield struct.unpack_from(">I", data, tkhd.payload + 12)[0], struct.unpack_from(">I", data, mdhd.payload + 12)[0]


def recorded(daemon: Daemon, folder: Path) -> None:
    """The program that has the holes, on demand."""
    answer = post(daemon.port("ingest"), urlsplit(daemon.ingest("news")).path, [with_holes(folder)])
    assert answer.status == 200, answer
    daemon.end_program("news")


def test_every_format_tells_of_holes_by_its_times(tmp_path: Path) -> None:
    with running_daemon(tmp_path, Channel("news", settings=SETTINGS)) as daemon:
        recorded(daemon, tmp_path)
        urls = {name: daemon.presentation("news", output.manifest) for name, output in OUTPUTS.items()}
        report = judge_urls(list(urls.values()), compare=True)
        assert_clean(report, warnings=False)
        assert {"HLS-HOLE", "MEDIA-HOLE"} <= report.broken("warning")
        playlists = re.findall(r'hls/[^"\n]+', daemon.fetch(urls["hls"]).decode())
        assert len(playlists) == 2
        for name in playlists:
            text = daemon.fetch(daemon.presentation("news", name)).decode()
            assert text.count("#EXT-X-PROGRAM-DATE-TIME") == text.count("#EXTINF") == FRAGMENTS, name
            assert "#EXT-X-GAP" not in text, name
            assert "#EXT-X-DISCONTINUITY\n" not in text, name
        dash = daemon.fetch(urls["dash"]).decode()
        assert dash.count("<Period ") == 1
        smooth = daemon.fetch(urls["smooth"]).decode()
        # Only the first of each list has to state its time: the others begin where the one before ends.
        assert (dash.count('<S t="'), smooth.count('<c t="')) == (2, 2)


@pytest.mark.xdist_group("browser")
def test_players_play_over_holes(tmp_path: Path) -> None:
    with ExitStack() as stack:
        daemon = stack.enter_context(running_daemon(tmp_path, Channel("news", settings=SETTINGS)))
        recorded(daemon, tmp_path)
        browser = stack.enter_context(chromium())
        page = daemon.origin("play/news?muted=1&format=")
        players = {name: stack.enter_context(watch(browser, page + name)) for name in PLAYERS}
        begun = {name: player.wait_until_playing()["currentTime"] for name, player in players.items()}
        for name, player in players.items():
            # Four holes; of some a player has to wait for a moment, and jump.
            state = player.wait_for_time(begun[name] + 9, seconds=40)
            assert not [*state["errors"], *player.faults, *player.outside], f"{name}: {player.report(state)}"


def pushed(daemon: Daemon, channel: str, log: Path, *options: str) -> Encoder:
    """The minute from an encoder that loses fragments, and does not know of it."""
    url = daemon.ingest(channel).partition("/Streams")[0]
    command = [sys.executable, "-m", "pypackager.cli.main", "push", "--ladder", str(material(PLAIN)), "--to", url]
    return Encoder([*command, *options], log)


@pytest.mark.xdist_group("browser")
def test_players_play_over_gaps_of_one_track_on_demand(tmp_path: Path) -> None:
    with ExitStack() as stack:
        daemon = stack.enter_context(running_daemon(tmp_path, Channel("news", settings=SETTINGS)))
        lost = "drop[audio*]@3s:1s,drop[video*]@7s:1s,no-resend"
        with pushed(daemon, "news", tmp_path / "push.log", "--speed", "0", "--for", "20s", "--fault", lost) as encoder:
            assert encoder.process.wait(60) == 0, encoder.log()
        daemon.end_program("news")
        urls = {name: daemon.presentation("news", output.manifest) for name, output in OUTPUTS.items()}
        report = judge_urls(list(urls.values()), compare=True)
        assert_clean(report, warnings=False)
        assert {"DASH-TIMELINE-HOLE", "MEDIA-HOLE"} <= report.broken("warning")
        dash, smooth = (daemon.fetch(urls[name]).decode() for name in ("dash", "smooth"))
        assert (dash.count("<FCS "), dash.count('<S t="'), smooth.count('<c t="')) == (2, 2, 2)
        browser = stack.enter_context(chromium())
        players = {name: stack.enter_context(watch(browser, daemon.origin(f"play/news?muted=1&format={name}"))) for name in ON_DEMAND}
        begun = {name: player.wait_until_playing()["currentTime"] for name, player in players.items()}
        for name, player in players.items():
            # On a busy machine it is behind the holes, and near the end, when it is first looked at.
            state = player.wait_for_time(min(begun[name] + 11, player.duration() - 1), seconds=60)
            assert not [*state["errors"], *player.faults, *player.outside], f"{name}: {player.report(state)}"
