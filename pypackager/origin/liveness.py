"""Whether viewers are served well here: what a traffic manager asks before it sends viewers to one of two data centres.

In: a locator's presentation, how long nothing has come. Out: JSON values, or the reason why it should not. Never: who asks, for a health
check is no viewer.

The published edge alone does not say it: where the pictures' encoder is gone, sound goes on. So pictures and sound count by themselves.
One layer of many may be away, its viewers have others. How far the media is behind UTC says nothing: a contribution over satellite is
half a minute late, and well.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pypackager.model.errors import PackagerError
from pypackager.model.presentation import Presentation
from pypackager.model.track import Kind
from pypackager.packaging.window import last_media

SECOND_NS = 1_000_000_000
LEAST_NS = 10 * SECOND_NS
"""So long nothing may come, at least: an encoder reconnects in less."""
INTERVALS = 4
"""So many key frame intervals, at least: one that is under way, one for the others' deadline, two for the network."""


def liveness(presentation: Presentation, silent_s: Mapping[Kind, float]) -> dict[str, Any]:
    """How a presentation is.

    Args:
        presentation: what is published.
        silent_s: seconds since pictures, and since sound, came last.

    Returns:
        `status`, which is `live` or `ended`, and of a live one `silent_s` of what it has.

    Raises:
        PackagerError: PRESENTATION_STALE (503): nothing new has come for long.
    """
    if presentation.ended:
        return {"status": "ended"}
    most_s = max(LEAST_NS, INTERVALS * presentation.interval_ns) / SECOND_NS
    kinds = {track.info.kind for track in presentation.tracks if last_media(track) is not None}
    shown = {kind: seconds for kind, seconds in silent_s.items() if kind in kinds}
    stale = [f"{kind} for {seconds:.0f} s" for kind, seconds in shown.items() if seconds > most_s]
    if stale:
        raise PackagerError("PRESENTATION_STALE", f"no new {', no new '.join(stale)}", status=503)
    return {"status": "live", "silent_s": {kind: round(seconds, 1) for kind, seconds in shown.items()}}
