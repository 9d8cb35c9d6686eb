"""Sound of two sources, fitted together by frames: what is there already is cut off a chunk.

In: a chunk of sound with its place on the timeline, and what its track has. Out: the chunk, or the part of it that joins. Never: pictures,
which need those before them.

Encoders cut sound where their muxer happens to: two that send the same frames may have their borders a frame or two apart, and RTMP is cut
where the pictures' connection ends or begins. Whole chunks would then list frames twice, or leave out those behind a stump.
"""

from __future__ import annotations

from pypackager._core import Chunk
from pypackager.timeline.pending import TrackLine
from pypackager.timeline.times import rescale


def fitted(line: TrackLine, chunk: Chunk, time: int, end: int, least: int | None = None) -> Chunk:
    """What of a chunk at [time, end) is behind the published edge and between the fragments that wait; all of it when nothing is.

    Args:
        line: its track.
        chunk: of sound, or pictures, which are left as they are.
        time: where it starts on the timeline.
        end: where it ends.
        least: nothing of it that is before this is wanted.

    Raises:
        OSError: its bytes wait in a file that cannot be read.
    """
    if line.info.kind != "audio" or end <= time:
        return chunk
    half = (end - time) // (2 * max(1, chunk.samples))
    begin, last = time, end
    if line.segment is not None and line.edge is not None and begin < line.edge - half and line.edge < last - half:
        begin = line.edge
    if least is not None and begin < least - half and least < last - half:
        begin = least
    for fragment in line.waiting:
        if fragment.held:
            continue
        if fragment.time < begin - half and begin + half < fragment.end < last - half:
            begin = fragment.end
        elif begin + half < fragment.time < last - half and fragment.end > last + half:
            last = fragment.time
    if (begin, last) == (time, end):
        return chunk
    # Half a frame: sources that count in milliseconds round.
    scale = line.info.timescale
    source_half = rescale(half, scale, chunk.timescale)
    first, until = (chunk.time + rescale(border - time, scale, chunk.timescale) - source_half for border in (begin, last))
    return chunk.within(first, until if last < end else chunk.time + chunk.duration) or chunk
