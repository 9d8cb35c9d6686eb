"""Two workers: real encoders push to channels of both, and every output of each comes out of the one front."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest

from tests.helpers.daemon import Channel, Daemon, running_daemon
from tests.helpers.encoders import LADDER_PUBLISHES, push_isml, push_rtmp, push_with_recovery, wait_until
from tests.helpers.frames import read_file
from tests.helpers.media import LADDER_SHORT, SINGLE, material
from tests.helpers.outputs import assert_outputs
from tests.helpers.processes import children

pytestmark = pytest.mark.e2e
CAPTURE = Path(__file__).parents[2] / "rust" / "core" / "tests" / "data" / "ffmpeg-9.0-ismv.http"
"""A whole POST to channel `ch`: three fragments."""

CHANNELS = (
    Channel("flash", protocol="rtmp", settings='clock = "source"'),
    Channel("live", settings="fragments_per_segment = 1"),
    Channel("other", protocol="rtmp", settings='clock = "source"'),
)


def workers(daemon: Daemon) -> list[int]:
    """Process numbers of the daemon's workers, in their order."""
    return children(daemon.pid)


def others(daemon: Daemon, before: list[int]) -> set[int]:
    """Workers that were not there before."""
    return set(workers(daemon)) - set(before)


def test_channels_of_two_workers_come_out_whole(tmp_path: Path) -> None:
    source = material(LADDER_SHORT)
    with running_daemon(tmp_path, *CHANNELS, tuning="workers = 2", unjudged="other is silent") as daemon:
        assert len(workers(daemon)) == 2
        flash = push_rtmp(daemon.rtmp("flash"), source, tmp_path / "flash.log", LADDER_PUBLISHES)
        live = push_isml(daemon.ingest("live"), source, tmp_path / "live.log", rate=1)
        playlist = daemon.presentation("live", "manifest(format=m3u8-cmaf)")
        daemon.wait_for(playlist, "#EXT-X-STREAM-INF")
        media = media_urls(daemon, playlist)[0]
        seen: set[bytes] = set()
        for _ in range(20):
            seen.add(daemon.fetch(media))
            time.sleep(0.2)
        flash.finish()
        live.finish()
        assert len(seen) >= 2, "a playlist that is watched goes on"
        asked = [line for line in daemon.log().splitlines() if '"log":"access"' in line and f'"path":"{urlsplit(media).path}"' in line]
        assert len(asked) >= 20
        # As soon as the first answer that was put ahead is there.
        assert not any('"worker"' in line for line in asked[10:]), "the front answers by itself"
        for name in ("flash", "live"):
            daemon.end_program(name)
        assert_outputs(daemon, "flash", read_file(source), coarser=1000)
        assert_outputs(daemon, "live", read_file(source))
        states = json.loads(daemon.fetch(daemon.control("healthz")))["states"]
        assert states == dict.fromkeys(("flash", "live"), "Ready") | {"other": "Streaming"}


def test_a_killed_worker_comes_back_with_its_channels_and_the_other_sees_nothing(tmp_path: Path) -> None:
    source = material(LADDER_SHORT)
    with running_daemon(tmp_path, *CHANNELS[:2], tuning="workers = 2", unjudged="an encoder was cut off") as daemon:
        before = workers(daemon)
        with (
            push_with_recovery(f"{daemon.rtmp('flash')}/main", material(SINGLE), tmp_path / "flash.log"),
            push_isml(daemon.ingest("live"), source, tmp_path / "live.log", rate=1, loop=True),
        ):
            playlists = {name: daemon.presentation(name, "manifest(format=m3u8-cmaf)") for name in ("flash", "live")}
            for playlist in playlists.values():
                daemon.wait_for(playlist, "#EXT-X-STREAM-INF")
            [line] = [line for line in daemon.log().splitlines() if '"worker begun"' in line and '"worker":0' in line]
            # The first worker has the first channel.
            os.kill(json.loads(line)["pid"], signal.SIGKILL)
            killed = time.monotonic()
            assert all(daemon.probe(playlist) for playlist in playlists.values()), "what is on the shelf is there meanwhile"
            wait_until(lambda: len(others(daemon, before)) == 1, "the worker is started again")
            assert len(workers(daemon)) == 2
            medias = media_urls(daemon, playlists["flash"])
            wait_until(lambda: all(daemon.probe(url) for url in medias), "its channel is served again")
            # As long as a process takes here, and ten seconds.
            assert time.monotonic() - killed < daemon.start_seconds + 10
            newest = media_end(daemon, playlists["flash"])
            wait_until(lambda: media_end(daemon, playlists["flash"]) > newest + 4, "the channel goes on after its worker was killed")
        lost = [line for line in daemon.log().splitlines() if '"worker lost"' in line]
        assert len(lost) == 1
        assert "#EXT-X-DISCONTINUITY\n" not in "".join(media_playlists(daemon, playlists["live"])), (
            "the other worker's channel goes on as it was"
        )
        daemon.wait_for_encoders()


def test_what_was_acknowledged_is_there_after_the_worker_was_killed(tmp_path: Path) -> None:
    with running_daemon(tmp_path, Channel("ch", settings="fragments_per_segment = 1"), tuning="workers = 2", unjudged="one POST") as daemon:
        with socket.create_connection(("127.0.0.1", daemon.port("ingest")), 10) as sock:
            sock.sendall(CAPTURE.read_bytes())
            assert sock.recv(100).startswith(b"HTTP/1.1 200")
        [line] = [line for line in daemon.log().splitlines() if '"worker begun"' in line and '"worker":0' in line]
        os.kill(json.loads(line)["pid"], signal.SIGKILL)
        again = {"number": 0, "state": "Running", "channels": 1, "lost": 1}
        wait_until(lambda: health(daemon)["workers"][0] == again, "another has its place")
        playlist = daemon.presentation("ch", "manifest(format=m3u8-cmaf)")
        wait_until(
            lambda: daemon.probe(playlist) and {text.count("#EXTINF") for text in media_playlists(daemon, playlist)} == {3},
            "all is listed",
        )
        # A command that comes to the next one is carried out by it.
        daemon.reload("ch", program="stopped")
        daemon.wait_for(daemon.presentation("ch", "manifest(format=mpd-time-cmaf)"), 'type="static"')


def test_a_worker_that_hangs_is_killed_and_another_takes_its_channel(tmp_path: Path) -> None:
    with running_daemon(tmp_path, *CHANNELS[:2], tuning="workers = 2", unjudged="an encoder was cut off") as daemon:
        before = workers(daemon)
        with (
            push_with_recovery(f"{daemon.rtmp('flash')}/main", material(SINGLE), tmp_path / "flash.log"),
            push_isml(daemon.ingest("live"), material(SINGLE), tmp_path / "live.log", rate=1, loop=True),
        ):
            playlists = {name: daemon.presentation(name, "manifest(format=m3u8-cmaf)") for name in ("flash", "live")}
            for playlist in playlists.values():
                daemon.wait_for(playlist, "#EXT-X-STREAM-INF")
            [line] = [line for line in daemon.log().splitlines() if '"worker begun"' in line and '"worker":0' in line]
            os.kill(json.loads(line)["pid"], signal.SIGSTOP)
            wait_until(lambda: len(others(daemon, before)) == 1, "the worker is started again")
            assert "did not answer within 15 s" in daemon.log()
            newest = media_end(daemon, playlists["live"])
            wait_until(lambda: health(daemon)["workers"][0] == {"number": 0, "state": "Running", "channels": 1, "lost": 1}, "it is there")
            assert daemon.probe(playlists["flash"])
            wait_until(lambda: media_end(daemon, playlists["live"]) > newest + 1, "the other channel goes on")
        assert "#EXT-X-DISCONTINUITY\n" not in "".join(media_playlists(daemon, playlists["live"]))
        daemon.wait_for_encoders()


def test_workers_end_with_the_daemon_however_it_ends_and_a_new_one_goes_on(tmp_path: Path) -> None:
    with running_daemon(tmp_path, *CHANNELS[:2], tuning="workers = 2", unjudged="an encoder was cut off") as daemon:
        with push_with_recovery(f"{daemon.rtmp('flash')}/main", material(SINGLE), tmp_path / "flash.log"):
            playlist = daemon.presentation("flash", "manifest(format=m3u8-cmaf)")
            daemon.wait_for(playlist, "#EXT-X-STREAM-INF")
            first = workers(daemon)
            listed = media_end(daemon, playlist)
            daemon.kill()
            # The next one is there before the workers of the first have given their locks back.
            daemon.start()
            wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in first), "they end with their link")
            wait_until(lambda: daemon.probe(playlist) and media_end(daemon, playlist) > listed + 2, "the channel goes on")
            second = workers(daemon)
            daemon.stop(signal.SIGTERM)
            assert not any(Path(f"/proc/{pid}").exists() for pid in second)
            assert "worker killed" not in daemon.log()
        daemon.start()
        assert media_end(daemon, playlist) >= listed


def health(daemon: Daemon) -> dict[str, Any]:
    """What /healthz says."""
    found: dict[str, Any] = json.loads(daemon.fetch(daemon.control("healthz")))
    return found


def media_end(daemon: Daemon, master: str) -> float:
    """Seconds of media that the first playlist below a master playlist lists."""
    text = media_playlists(daemon, master)[0]
    return sum(float(line.removeprefix("#EXTINF:").split(",")[0]) for line in text.splitlines() if line.startswith("#EXTINF:"))


def media_urls(daemon: Daemon, master: str) -> list[str]:
    """The URLs of the variant playlists below a master playlist."""
    names = [line for line in daemon.fetch(master).decode().splitlines() if line and not line.startswith("#")]
    return [urljoin(master, name) for name in names]


def media_playlists(daemon: Daemon, master: str) -> list[str]:
    """Their texts."""
    return [daemon.fetch(url).decode() for url in media_urls(daemon, master)]
