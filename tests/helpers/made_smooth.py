"""A live Smooth presentation that is made of nothing, to be broken: two levels of video and a sound, then its end.

In: what is to be wrong with it. Out: a recording of its manifests, fragments and errors.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import Any
from uuid import UUID

from tests.helpers.judged import BASE
from tests.helpers.made_media import AAC_STEREO, PPS, SPS, START_CODE, box, lengths, picture, sound
from tests.helpers.recorded import Recording

URL = BASE + "show.ism/manifest"
SECONDS = 12.0
"""How long it is watched, until it has ended."""
LAST = 9
"""Number of the last fragment."""
_TFXD = UUID("6d1d9b05-42d5-44e6-80e2-141daff757b2").bytes
_TFRF = UUID("d4807ef2-ca39-4695-8e54-26cb9e46a79f").bytes
_WINDOW = 4
"""Fragments that a live manifest lists; with two of look-ahead and the one in the making they are a window of 12 s."""
_SYNC, _NO_SYNC = 0x02000000, 0x01010000


@dataclass
class MadeStream:
    """A stream: its fragments by their samples."""

    name: str
    timescale: int
    first: int
    frame: int
    """Ticks of a sample."""
    frames: list[int]
    """Samples of each fragment."""
    levels: dict[int, dict[str, str]]
    """Attributes by bitrate."""
    holes: dict[int, int] = field(default_factory=dict)
    """Samples that are missing in front of a fragment, by its number."""

    def chunks(self) -> list[tuple[int, int]]:
        """Time and duration of every fragment."""
        missing = accumulate(self.holes.get(number, 0) for number in range(len(self.frames)))
        starts = map(sum, zip(accumulate(self.frames, initial=0), missing, strict=False))
        return [(self.first + start * self.frame, count * self.frame) for start, count in zip(starts, self.frames, strict=True)]

    def listed(self) -> list[tuple[int, int]]:
        """Time of every fragment, and how long it is listed: up to the next one."""
        chunks = self.chunks()
        return [(start, after - start) for (start, _), (after, _) in pairwise(chunks)] + chunks[-1:]


def _video(width: int, height: int, index: int) -> dict[str, str]:
    private = START_CODE + SPS[width] + START_CODE + PPS
    sizes = {"MaxWidth": str(width), "MaxHeight": str(height)}
    return {"Index": str(index), "FourCC": "H264", **sizes, "CodecPrivateData": private.hex()}


_SOUND = {
    "Index": "0", "FourCC": "AACL", "SamplingRate": "48000", "Channels": "2", "BitsPerSample": "16", "PacketSize": "4", "AudioTag": "255",
    "CodecPrivateData": AAC_STEREO.hex(),
}  # fmt: skip


@dataclass
class SmoothShow:
    """The presentation, and all that is wrong with it."""

    streams: list[MadeStream] = field(
        default_factory=lambda: [
            MadeStream("video", 90_000, 9_000_000, 3600, [50] * (LAST + 1), {20_000: _video(160, 90, 0), 30_000: _video(640, 360, 1)}),
            MadeStream("audio", 48_000, 4_800_000, 1024, [94, 94, 94, 93] * 2 + [94, 94], {25_000: _SOUND}),
        ]
    )
    wrong: dict[tuple[str, int, int], dict[str, Any]] = field(default_factory=dict)
    """What is wrong with the fragment of a stream and bitrate, by its number."""
    edits: list[tuple[int | None, str, str]] = field(default_factory=list)
    """In which copy of the manifest (None: in all) which text is another."""
    heads: dict[int, int] = field(default_factory=dict)
    """First fragment listed in a copy."""
    early: int = 412
    gone: int = 404

    def edit(self, old: str, new: str, copy: int | None = None) -> None:
        """Replaces a text in one copy of the manifest, or in all."""
        self.edits.append((copy, old, new))

    def spoil(self, number: int, *, stream: str = "video", bitrate: int = 20_000, **how: Any) -> None:
        """Makes a fragment wrong: an argument of `_fragment`."""
        self.wrong.setdefault((stream, bitrate, number), {}).update(how)

    def recording(self) -> Recording:
        """What its origin answers."""
        recording = Recording()
        ends = range(3, LAST - 1)
        for copy, end in enumerate(ends):
            first = self.heads.get(copy, max(0, end - _WINDOW + 1))
            recording.add(URL, self._manifest(copy, first, end, live=True), "text/xml", at=2.0 * copy)
        recording.add(URL, self._manifest(len(ends), 0, LAST, live=False), "text/xml", at=2.0 * len(ends))
        for stream in self.streams:
            for bitrate in stream.levels:
                for number, (start, _) in enumerate(stream.chunks()):
                    how = self.wrong.get((stream.name, bitrate, number), {})
                    # The origin has what is listed and its look-ahead.
                    at = max(0.0, 2.0 * (number - 5))
                    recording.add(fragment_url(stream.name, bitrate, start), _fragment(stream, bitrate, number, **how), "video/mp4", at=at)
        video = self.streams[0]
        start, duration = video.chunks()[3]
        recording.add(fragment_url("video", 20_000, start + 6 * duration), b"", status=self.early)
        recording.add(fragment_url("video", 20_000, video.first // 2), b"", status=self.gone)
        return recording

    def _manifest(self, copy: int, first: int, end: int, *, live: bool) -> str:
        head = 'IsLive="TRUE" LookAheadFragmentCount="2" DVRWindowLength="120000000" Duration="0"' if live else 'Duration="200000000"'
        text = f'<SmoothStreamingMedia MajorVersion="2" MinorVersion="2" TimeScale="10000000" {head}>\n'
        for stream in self.streams:
            chunks = stream.listed()[first : end + 1]
            text += f'<StreamIndex Type="{stream.name}" Name="{stream.name}" Chunks="{0 if live else len(chunks)}" '
            text += f'QualityLevels="{len(stream.levels)}" TimeScale="{stream.timescale}" '
            text += f'Url="QualityLevels({{bitrate}})/Fragments({stream.name}={{start time}})">\n'
            for bitrate, values in stream.levels.items():
                text += f'<QualityLevel Bitrate="{bitrate}" ' + " ".join(f'{name}="{value}"' for name, value in values.items()) + "/>\n"
            text += "".join(f'<c t="{start}" d="{duration}"/>\n' for start, duration in chunks) + "</StreamIndex>\n"
        text += "</SmoothStreamingMedia>\n"
        for where, old, new in self.edits:
            assert where != copy or old in text, old
            if where in (None, copy):
                text = text.replace(old, new)
        return text


def fragment_url(stream: str, bitrate: int, start: int) -> str:
    """The URL of a fragment."""
    return f"{BASE}show.ism/QualityLevels({bitrate})/Fragments({stream}={start})"


def _fragment(
    stream: MadeStream, bitrate: int, number: int, *, tfxd: int | None = 0, lasts: int = 0, tfrf: int | None = 2, promise: int = 0,
    key: bool = True, marked: bool = True, inband: bytes = b"", channels: int = 2, tfdt: int | None = None, shift: int | None = None,
    drop: int = 0, prefix: bytes = b"", cut: int = 0, room: int = 0, tail: bytes = b"",
) -> bytes:  # fmt: skip
    """A fragment.

    Args:
        stream: Its stream.
        bitrate: Its level.
        number: From 0.
        tfxd: What is added to the time in tfxd; None leaves it out.
        lasts: What is added to the duration in tfxd.
        tfrf: How many it names; None leaves it out.
        promise: What is added to the time of the first that it names.
        key: Its first picture is an IDR.
        marked: Its first sample is marked as sync sample.
        inband: Parameter sets before the first picture, with lengths.
        channels: Of its sound.
        tfdt: There is a tfdt, and this is added to it.
        shift: Composition offset of every sample, in a trun of version 1.
        drop: Samples that are left out at its end.
        prefix: Bytes before it.
        cut: Bytes that are missing at its end.
        room: What is added to the number of fragments in tfrf.
        tail: Bytes behind the last sample.
    """
    chunks = stream.chunks()
    start, duration = chunks[number]
    count = stream.frames[number] - drop
    seeds = [(stream.name, bitrate, number, n) for n in range(count)]
    if stream.name == "video":
        pictures = [picture(seed, key=key and not n, size=bitrate // 250) for n, seed in enumerate(seeds)]
        samples = [(inband if not n else b"") + lengths(unit) for n, unit in enumerate(pictures)]
        flags = [_SYNC if marked and not n else _NO_SYNC for n in range(count)]
    else:
        samples = [sound(seed, channels=channels) for seed in seeds]
        flags = [_SYNC] * count
    following = chunks[number + 1 : number + 1 + (tfrf or 0)] if tfrf is not None else []
    named = [(time + (promise if not n else 0), length) for n, (time, length) in enumerate(following)]
    traf = [box(b"tfhd", struct.pack(">III", 0x8, 1, stream.frame))]
    if tfdt is not None:
        traf.append(box(b"tfdt", struct.pack(">IQ", 1 << 24, start + tfdt)))
    times = [] if tfxd is None else [box(b"uuid", _TFXD, struct.pack(">IQQ", 1 << 24, start + tfxd, duration + lasts))]
    if named:
        times.append(box(b"uuid", _TFRF, struct.pack(">IB", 1 << 24, len(named) + room), *(struct.pack(">QQ", *each) for each in named)))
    columns = 0x601 if shift is None else 0xE01
    rows = [
        (len(sample), flag) if shift is None else (len(sample), flag, shift & 0xFFFFFFFF)
        for sample, flag in zip(samples, flags, strict=True)
    ]

    def moof(offset: int) -> bytes:
        table = b"".join(struct.pack(f">{len(row)}I", *row) for row in rows)
        trun = box(b"trun", struct.pack(">IIi", columns | (0 if shift is None else 1 << 24), count, offset), table)
        return box(b"moof", box(b"mfhd", struct.pack(">II", 0, number + 1)), box(b"traf", *traf, trun, *times))

    head = moof(len(moof(0)) + 8)
    whole = prefix + head + box(b"mdat", *samples, tail)
    return whole[: len(whole) - cut]
