"""The fragment index of ingest (`tfxd` version 2): what encoders call one fragment, and whether they agree (docs/design/chunk.md).

In: times and indexes of what came, once or again. Out: what contradicts. Never: whether it is taken; times decide that.
"""

from __future__ import annotations

from pypackager.timeline.pending import TrackLine

NONE = -1
"""Of a fragment that has none."""
LARGEST = 1 << 53
"""Players count segments in floats: what is above is no index."""


def index_of(stated: int | None) -> int:
    """The index that a source states, or NONE."""
    return NONE if stated is None or stated > LARGEST else stated


def contradiction(line: TrackLine, time: int, end: int, index: int) -> str | None:
    """What is wrong with the index of a fragment [time, end), which is remembered if it is new.

    It is the same for the same fragment whoever sends it, one more than that of the fragment before, and rises over a hole, too.
    """
    known = line.indexes
    if known and index == known[-1][2] + 1 and time == known[-1][1] and index <= LARGEST:
        known.append((time, end, index))
        return None
    return _compared(line, time, end, index)


def _compared(line: TrackLine, time: int, end: int, index: int) -> str | None:
    if index > LARGEST:
        return f"the fragment at {time} has index {index}, which is none: at most {LARGEST}"
    slack, known = min(line.tolerance, (end - time) // 2), line.indexes
    for begin, until, its in reversed(known):
        if abs(begin - time) <= slack:
            return None if its == index else f"the fragment at {time} has index {index}, and {its} from another source"
        if begin < time:
            known.append((time, end, index))
            if index <= its or (index != its + 1 and abs(until - time) <= slack):
                return f"index {index} at {time} follows {its} at {begin}"
            return None
    if not known:
        known.append((time, end, index))
    return None
