"""Mistakes in the fragments of the made Smooth and HDS presentations, at a place that is chance."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.helpers.made_hds import HdsShow
from tests.helpers.made_media import PPS, SPS, lengths
from tests.helpers.made_smooth import SmoothShow


@dataclass(frozen=True)
class FragmentMutation:
    """One way to break a fragment."""

    rule: str
    how: Callable[[random.Random], dict[str, Any]]
    """Arguments of the fragment's maker."""
    also: frozenset[str] = frozenset()
    bitrate: int | None = None
    """Where the mistake has a meaning at one level alone."""

    def spoil_smooth(self, show: SmoothShow, chance: random.Random) -> None:
        """Breaks a fragment that has neighbours."""
        stream, bitrate = ("audio", 25_000) if self.bitrate == 25_000 else ("video", self.bitrate or chance.choice((20_000, 30_000)))
        show.spoil(chance.randint(3, 6), stream=stream, bitrate=bitrate, **self.how(chance))

    def spoil_hds(self, show: HdsShow, chance: random.Random) -> None:
        """Breaks a fragment that has neighbours."""
        show.spoil(chance.randint(2, 6), bitrate=self.bitrate or chance.choice((20, 30)), **self.how(chance))


def _made(rule: str, how: Callable[[random.Random], dict[str, Any]], *also: str, bitrate: int | None = None) -> FragmentMutation:
    return FragmentMutation(rule, how, frozenset(also), bitrate)


_LOST = ("MEDIA-EMPTY", "MEDIA-CONTINUOUS", "MEDIA-TIME")

SMOOTH: dict[str, FragmentMutation] = {
    "a time of its own": _made("SMOOTH-TFXD", lambda chance: {"tfxd": chance.randint(1, 400)}),
    "no time": _made("SMOOTH-TFXD", lambda _: {"tfxd": None}),
    "another duration": _made("SMOOTH-TFXD-DURATION", lambda chance: {"lasts": 3600 * chance.choice((-3, -2, 2, 3))}),
    "nothing follows": _made("SMOOTH-TFRF-MISSING", lambda _: {"tfrf": None}),
    "one follows of two": _made("SMOOTH-LOOKAHEAD", lambda _: {"tfrf": 1}),
    "what follows is elsewhere": _made("SMOOTH-TFRF", lambda chance: {"promise": chance.choice((-180_000, -3600, 1, 3600, 180_000))}),
    "a table of more than there is": _made("SMOOTH-TIME-BOX", lambda _: {"room": 1}, "SMOOTH-TFRF-MISSING"),
    "a tfdt of its own": _made("SMOOTH-TFDT", lambda chance: {"tfdt": -chance.randint(1, 9_000_000)}),
    "no key frame": _made("MEDIA-KEY-FIRST", lambda _: {"key": False, "marked": False}),
    "a mark on what is no key frame": _made("MP4-SYNC", lambda _: {"key": False}),
    "samples are lost": _made("MEDIA-DURATION", lambda chance: {"drop": chance.randint(2, 20)}, "MEDIA-CONTINUOUS", "SMOOTH-TFXD-DURATION"),
    "it is cut off": _made("MP4-BOX", lambda chance: {"cut": chance.randint(1, 3000)}, *_LOST),
    "bytes of no sample": _made("MP4-MDAT-UNUSED", lambda chance: {"tail": bytes(chance.randint(1, 99))}),
    "a box in front": _made("SMOOTH-FRAGMENT", lambda _: {"prefix": b"\x00\x00\x00\x10stypiso6\x00\x00\x00\x00"}),
    "offsets below zero": _made("SMOOTH-OFFSETS", lambda chance: {"shift": -3600 * chance.randint(1, 3)}),
    "a larger picture in band": _made("SMOOTH-MAX-SIZE", lambda _: {"inband": lengths(SPS[640], PPS)}, bitrate=20_000),
    "mono": _made("SMOOTH-BITSTREAM", lambda _: {"channels": 1}, bitrate=25_000),
}
HDS: dict[str, FragmentMutation] = {
    "it lies elsewhere": _made("HDS-FRAGMENT-TIME", lambda chance: {"shift": chance.choice((-1, 1)) * chance.randint(60, 400)}, *_LOST),
    "headers of another time": _made("HDS-HEADER-TIME", lambda chance: {"header_shift": -chance.randint(5000, 20_000)}),
    "it is cut off": _made("MP4-BOX", lambda chance: {"cut": chance.randint(1, 500)}, *_LOST),
    "a wrong size of a tag": _made("FLV-PREVIOUS-SIZE", lambda chance: {"previous": chance.choice((-11, 1, 7))}),
    "a stream number": _made("FLV-TAG", lambda chance: {"stream": chance.randint(1, 9)}, *_LOST),
    "pictures change places": _made("FLV-ORDER", lambda _: {"swap": True}),
    "it is there twice": _made("FLV-FRAGMENT", lambda _: {"mdats": 2}, *_LOST),
    "sound of another codec": _made("FLV-CODEC", lambda chance: {"flags": chance.choice((0xAB, 0xAE))}),
    "no headers": _made("FLV-SEQUENCE-HEADER", lambda _: {"headers": False}),
    "bytes behind a picture": _made("FLV-NAL", lambda chance: {"slack": chance.randint(1, 3)}),
    "a key frame that is not marked": _made("FLV-KEY", lambda _: {"marked": False}),
    "no key frame": _made("MEDIA-KEY-FIRST", lambda _: {"key": False, "marked": False}),
    "headers of the other media": _made("MEDIA-CONFIG-CHANGE", lambda _: {"width": 640}, "MEDIA-RESOLUTION", bitrate=20),
}
