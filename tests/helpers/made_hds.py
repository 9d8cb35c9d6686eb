"""A live HDS presentation that is made of nothing, to be broken: two media of pictures and sound, then its end.

In: what is to be wrong with it. Out: a recording of its manifest, bootstraps, fragments and errors.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Any

from tests.helpers.judged import BASE
from tests.helpers.made_media import AAC_STEREO, PPS, SPS, box, lengths, picture, sound
from tests.helpers.recorded import Recording

URL = BASE + "show.f4m"
SECONDS = 14.0
"""How long it is watched, until it has ended."""
LAST = 9
"""Number of the last fragment; the first is 1."""
COPIES = 6
_MS = 2000
"""Of a fragment."""
_SHOWN = 4
"""Number of the newest fragment in the first copy."""
_FIRST_MS = 40_000
_PICTURES = 50
_SOUND_STEP = 20
"""Milliseconds of a sound that is made so that it fits: no decoder will hear it."""
_MEDIA = {20: 160, 30: 640}
_HEIGHTS = {160: 90, 640: 360}
MARK = struct.Struct(">IQIB")
"""A fragment run entry of duration 0: number, time, 0, indicator."""


@dataclass
class HdsShow:
    """The presentation, and all that is wrong with it."""

    wrong: dict[tuple[int, int], dict[str, Any]] = field(default_factory=dict)
    """What is wrong with the fragment of a media, by its number."""
    tables: dict[int | None, dict[str, Any]] = field(default_factory=dict)
    """What is wrong with the bootstraps of a copy (None: of all)."""
    edits: list[tuple[str, str]] = field(default_factory=list)
    """Which text of the manifest is another."""
    late_edits: list[tuple[str, str]] = field(default_factory=list)
    """The same, in the manifest that is there at the end."""
    future: int = 404

    def edit(self, old: str, new: str) -> None:
        """Replaces a text in the manifest."""
        self.edits.append((old, new))

    def spoil(self, number: int, *, bitrate: int = 20, **how: Any) -> None:
        """Makes a fragment wrong: an argument of `_fragment`."""
        self.wrong.setdefault((bitrate, number), {}).update(how)

    def table(self, copy: int | None = None, **how: Any) -> None:
        """Makes the bootstraps of a copy wrong: an argument of `_bootstrap`."""
        self.tables.setdefault(copy, {}).update(how)

    def recording(self) -> Recording:
        """What its origin answers."""
        recording = Recording()
        recording.add(URL, self._manifest(self.edits), "application/f4m+xml")
        if self.late_edits:
            recording.add(URL, self._manifest([*self.edits, *self.late_edits]), "application/f4m+xml", at=2.0 * COPIES)
        for bitrate in _MEDIA:
            for copy in range(COPIES):
                body = _bootstrap(copy, **{**self.tables.get(None, {}), **self.tables.get(copy, {})})
                recording.add(f"{BASE}show{bitrate}.bootstrap", body, "video/f4m", at=2.0 * copy)
            for number in range(1, LAST + 1):
                how = self.wrong.get((bitrate, number), {})
                at = max(0.0, 2.0 * (number - _SHOWN))
                recording.add(fragment_url(bitrate, number), _fragment(bitrate, number, **how), "video/f4f", at=at)
            recording.add(fragment_url(bitrate, _SHOWN + 1000), b"", status=self.future)
        return recording

    def _manifest(self, edits: list[tuple[str, str]]) -> str:
        text = '<?xml version="1.0"?>\n<manifest xmlns="http://ns.adobe.com/f4m/1.0">\n<streamType>live</streamType>\n'
        for bitrate in _MEDIA:
            text += f'<bootstrapInfo profile="named" id="b{bitrate}" url="show{bitrate}.bootstrap"/>\n'
        for bitrate, width in _MEDIA.items():
            size = f'width="{width}" height="{_HEIGHTS[width]}"'
            text += f'<media url="show{bitrate}" bitrate="{bitrate}" {size} bootstrapInfoId="b{bitrate}"/>\n'
        text += "</manifest>\n"
        for old, new in edits:
            assert old in text, old
            text = text.replace(old, new)
        return text


def fragment_url(bitrate: int, number: int) -> str:
    """The URL of a fragment."""
    return f"{BASE}show{bitrate}Seg1-Frag{number}"


def _bootstrap(
    copy: int, *, version: int | None = None, live: bool | None = None, newest: int | None = None, count: int | None = None,
    current: int = 0, runs: list[bytes] | None = None, move: int = 0, tail: bytes = b"",
) -> bytes:  # fmt: skip
    """A bootstrap.

    Args:
        copy: From 0; the last is of the end.
        version: Of it; None: it rises.
        live: Its flag; None: until the end.
        newest: Number of its newest fragment.
        count: FragmentsPerSegment; None: as many as there are.
        current: What is added to currentMediaTime.
        runs: Entries of afrt in place of the one.
        move: What is added to the time of the first fragment.
        tail: Bytes behind the tables.
    """
    end = copy == COPIES - 1
    last = newest if newest is not None else min(_SHOWN + copy, LAST)
    going_on = live if live is not None else not end
    entries = runs if runs is not None else [struct.pack(">IQI", 1, _FIRST_MS + move, _MS)]
    if end and runs is None:
        entries.append(MARK.pack(0, 0, 0, 0))
    asrt = box(b"asrt", struct.pack(">IBI", 0, 0, 1), struct.pack(">II", 1, last if count is None else count))
    afrt = box(b"afrt", struct.pack(">IIBI", 0, 1000, 0, len(entries)), *entries)
    now = _FIRST_MS + move + last * _MS + current
    number = version if version is not None else copy + 1
    head = struct.pack(">IIBIQQ", 0, number, 0x20 if going_on else 0, 1000, now, 0)
    texts = b"\x00" + b"\x00\x00" + b"\x00\x00"
    return box(b"abst", head, texts, b"\x01", asrt, b"\x01", afrt) + tail


def _fragment(
    bitrate: int, number: int, *, shift: int = 0, header_shift: int = 0, headers: bool = True, key: bool = True,
    marked: bool = True, codec: int = 7, flags: int = 0xAF, previous: int = 0, stream: int = 0, swap: bool = False, slack: int = 0,
    width: int | None = None, mdats: int = 1, cut: int = 0, alone: int | None = None,
) -> bytes:  # fmt: skip
    """A fragment.

    Args:
        bitrate: Its media.
        number: From 1.
        shift: What is added to all its times.
        header_shift: What is added to the times of its sequence headers.
        headers: It has them.
        key: Its first picture is an IDR.
        marked: Its first picture has FrameType 1.
        codec: CodecID of its pictures.
        flags: First byte of its sound.
        previous: What is added to PreviousTagSize of its first picture.
        stream: StreamID of its first tag.
        swap: Its second and third picture change places.
        slack: Bytes that its first picture has behind its NAL units.
        width: Of its sequence header.
        mdats: How often it is there.
        cut: Bytes that are missing at its end.
        alone: It has no pictures, and sound from so many milliseconds on.
    """
    start = _FIRST_MS + (number - 1) * _MS + shift
    tags: list[tuple[int, int, int, bytes]] = []  # place, kind, time, body
    if headers:
        sps = SPS[width or _MEDIA[bitrate]]
        avcc = b"\x01" + sps[1:4] + b"\xff\xe1" + struct.pack(">H", len(sps)) + sps + b"\x01" + struct.pack(">H", len(PPS)) + PPS
        tags.append((-2, 9, start + header_shift, bytes((0x17, 0, 0, 0, 0)) + avcc))
        tags.append((-1, 8, start + header_shift, bytes((0xAF, 0)) + AAC_STEREO))
    for n in range(_PICTURES if alone is None else 0):
        first = n == 0
        unit = picture((bitrate, number, n), key=key and first, size=20 * bitrate // 8)
        kind = 0x10 if first and marked else 0x20
        body = bytes((kind | codec, 1, 0, 0, 0)) + lengths(unit) + (b"\x00" * slack if first else b"")
        tags.append((40 * n, 9, start + 40 * n, body))
    tags += [(at, 8, start + at, bytes((flags, 1)) + sound((number, at), size=10)) for at in range(alone or 0, _MS, _SOUND_STEP)]
    tags.sort(key=lambda tag: tag[:2])
    pictures = [n for n, (place, kind, *_) in enumerate(tags) if kind == 9 and place >= 0]
    if swap:
        one, other = pictures[1:3]
        tags[one], tags[other] = tags[other], tags[one]
    whole_tags = [
        _tag(kind, time, body, previous=previous if n == (pictures or [0])[0] else 0, stream=stream if not n else 0)
        for n, (_, kind, time, body) in enumerate(tags)
    ]
    whole = box(b"mdat", *whole_tags) * mdats
    return whole[: len(whole) - cut]


def _tag(kind: int, time: int, body: bytes, *, previous: int, stream: int) -> bytes:
    head = bytes((kind,)) + len(body).to_bytes(3, "big") + (time & 0xFFFFFF).to_bytes(3, "big") + bytes((time >> 24 & 0xFF,))
    return head + stream.to_bytes(3, "big") + body + struct.pack(">I", 11 + len(body) + previous)
