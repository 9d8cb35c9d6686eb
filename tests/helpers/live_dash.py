"""A good live DASH presentation with real media, as copies of its MPD over time: to be broken in one place, and judged offline.

In: material. Out: a recording in which FFmpeg's segments become available every two seconds, and which ends as video on demand.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from tests.helpers.judged import BASE, record_folder
from tests.helpers.media import LADDER_SHORT, Recipe, ffmpeg, material
from tests.helpers.recorded import EPOCH, Recording

URL = BASE + "live.mpd"
CLOCK = BASE + "time"
COPIES = 5
"""The last of them is static."""
_AHEAD = 6.5
"""Seconds of the presentation that have passed when the recording begins."""

Mutation = Callable[[str], str]


def mux_dash(recipe: Recipe, folder: Path, *options: str, binary: str = "") -> Recording:
    """Two layers and two languages as FFmpeg publishes them; its MPD is `vod.mpd`."""
    command = [binary or ffmpeg(), "-hide_banner", "-loglevel", "error", "-i", str(material(recipe))]
    command += ["-map", "0:0", "-map", "0:3", "-map", "0:4", "-map", "0:5", "-c", "copy", "-f", "dash", "-seg_duration", "2"]
    command += ["-adaptation_sets", "id=0,streams=v id=1,streams=2 id=2,streams=3", *options, str(folder / "vod.mpd")]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, cwd=folder)
    return record_folder(folder)


def live_copies(vod: str) -> list[str]:
    """An MPD every two seconds: three segments of each track, then one more each time, then all of them, static."""
    return [_copy(vod, 3 + n, static=n == COPIES - 1) for n in range(COPIES)]


def publish(recording: Recording, copies: list[str]) -> Recording:
    """Adds copies of an MPD, each from the instant on at which it is published, and the clock that they name."""
    for n, text in enumerate(copies):
        recording.add(URL, text, "application/dash+xml", at=2.0 * n)
    recording.add(CLOCK, utc_text(EPOCH), "text/plain")
    return recording


def utc_text(seconds: float) -> str:
    """A date as MPDs write it."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _copy(vod: str, count: int, *, static: bool) -> str:
    count = min(count, 6)
    published = utc_text(EPOCH + 2.0 * (count - 3) + (1.0 if static else -0.1))
    text = re.sub(r"<SegmentTimeline>(.*?)</SegmentTimeline>", lambda match: _first(match[1], count), vod, flags=re.DOTALL)
    text = re.sub(r'lang="und"', "", text).replace('lang="eng"', 'lang="en"').replace('lang="deu"', 'lang="de"')
    live = f'availabilityStartTime="{utc_text(EPOCH - _AHEAD)}" publishTime="{published}" '
    if static:
        text = text.replace('type="static"', f'type="static" {live}')
    else:
        live += 'minimumUpdatePeriod="PT2S" timeShiftBufferDepth="PT30S" suggestedPresentationDelay="PT6S"'
        text = re.sub(r'type="static"\s+mediaPresentationDuration="[^"]*"', f'type="dynamic" {live}', text)
        text = text.replace("</MPD>", '<UTCTiming schemeIdUri="urn:mpeg:dash:utc:http-iso:2014" value="time"/>\n</MPD>')
    return text


def _first(timeline: str, count: int) -> str:
    """The first segments of a timeline, each as an S element of its own."""
    out, at = [], 0
    for match in re.finditer(r"<S ([^>]*?)/?>", timeline):
        values = {name: int(value) for name, value in re.findall(r'(\w)="(\d+)"', match[1])}
        at = values.get("t", at)
        for _ in range(values.get("r", 0) + 1):
            out.append(f'<S t="{at}" d="{values["d"]}"/>')
            at += values["d"]
    return "<SegmentTimeline>\n" + "\n".join(out[:count]) + "\n</SegmentTimeline>"


def judged_copies(folder: Path) -> tuple[Recording, list[str]]:
    """The segments of the short ladder, and copies of a good live MPD of them that are not yet published."""
    recording = mux_dash(LADDER_SHORT, folder)
    (vod,) = recording.urls("vod.mpd")
    return recording, live_copies(recording.answers[vod][0][1].body.decode())
