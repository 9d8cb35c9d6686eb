"""Whether viewers are served well here: what a traffic manager asks before it sends viewers to one of two data centres.

In: a locator's presentation, the time. Out: JSON values, or the reason why it should not. Never: who asks; a health check is no viewer.

The published edge alone does not say it: where the pictures' encoder is gone, sound goes on. So pictures and sound count by themselves,
each by the track of the kind that came furthest: one layer of many may be away, its viewers have others.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pypackager.model.errors import PackagerError
from pypackager.model.presentation import Presentation, TrackWindow
from pypackager.model.records import FLAG_GAP

SECOND_NS = 1_000_000_000
LEAST_NS = 10 * SECOND_NS
"""So long after its end a fragment may be the newest, at least: an encoder reconnects in less."""
INTERVALS = 4
"""So many key frame intervals, at least: one that is under way, one for the others' deadline, two for the network."""


def liveness(presentation: Presentation, utc_ns: int) -> dict[str, Any]:
    """How a presentation is.

    Returns:
        `status`, which is `live` or `ended`, and of a live one `age_s`: how long ago by the clock the newest media of each kind ended.

    Raises:
        PackagerError: PRESENTATION_STALE (503): nothing new has come for long.
    """
    if presentation.ended:
        return {"status": "ended"}
    most_ns = max(LEAST_NS, INTERVALS * presentation.interval_ns)
    ends: dict[str, int] = {}
    for track in presentation.tracks:
        if (end_ns := _media_end_ns(track)) is not None:
            ends[track.info.kind] = max(end_ns, ends.get(track.info.kind, end_ns))
    ages = {kind: (utc_ns - presentation.anchor_ns - end_ns) / SECOND_NS for kind, end_ns in ends.items()}
    stale = [f"{kind} for {age_s:.0f} s" for kind, age_s in ages.items() if age_s * SECOND_NS > most_ns]
    if stale:
        raise PackagerError("PRESENTATION_STALE", f"no new {', no new '.join(stale)}", status=503)
    return {"status": "live", "age_s": {kind: round(age_s, 1) for kind, age_s in ages.items()}}


def _media_end_ns(track: TrackWindow) -> int | None:
    """End of the newest row that is no gap, in media time."""
    media = np.flatnonzero((track.flags & FLAG_GAP) == 0)
    if not len(media):
        return None
    row = int(media[-1])
    return (int(track.time[row]) + int(track.duration[row])) * SECOND_NS // track.info.timescale
