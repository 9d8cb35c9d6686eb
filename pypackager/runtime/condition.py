"""How what comes in is, for the page that shows the preview: each track's newest fragments and holes, and what was raised.

In: a channel's window, its alerts. Out: JSON values. Never: an address, a key, or the words of an alert, which may name either.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from pypackager.model.presentation import Presentation, TrackWindow
from pypackager.model.records import FLAG_GAP
from pypackager.timeline.times import SECOND_NS, to_ns

RECENT = 60
"""Rows of each track that are shown."""


class Raised(Protocol):
    """An alert."""

    count: int
    last_ns: int
    tracks: dict[str, int]
    """How often for each track that it named."""


def describe(shown: Presentation, alerts: Mapping[str, Raised], mono_ns: int) -> dict[str, Any]:
    """The tracks of a window, and the alerts, the newest first."""
    raised = sorted(alerts.items(), key=lambda item: -item[1].last_ns)
    ends = [_end_ns(track) for track in shown.tracks]
    return {
        "tracks": [
            _track(track, (max(ends) - end) / SECOND_NS) | {"alerts": [code for code, alert in raised if track.info.id in alert.tracks]}
            for track, end in zip(shown.tracks, ends, strict=True)
        ],
        "alerts": [
            {"code": code, "count": alert.count, "ago_s": round((mono_ns - alert.last_ns) / SECOND_NS, 1)} for code, alert in raised
        ],
    }


def _track(track: TrackWindow, behind_s: float) -> dict[str, Any]:
    gaps = (track.flags[:] & FLAG_GAP) != 0
    seconds = track.duration[:] / track.info.timescale
    lengths = seconds[-RECENT:][~gaps[-RECENT:]]
    rows = zip(track.time[-RECENT:], seconds[-RECENT:], track.size[-RECENT:], gaps[-RECENT:], strict=True)
    return {
        "id": track.info.id,
        "kind": track.info.kind,
        "language": track.info.language,
        "codec": track.configs[int(track.config[-1])].codec,
        "bitrate_bps": track.average_bps,
        "peak_bps": track.peak_bps,
        # Each fragment begins with a key frame.
        "key_frame_interval_s": round(float(np.median(lengths)), 3) if len(lengths) and track.info.kind == "video" else None,
        "behind_s": round(behind_s, 3),
        "gaps": int(gaps.sum()),
        "gap_s": round(float(seconds[gaps].sum()), 3),
        "recent": [
            [round(int(time) / track.info.timescale, 3), round(float(long), 3), None if gap else int(size * 8 / max(long, 1e-3))]
            for time, long, size, gap in rows
        ],
    }


def _end_ns(track: TrackWindow) -> int:
    return to_ns(int(track.time[-1] + track.duration[-1]), track.info.timescale)
