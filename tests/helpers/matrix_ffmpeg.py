"""Synchronised encoders that are real processes: ffmpeg, with times by the clock, killed, frozen and started again from outside.

In: where to push, a seed. Out: what was done to whom; one encoder is whole at every instant. They send the recording once, from the
beginning of the event on: one that is started later begins where the recording is by then, with the same times.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.helpers.encoders import NEW_FFMPEG, Encoder

CALM_S = 5.0
"""A successor has sent its first fragments."""


@dataclass
class Pair:
    """Two encoders of one event, and what befell them."""

    starts: Sequence[Callable[[float], Encoder]]
    """Start each, at a second of the event."""
    chance: random.Random
    story: list[str] = field(default_factory=list)

    def play(self, seconds: float, deeds: Sequence[str]) -> None:
        """Lets one after the other die or hang, in turns, until all deeds are done and the time is over."""
        began = time.monotonic()

        def now() -> float:
            return time.monotonic() - began

        running = [start(0.0) for start in self.starts]
        try:
            time.sleep(CALM_S)
            for number, deed in enumerate(deeds):
                victim = number % len(running)
                time.sleep(self.chance.uniform(0, 2))
                self.story.append(f"{now():.1f} s: encoder {victim} {deed}")
                if deed == "freeze":
                    running[victim].freeze()
                    time.sleep(self.chance.uniform(1, 3))
                running[victim].kill()
                time.sleep(self.chance.uniform(0, 2))
                self.story.append(f"{now():.1f} s: encoder {victim} is back")
                running[victim] = self.starts[victim](now())
                time.sleep(CALM_S)
            time.sleep(max(0.0, seconds - now()))
        finally:
            for one in running:
                one.stop()


def push(url: str, protocol: str, source: Path, log: Path, origin: int, at: float) -> Encoder:
    """ffmpeg from a second of the event on.

    Args:
        url: Of the ingest point.
        protocol: rtmp or fmp4.
        source: The recording.
        log: What it says goes behind what others said there.
        origin: What its clock says at the beginning of the event, in seconds.
        at: The second of the event.
    """
    command = [NEW_FFMPEG, "-hide_banner", "-loglevel", "warning", "-nostats", "-readrate", "1", "-copyts"]
    command += ["-ss", f"{at:.3f}", "-i", str(source), "-map", "0", "-c", "copy", "-output_ts_offset", str(origin)]
    if protocol == "rtmp":
        # One publish carries one layer.
        del command[command.index("-map") : command.index("-map") + 2]
        command += ["-map", "0:v:0", "-map", "0:a:0", "-f", "flv", url]
    else:
        command += ["-movflags", "isml+frag_keyframe", "-f", "ismv", url]
    return Encoder(command, log)
