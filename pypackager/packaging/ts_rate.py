"""What a track costs in transport stream segments, as rust/core/src/mux/ts writes them.

In: a rate of stored media, and how long segments are. Out: the most that the same takes in TS. Never: a measurement.
"""

from __future__ import annotations

from pypackager.model.presentation import TrackWindow
from pypackager.packaging.timing import NS
from pypackager.packaging.window import newest_config

_PACKET_BITS = 8 * 188
_PAYLOAD_BITS = 8 * 184
_TABLE_BITS = 2 * _PACKET_BITS
"""The program association and the program map: at a segment's start, and before each picture that decoding can start at."""
_FILLING_BITS = 15 * _PACKET_BITS
"""A segment's packets of a track are filled up to a multiple of sixteen, so that continuity counters go on from one to the next."""
_PICTURE_BITS = 8 * 160
"""What a picture costs, at most, over many of them: PES header, delimiter, clock reference, stuffing of its last packet."""
_RARE_PICTURES = 10
_CLOCK_BITS = _PACKET_BITS * _RARE_PICTURES
"""Of fewer pictures a second: clock references stand between them, in packets of their own."""
_MOST_PICTURES = 60
"""So many a second where a bitstream does not say its rate."""
_FRAME_SAMPLES = 1024
"""Of an ADTS frame."""
_FRAME_BITS = 8 * 7
"""An ADTS header."""
_SOUNDS = 5
"""PES packets of sound a second, when as many frames as last 200 ms are in each."""
_SOUND_BITS = 8 * (14 + 2 * 8) + _PAYLOAD_BITS
"""What each costs: its header, two clock references, stuffing of its last packet."""


def ts_bps(track: TrackWindow, bps: int, segment_ns: int, interval_ns: int) -> int:
    """The rate of a track in TS.

    Args:
        track: video or audio.
        bps: its rate as it is stored.
        segment_ns: how long the segments are over which it is taken.
        interval_ns: from one picture that decoding can start at to the next.
    """
    carried = bps * _PACKET_BITS // _PAYLOAD_BITS + (_TABLE_BITS + _FILLING_BITS) * NS // segment_ns
    if track.info.kind != "video":
        frames = -(-(newest_config(track).sample_rate or track.info.timescale) // _FRAME_SAMPLES)
        return carried + frames * _FRAME_BITS + -(-frames // max(1, frames // _SOUNDS)) * _SOUND_BITS
    rate, per = newest_config(track).frame_rate
    pictures = -(-rate // per) if rate else _MOST_PICTURES
    references = _CLOCK_BITS if rate and rate < _RARE_PICTURES * per else 0
    return carried + _TABLE_BITS * NS // interval_ns + pictures * _PICTURE_BITS + references
