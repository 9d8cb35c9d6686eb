"""Rules on fragments against the bootstrap: the times of their tags (FLV 10.1 E.4.1).

In: a track once everything was loaded. Out: findings, and samples that lie on the timeline of the bootstrap, so that the rules on media
do not find a wrong time again in every segment behind it.
"""

from __future__ import annotations

from fractions import Fraction

from pypackager.check.finding import Scope
from pypackager.check.media.f4f import F4fMedia
from pypackager.check.media.samples import Samples
from pypackager.check.presentation import Listing, Track
from pypackager.check.rules import rule

TIME = rule(
    "HDS-FRAGMENT-TIME", "error", "Adobe F4V 2.11.2.2", "the first picture of a fragment, or sound without pictures, has its time",
    example="the first tag of the fragment at 24,000 ms is of 24,080 ms",
)  # fmt: skip
HEADER_TIME = rule(
    "HDS-HEADER-TIME", "warning", "FLV 10.1 E.4.1", "sequence headers have a time inside their fragment",
    example="a sequence header of 0 ms in the fragment at 24,000 ms",
)  # fmt: skip
RATE = rule(
    "HDS-BITRATE", "warning", "F4M 2.0 4.7", "bitrate is in kbit/s, and what was measured is not more than twice that",
    example='bitrate="800" over 2.1 Mbit/s',
)  # fmt: skip

_WRAP = 1 << 32
_RATE_SECONDS = 10
_SLACK_MS = 2
"""Times of the table and of tags are both rounded, not always alike."""
_DELAY_MS = 500
"""Sound may lie so much behind the times at which pictures are decoded; a table is of these where a media has pictures.

A fragment in a hole of the pictures is listed from where these end, and has the sound that begins in it, wherever that is.
"""


def check_fragments(track: Track, bitrate: int | None, scope: Scope) -> None:
    """Checks every loaded fragment of a track."""
    pictures = bool(track.claims.width) or any(loaded.media.first("video") for loaded in track.loaded)
    for loaded in track.loaded:
        media = loaded.media
        if not isinstance(media, F4fMedia) or not media.streams:
            continue
        here = scope.at(url=loaded.listing.url, segment=loaded.listing.name)
        start = int(1000 * loaded.listing.start)
        main = media.streams[0]
        off = _signed(int(main.dts[0]) - start)
        beside = pictures and main.kind != "video"
        most = max(_DELAY_MS, int(1000 * loaded.listing.duration)) if beside else _SLACK_MS
        if not -_SLACK_MS <= off <= most:
            here.breach(TIME, f"{main.kind} from {int(main.dts[0])} ms on", f"{start} ms, as the bootstrap says")
        _check_headers(media, main, loaded.listing, here)
        # Where it is as it should be, only what 32 bits can't hold is added.
        move = start + (off if -_SLACK_MS <= off <= most else 0) - int(main.dts[0])
        for samples in media.streams:
            samples.dts = samples.dts + move
            samples.pts = samples.pts + move
    _check_rate(track, bitrate, scope)


def _signed(difference: int) -> int:
    """A difference of times that are known modulo 2^32 ms."""
    return (difference + _WRAP // 2) % _WRAP - _WRAP // 2


def _check_headers(media: F4fMedia, main: Samples, listing: Listing, scope: Scope) -> None:
    length = int(1000 * listing.duration)
    for kind, time in media.header_times.items():
        off = _signed(time - int(main.dts[0]))
        if not -length // 2 <= off <= length:
            scope.breach(HEADER_TIME, f"a sequence header of {kind} of {time} ms", f"about {int(main.dts[0])} ms")


def _check_rate(track: Track, bitrate: int | None, scope: Scope) -> None:
    seconds = sum((loaded.listing.duration for loaded in track.loaded), Fraction(0))
    if not bitrate or seconds < _RATE_SECONDS:
        return
    measured = 8 * sum(samples.size for loaded in track.loaded for samples in loaded.media.streams) / float(seconds)
    if measured > 2000 * bitrate:
        scope.breach(RATE, f"{measured / 1000:.0f} kbit/s", f"about {bitrate}")
