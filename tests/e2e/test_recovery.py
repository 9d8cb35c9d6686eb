"""The daemon dies under every kind of encoder that comes back: both generations of ffmpeg with and without its fifo, and GStreamer.

What is there is compared with the material frame by frame: none is lost outside of the one outage, none comes twice or out of order.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import pytest

from tests.helpers.daemon import HANGS_SECONDS, Channel, Daemon, running_daemon
from tests.helpers.encoders import NEW_FFMPEG, Encoder, gst_isml, gst_rtmp, old_ffmpeg, push_isml, push_rtmp, push_with_recovery
from tests.helpers.frames import Track, read_file
from tests.helpers.looped import NEAR_S
from tests.helpers.media import PLAIN, material
from tests.helpers.presentation import read_dash
from tests.helpers.sessions import Stretch, stretches

pytestmark = pytest.mark.e2e

ENDLESS = replace(PLAIN, name="plain-endless", seconds=240)
"""No encoder comes to the end of it, however busy the machine is."""
GOP_S = 2.0
FRAME_S = 0.04
AGAIN_S = 1.0
"""After so long an encoder tries again."""
SLACK_S = 1.5
"""Until an encoder that is connected again sends its first picture."""

HOLE_S = 0.5
"""What GStreamer sends in real time jitters by a picture or two."""
LEAST_S = 14.0
"""Of the twenty seconds and more that each encoder sends."""

Kind = Literal["video", "audio"]
KINDS: tuple[Kind, Kind] = ("video", "audio")
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
    jitters: bool = False
    """What it sends in real time has not quite the times of the material."""


def fifo(protocol: str, binary: Callable[[], str]) -> Callable[[Daemon, str, Path], Encoder]:
    def start(daemon: Daemon, name: str, log: Path) -> Encoder:
        url = f"{daemon.rtmp(name)}/main" if protocol == "rtmp" else daemon.ingest(name)
        return push_with_recovery(url, material(ENDLESS), log, binary=binary())

    return start


def plain(protocol: str, binary: Callable[[], str]) -> Callable[[Daemon, str, Path], Encoder]:
    def start(daemon: Daemon, name: str, log: Path) -> Encoder:
        if protocol == "rtmp":
            return push_rtmp(daemon.rtmp(name), material(ENDLESS), log, {"main": ["0"]}, binary=binary())
        return push_isml(daemon.ingest(name), material(ENDLESS), log, binary=binary())

    return start


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
    Case(
        "gst-fmp4",
        "fmp4",
        lambda daemon, name, log: gst_isml(daemon.ingest(name), material(ENDLESS), log, paced=True),
        supervised=True,
        jitters=True,
    ),
    Case(
        "gst-rtmp",
        "rtmp",
        lambda daemon, name, log: gst_rtmp(f"{daemon.rtmp(name)}/main", material(ENDLESS), log, paced=True),
        supervised=True,
        jitters=True,
    ),
]


def test_every_encoder_is_taken_again_and_one_gap_is_as_long_as_the_outage(tmp_path: Path) -> None:
    # Encoded before anything runs against the clock.
    material(ENDLESS)
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
        sent: dict[Kind, Track] = {track.kind: track for track in read_file(material(ENDLESS))}
        faults = [fault for case in CASES for fault in faults_of(daemon, case, sent, back[case.name])]
        assert not faults, "\n".join(faults)


def back_s(daemon: Daemon, died: datetime) -> dict[str, float]:
    """Seconds until each channel's encoder was connected again, of those that are, as the daemon's log says."""
    lines = [json.loads(line) for line in daemon.log().splitlines() if '"event":"push"' in line and line.endswith("}")]
    pushes = [(line["channel"], (datetime.fromisoformat(line["timestamp"]) - died).total_seconds()) for line in lines]
    # The first of each: what is said again replaces what was said.
    return {name: seconds for name, seconds in reversed(pushes) if seconds > 0}


def faults_of(daemon: Daemon, case: Case, sent: Mapping[Kind, Track], away_s: float) -> list[str]:
    """What is wrong with a channel: pictures and sound are what was sent, in its order and at its times, but for one outage of all."""
    parts = read_dash(daemon.fetch, daemon.presentation(case.name, "manifest(format=mpd-time-cmaf)"))
    found = {kind: stretches(track, [part for part in parts if part.kind == kind]) for kind, track in sent.items()}
    wrong = [f"{kind}: {fault}" for kind, track in sent.items() for fault in faults_in(case, track, found[kind])]
    if not wrong:
        pictures, sound = (found[kind][1].begin - found[kind][0].end for kind in KINDS)
        if not 0 < pictures <= away_s + GOP_S + SLACK_S:
            wrong.append(f"pictures are away for {pictures:.2f} s")
        # Of a GOP that was broken off, RTMP's sound is there up to where it was cut.
        if abs(sound - pictures) > GOP_S + FRAME_S:
            wrong.append(f"pictures are away for {pictures:.2f} s, sound for {sound:.2f} s")
    return [f"{case.name}: {fault}; away for {away_s:.1f} s; {found}" for fault in wrong]


def faults_in(case: Case, sent: Track, found: list[Stretch]) -> list[str]:
    """What is wrong with pictures or sound by themselves."""
    if len(found) != 2:
        return [f"{len(found)} stretches in the order sent, in place of two"]
    before, behind = found
    faults = []
    # GStreamer leaves out what lies before zero.
    first = 0 if sent.kind == "video" else 1
    if not 0 <= before.place <= first:
        faults.append(f"begins with frame {before.place}")
    if case.supervised and not 0 <= behind.place <= first:
        faults.append(f"goes on with frame {behind.place} of an encoder that began anew")
    if not case.supervised:
        missing = sent.seconds(sent.frames[behind.place].pts - sent.frames[before.place].pts)
        if behind.place < before.place + before.frames or abs(behind.begin - before.begin - float(missing)) > NEAR_S:
            faults.append("does not go on at its own time")
    if max(before.off, behind.off) > (HOLE_S if case.jitters else NEAR_S):
        faults.append(f"frames are up to {max(before.off, behind.off):.3f} s off their times")
    if (seconds := before.end - before.begin + behind.end - behind.begin) <= LEAST_S:
        faults.append(f"{seconds:.1f} s alone are there")
    return faults
