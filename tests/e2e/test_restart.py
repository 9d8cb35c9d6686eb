"""Daemon and encoder die and come back: nothing that was listed is lost or changed, and no URL ever means something else."""

from __future__ import annotations

import hashlib
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import pytest

from tests.helpers.daemon import HANGS_SECONDS, Channel, Daemon, running_daemon
from tests.helpers.encoders import push_isml, push_with_recovery
from tests.helpers.frames import assert_presentation, read_file
from tests.helpers.media import LADDER, OTHER_SIZE, SINGLE, Recipe, material
from tests.helpers.presentation import OUTPUTS, read_dash

pytestmark = pytest.mark.e2e

QUICK = "fragments_per_segment = 1"


class Recorder:
    """Fetches what outputs list and keeps a hash of every body by URL; a URL that changes its bytes is a fault."""

    def __init__(self, daemon: Daemon, channel: str) -> None:
        """Remembers nothing yet."""
        self.daemon = daemon
        self.channel = channel
        self.seen: dict[str, str] = {}

    def wait(self) -> None:
        """Waits until there is a manifest of each output: those that ask for sound and pictures, or for what comes next, are later."""
        for output in OUTPUTS.values():
            self.daemon.wait_for(self.daemon.presentation(self.channel, output.manifest))

    def take(self) -> int:
        """Reads all outputs once and returns how many media URLs are known."""
        for output in OUTPUTS.values():
            output.read(self._fetch, self.daemon.presentation(self.channel, output.manifest))
        return len(self.seen)

    def check(self) -> None:
        """Demands that every URL seen still answers with the same bytes."""
        for path, digest in self.seen.items():
            answer = self.daemon.get(urljoin(self.daemon.origin(), path))
            assert answer.status_code == 200, f"{path} is gone: {answer.status_code} {answer.text}\n{self.daemon.tail()}"
            assert hashlib.sha256(answer.content).hexdigest() == digest, f"{path} changed"

    def _fetch(self, url: str) -> bytes:
        body = self.daemon.fetch(url)
        if _immutable(url):
            path = urlsplit(url).path
            digest = hashlib.sha256(body).hexdigest()
            assert self.seen.setdefault(path, digest) == digest, f"{path} changed"
        return body


def _immutable(url: str) -> bool:
    answer_is_manifest = ("manifest", ".m3u8", ".mpd", "bootstrap", ".abst")
    return not any(part in urlsplit(url).path.rpartition("/")[2] for part in answer_is_manifest)


@pytest.mark.parametrize("end", [Daemon.kill, Daemon.stop], ids=["kill -9", "stop"])
def test_the_window_survives_and_the_encoder_goes_on(end: Callable[[Daemon], object], tmp_path: Path) -> None:
    source = material(LADDER)
    with running_daemon(tmp_path, Channel("news", settings=QUICK)) as daemon:
        with push_with_recovery(daemon.ingest("news"), source, tmp_path / "encoder.log"):
            recorder = Recorder(daemon, "news")
            recorder.wait()
            before = recorder.take()
            assert before > 20
            end(daemon)
            time.sleep(0.5)
            daemon.start()
            recorder.check()
            deadline = time.monotonic() + HANGS_SECONDS
            while recorder.take() < before + 20:
                assert time.monotonic() < deadline, f"nothing new after the restart:\n{daemon.log()[-3000:]}"
                time.sleep(0.5)
            recorder.check()


@pytest.mark.parametrize("again", [pytest.param(SINGLE, id="as before"), pytest.param(OTHER_SIZE, id="with another size")])
def test_an_encoder_that_restarts_at_zero_opens_a_period(again: Recipe, tmp_path: Path) -> None:
    first, second = material(SINGLE), material(again)
    with running_daemon(tmp_path, Channel("news", settings=QUICK)) as daemon:
        recorder = Recorder(daemon, "news")
        push_isml(daemon.ingest("news"), first, tmp_path / "first.log", rate=0).finish()
        recorder.wait()
        recorder.take()
        # In real time: what comes faster than anyone encodes is a resend, not a restart.
        push_isml(daemon.ingest("news"), second, tmp_path / "second.log").finish()
        daemon.end_program("news")
        recorder.take()
        recorder.check()
        assert_a_period_each(daemon, first, second)
        playlists = [daemon.fetch(urljoin(url, name)).decode() for url, name in media_playlists(daemon)]
        assert [text.count("#EXT-X-DISCONTINUITY\n") for text in playlists] == [1] * len(playlists), playlists


def test_a_program_that_is_started_again_goes_on_under_the_same_urls(tmp_path: Path) -> None:
    first, second = material(SINGLE), material(OTHER_SIZE)
    with running_daemon(tmp_path, Channel("news", settings=QUICK)) as daemon:
        recorder = Recorder(daemon, "news")
        push_isml(daemon.ingest("news"), first, tmp_path / "first.log", rate=0).finish()
        recorder.wait()
        daemon.end_program("news")
        before = recorder.take()
        daemon.reload("news", program="running")
        daemon.wait_for(daemon.presentation("news", "manifest(format=mpd-time-cmaf)"), 'type="dynamic"')
        recorder.check()
        push_isml(daemon.ingest("news"), second, tmp_path / "second.log").finish()
        daemon.end_program("news")
        assert recorder.take() > before
        recorder.check()
        assert_a_period_each(daemon, first, second)
        daemon.kill()
        daemon.start()
        recorder.check()


def assert_a_period_each(daemon: Daemon, *sources: Path) -> None:
    """What came from each source is a Period, whole."""
    dash = read_dash(daemon.fetch, daemon.presentation("news", "manifest(format=mpd-time-cmaf)"))
    periods = sorted({track.label.split()[2] for track in dash})
    for period, source in zip(periods, sources, strict=True):
        assert_presentation(read_file(source), [track for track in dash if track.label.split()[2] == period])


def media_playlists(daemon: Daemon) -> list[tuple[str, str]]:
    """(master's URL, name) of each variant."""
    url = daemon.presentation("news", "manifest(format=m3u8-cmaf)")
    return [(url, line) for line in daemon.fetch(url).decode().splitlines() if line and not line.startswith("#")]


@contextmanager
def deaf_viewer(daemon: Daemon, playlist: tuple[str, str]) -> Iterator[None]:
    """A viewer whose answers fill every buffer on their way, since it takes none of them."""
    url = urljoin(*playlist)
    segment = urlsplit(urljoin(url, [line for line in daemon.fetch(url).decode().splitlines() if line[:1] not in ("", "#")][-1]))
    with socket.socket() as viewer:
        viewer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        viewer.connect((segment.hostname, segment.port))
        # As many as it takes until nothing more is read of it either.
        viewer.settimeout(0.3)
        with suppress(TimeoutError):
            while True:
                viewer.sendall(f"GET {segment.path} HTTP/1.1\r\nHost: origin\r\n\r\n".encode() * 100)
        yield


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_within_three_seconds_while_it_works(sign: signal.Signals, tmp_path: Path) -> None:
    source = material(LADDER)
    with running_daemon(tmp_path, Channel("news", settings=QUICK)) as daemon:
        with push_isml(daemon.ingest("news"), source, tmp_path / "encoder.log", loop=True):
            # The last format to be there: it lists a fragment when the two that it announces (look-ahead) have come.
            daemon.wait_for(daemon.presentation("news", OUTPUTS["smooth"].manifest))
            # A viewer that keeps its connection, and one that asked for much and does not read.
            daemon.client.get(daemon.origin("healthz"))
            with deaf_viewer(daemon, media_playlists(daemon)[0]):
                took = daemon.stop(sign)
        assert took < 3.0
        daemon.start()
