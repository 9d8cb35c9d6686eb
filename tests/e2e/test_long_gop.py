"""One GOP of 12 s among those of 2 s: HLS raises its target duration once and says so, and nothing else is wrong."""

from __future__ import annotations

import re
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.helpers.daemon import Channel, Daemon, running_daemon
from tests.helpers.encoders import wait_until
from tests.helpers.judged import assert_clean, judge_urls
from tests.helpers.media import ffmpeg
from tests.helpers.presentation import OUTPUTS
from tests.helpers.service import push_on_air

pytestmark = pytest.mark.e2e

RAISED = "HLS-TARGETDURATION-CHANGED"
BEFORE_SECONDS, LONG_SECONDS, AFTER_SECONDS = 18, 12, 14
KEY_FRAMES = [*range(0, BEFORE_SECONDS + 1, 2), *range(BEFORE_SECONDS + LONG_SECONDS, BEFORE_SECONDS + LONG_SECONDS + AFTER_SECONDS, 2)]


def with_a_long_gop(path: Path) -> Path:
    """Encodes the material."""
    command = [ffmpeg(), "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=160x90:rate=25", "-f", "lavfi", "-i", "sine=sample_rate=48000"]
    command += [
        "-t",
        str(KEY_FRAMES[-1] + 2),
        "-c:v",
        "libx264",
        "-preset",
        "ultrafast",
        "-pix_fmt",
        "yuv420p",
        "-bf",
        "0",
        "-flags",
        "+cgop",
    ]
    command += ["-g", "1000", "-sc_threshold", "0", "-force_key_frames", ",".join(map(str, KEY_FRAMES)), "-b:v", "80k"]
    command += ["-c:a", "aac", "-ac", "2", "-metadata:s:a:0", "language=eng", str(path)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, timeout=60)
    return path


def listed_seconds(daemon: Daemon) -> int:
    """Seconds of pictures that HLS lists, by GOPs of two."""
    variants = re.findall(r"^hls/video.+$", daemon.client.get(daemon.presentation("news", OUTPUTS["hls"].manifest)).text, re.MULTILINE)
    return sum(daemon.client.get(daemon.presentation("news", each)).text.count("#EXTINF") * 2 for each in variants)


def test_a_single_long_gop_raises_the_target_duration_and_nothing_else(tmp_path: Path) -> None:
    source = with_a_long_gop(tmp_path / "long-gop.mp4")
    # All before the long one is there when the encoder comes, with the key frame that ends it.
    began = int(time.time()) - BEFORE_SECONDS - 1
    with (
        running_daemon(tmp_path, Channel("news", settings="fragments_per_segment = 1")) as daemon,
        push_on_air(daemon.ingest("news"), source, tmp_path / "encoder.log", began=began) as encoder,
    ):
        # A player that begins now has more to play than the long GOP lasts, also where a fragment is listed when the next is there (muxed).
        wait_until(lambda: listed_seconds(daemon) == BEFORE_SECONDS, "the GOPs before the long one are not listed")
        # Smooth is not watched: its chunks are listed when their two successors are there (look-ahead), later than its buffer lasts.
        urls = [daemon.presentation("news", output.manifest) for name, output in OUTPUTS.items() if name != "smooth"]
        # Watched until the long one is surely listed everywhere: where it is not, two seconds are the longest, and players begin with six.
        report = judge_urls(urls, seconds=LONG_SECONDS + 9.0)
        assert_clean(report, expected={RAISED}, warnings=False)
        raised = Counter(each.place.url for each in report.findings() if each.rule.id == RAISED)
        # Video and audio of HLS CMAF and TS v4, the muxed one of TS v3.
        assert sorted(raised.values()) == [1] * 5, raised
        assert b"KEY_FRAME_INTERVAL_TOO_LONG" in daemon.fetch(daemon.control("healthz"))
        encoder.finish()
