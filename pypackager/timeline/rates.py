"""How much the tracks of a channel send, and which of them sends too much.

In: sizes and times of the chunks that came. Out: tracks that are not taken for the time being, and why. Never: media.

An average goes over thirty seconds of media time, and what is missing of them counts as nothing: a track that has just begun is judged by
what it sent so far. A layer that passes its own limit is out. Where all together pass the channel's, the layer that was admitted last is
out, so that what was fine before it came is not disturbed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import msgspec

from pypackager.model.errors import PackagerError
from pypackager.model.track import TrackInfo
from pypackager.timeline.times import SECOND_NS

SPAN_NS = 30 * SECOND_NS
"""Media time of an average, and how long a track that was refused stays out."""
TOLERANCE = 1.05
"""Encoders hold their rate within a few per cent."""


class _Rate(msgspec.Struct):
    """What a track sent of late."""

    kind: str
    admitted: int
    """Rises with each admission."""
    end_ns: int
    """Of its newest chunk, in media time."""
    seconds: deque[list[int]] = msgspec.field(default_factory=deque)
    """[second of media time, bytes of the chunks that end there], oldest first."""
    size: int = 0
    """Sum of those."""
    out_ns: int | None = None
    """When it was put out."""

    def add(self, end_ns: int, size: int) -> None:
        second = end_ns // SECOND_NS
        if not self.seconds or self.seconds[-1][0] < second:
            self.seconds.append([second, 0])
        self.seconds[-1][1] += size
        self.size += size
        self.end_ns = end_ns

    def forget(self, now_ns: int) -> None:
        while self.seconds and self.seconds[0][0] <= (now_ns - SPAN_NS) // SECOND_NS:
            self.size -= self.seconds.popleft()[1]


class Rates:
    """Average bit rates of one channel.

    Args:
        layer_bps: most that a video layer may send.
        channel_bps: most that all tracks together may send.
    """

    def __init__(self, layer_bps: int, channel_bps: int) -> None:
        self._layer_bps = layer_bps
        self._channel_bps = channel_bps
        self._most_of_layer = _bytes(layer_bps)
        self._most = _bytes(channel_bps)
        self._tracks: dict[str, _Rate] = {}
        self._admissions = 0

    def take(self, info: TrackInfo, start_ns: int, end_ns: int, size: int, mono_ns: int) -> PackagerError | None:
        """Counts a chunk, once for all sources that send it.

        Args:
            info: of its track.
            start_ns: of the chunk, in media time of the channel.
            end_ns: of the chunk.
            size: its bytes.
            mono_ns: now.

        Returns:
            BITRATE_EXCEEDED (403) when it is not to be taken.
        """
        rate = self._tracks.get(info.id)
        if rate is None:
            rate = self._tracks[info.id] = _Rate(info.kind, self._next(), start_ns)
        elif rate.out_ns is None and end_ns - rate.end_ns > SPAN_NS:
            # It was away.
            rate.admitted = self._next()
        # Two sources of one track agree within less than half a chunk.
        if end_ns - rate.end_ns > (end_ns - start_ns) // 2:
            rate.add(end_ns, size)
            self._judge(rate, mono_ns)
        return None if rate.out_ns is None else self._error(info.id, rate)

    def barred(self, track_id: str, mono_ns: int) -> PackagerError | None:
        """Why a connection that brings nothing but a track is not let in: the track was put out less than half a minute ago."""
        rate = self._tracks.get(track_id)
        if rate is None or rate.out_ns is None:
            return None
        if mono_ns - rate.out_ns < SPAN_NS:
            return self._error(track_id, rate)
        # Nobody could measure it meanwhile: it is judged by what it sends now.
        del self._tracks[track_id]
        return None

    # --- inside

    def _next(self) -> int:
        self._admissions += 1
        return self._admissions

    def _judge(self, rate: _Rate, mono_ns: int) -> None:
        end_ns = rate.end_ns
        rate.forget(end_ns)
        if rate.out_ns is not None:
            if mono_ns - rate.out_ns >= SPAN_NS and not self._too_much(rate) and self._sum(end_ns) + rate.size <= self._most:
                rate.out_ns, rate.admitted = None, self._next()
            return
        if self._too_much(rate):
            rate.out_ns = mono_ns
        while self._sum(end_ns) > self._most and (layers := [each for each in self._inside() if each.kind == "video" and each.size]):
            max(layers, key=lambda each: each.admitted).out_ns = mono_ns

    def _inside(self) -> Iterator[_Rate]:
        return (each for each in self._tracks.values() if each.out_ns is None)

    def _sum(self, now_ns: int) -> int:
        """Bytes of all tracks that are not out; what ended is looked at only where it matters."""
        rough = sum(each.size for each in self._inside())
        if rough <= self._most:
            return rough
        for each in self._inside():
            each.forget(now_ns)
        return sum(each.size for each in self._inside())

    def _too_much(self, rate: _Rate) -> bool:
        return rate.kind == "video" and rate.size > self._most_of_layer

    def _error(self, track_id: str, rate: _Rate) -> PackagerError:
        if self._too_much(rate):
            sends, may = rate.size * 8 * SECOND_NS / SPAN_NS / 1e6, self._layer_bps / 1e6
            detail = f"{track_id} sends {sends:.1f} Mbit/s on average over 30 s; a layer may have {may:g}"
        else:
            detail = f"{track_id} came last, and all tracks together send more than {self._channel_bps / 1e6:g} Mbit/s"
        return PackagerError("BITRATE_EXCEEDED", detail, status=403)


def _bytes(bps: int) -> int:
    """What may come in the time of an average."""
    return int(bps * TOLERANCE * SPAN_NS / SECOND_NS / 8)
