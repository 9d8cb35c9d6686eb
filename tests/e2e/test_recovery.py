"""The daemon dies under every kind of encoder that comes back: both generations of ffmpeg with and without its fifo, and GStreamer."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from tests.helpers.daemon import HANGS_SECONDS, Channel, Daemon, running_daemon
from tests.helpers.encoders import NEW_FFMPEG, Encoder, gst_isml, gst_rtmp, old_ffmpeg, push_isml, push_rtmp, push_with_recovery
from tests.helpers.frames import counterpart, read_file
from tests.helpers.media import PLAIN, material, without_priming
from tests.helpers.presentation import read_dash

pytestmark = pytest.mark.e2e

GOP_S = 2.0
AGAIN_S = 1.0
"""After so long an encoder tries again."""
SLACK_S = 1.5
"""Until an encoder that is connected again sends its first picture."""

HOLE_S = 0.5
"""What GStreamer sends in real time jitters by a picture or two."""
LEAST_S = 14.0
"""Of the twenty seconds and more that each encoder sends."""

Start = Callable[[Path], Encoder]


class Restarted:
    """An encoder that a supervisor starts again whenever it ends, from the beginning of its material."""

    def __init__(self, start: Start, log: Path) -> None:
        self._start, self._log, self._ended = start, log, 0.0
        self._encoder = start(log)

    def step(self) -> None:
        """Starts it again when its time has come."""
        if self._encoder.running():
            return
        self._ended = self._ended or time.monotonic()
        if time.monotonic() - self._ended >= AGAIN_S:
            self._encoder, self._ended = self._start(self._log), 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._encoder.stop()


@dataclass(frozen=True)
class Case:
    """An encoder and its channel."""

    name: str
    protocol: str
    start: Callable[[Daemon, str, Path], Encoder]
    supervised: bool = False
    """It ends with its connection."""


def fifo(protocol: str, binary: Callable[[], str]) -> Callable[[Daemon, str, Path], Encoder]:
    def start(daemon: Daemon, name: str, log: Path) -> Encoder:
        url = f"{daemon.rtmp(name)}/main" if protocol == "rtmp" else daemon.ingest(name)
        return push_with_recovery(url, material(PLAIN), log, binary=binary())

    return start


def plain(protocol: str, binary: Callable[[], str]) -> Callable[[Daemon, str, Path], Encoder]:
    def start(daemon: Daemon, name: str, log: Path) -> Encoder:
        if protocol == "rtmp":
            return push_rtmp(daemon.rtmp(name), material(PLAIN), log, {"main": ["0"]}, binary=binary())
        return push_isml(daemon.ingest(name), material(PLAIN), log, binary=binary())

    return start


def unprimed(log: Path) -> Path:
    """What GStreamer plays."""
    path = log.parent / f"{PLAIN.name}.mp4"
    return path if path.exists() else without_priming(PLAIN, log.parent)


GENERATIONS: dict[str, Callable[[], str]] = {"ffmpeg-old": old_ffmpeg, "ffmpeg-new": lambda: NEW_FFMPEG}
CASES = [
    *(
        Case(f"{name}-fifo-{protocol}", protocol, fifo(protocol, binary))
        for name, binary in GENERATIONS.items()
        for protocol in ("fmp4", "rtmp")
    ),
    *(
        Case(f"{name}-{protocol}", protocol, plain(protocol, binary), supervised=True)
        for name, binary in GENERATIONS.items()
        for protocol in ("fmp4", "rtmp")
    ),
    Case("gst-fmp4", "fmp4", lambda daemon, name, log: gst_isml(daemon.ingest(name), material(PLAIN), log, paced=True), supervised=True),
    Case(
        "gst-rtmp",
        "rtmp",
        lambda daemon, name, log: gst_rtmp(f"{daemon.rtmp(name)}/main", material(PLAIN), log, paced=True),
        supervised=True,
    ),
]


def test_every_encoder_is_taken_again_and_one_gap_is_as_long_as_the_outage(tmp_path: Path) -> None:
    channels = [Channel(case.name, protocol=case.protocol) for case in CASES]
    # In real time flvmux writes when a buffer came, not when it plays: what follows is as uneven.
    with running_daemon(tmp_path, *channels, broken="gst-rtmp") as daemon:
        with ExitStack() as stack:
            restarted: list[Restarted] = []
            for case in CASES:
                log = tmp_path / f"{case.name}.log"

                def start(log: Path, case: Case = case) -> Encoder:
                    return case.start(daemon, case.name, log)

                if case.supervised:
                    restarted.append(stack.enter_context(Restarted(start, log)))
                else:
                    stack.enter_context(start(log))
            for case in CASES:
                daemon.wait_for(daemon.presentation(case.name, "manifest.mpd"))
            time.sleep(8)
            died = datetime.now(UTC)
            daemon.kill()
            time.sleep(0.5)
            daemon.start()
            back: dict[str, float] = {}
            began = time.monotonic()
            until = began + 12
            while time.monotonic() < until:
                for each in restarted:
                    each.step()
                # Programs start slowly on a busy machine: each sends for six seconds at the least.
                back = back_s(daemon, died)
                if len(back) < len(CASES):
                    assert time.monotonic() < began + HANGS_SECONDS, back
                    until = max(until, time.monotonic() + 6)
                time.sleep(0.05)
        for case in CASES:
            daemon.end_program(case.name)
        faults = [fault for case in CASES for fault in faults_of(daemon, case, back[case.name])]
        assert not faults, "\n".join(faults)


def back_s(daemon: Daemon, died: datetime) -> dict[str, float]:
    """Seconds until each channel's encoder was connected again, of those that are, as the daemon's log says."""
    lines = [json.loads(line) for line in daemon.log().splitlines() if '"event":"push"' in line and line.endswith("}")]
    pushes = [(line["channel"], (datetime.fromisoformat(line["timestamp"]) - died).total_seconds()) for line in lines]
    # The first of each: what is said again replaces what was said.
    return {name: seconds for name, seconds in reversed(pushes) if seconds > 0}


def faults_of(daemon: Daemon, case: Case, away_s: float) -> list[str]:
    """What is wrong with a channel: more than one hole, one that is too long, or pictures that nobody sent."""
    sent = read_file(material(PLAIN))
    parts = read_dash(daemon.fetch, daemon.presentation(case.name, "manifest(format=mpd-time-cmaf)"))
    video = [track for track in parts if track.kind == "video"]
    known = {frame.digest for track in video for frame in counterpart(sent, track).frames}
    frames = [(float(track.seconds(frame.pts)), frame.digest) for track in video for frame in track.frames]
    holes = [round(after - before, 2) for (before, _), (after, _) in pairwise(frames) if after - before > HOLE_S]
    limit_s = away_s + GOP_S + SLACK_S
    told = f"{case.name}: {len(frames)} pictures in {len(video)} periods, holes of {holes} s, away for {away_s:.1f} s"
    good = len(holes) == 1 and holes[0] <= limit_s and len(frames) > 25 * LEAST_S and all(digest in known for _, digest in frames)
    return [] if good else [told]
