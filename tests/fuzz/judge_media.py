"""Targets of the judge's readers of media: one for each container, and for what stands inside one."""

from __future__ import annotations

from dataclasses import replace

from pypackager.check.finding import Scope
from pypackager.check.media.aac import read_config
from pypackager.check.media.amf import Value, read_amf
from pypackager.check.media.avc import read_parameter_sets
from pypackager.check.media.f4f import F4fMedia, read_f4f
from pypackager.check.media.mp4_fragments import read_fragments
from pypackager.check.media.mp4_header import Mp4Header, Mp4Track, read_avcc, read_header
from pypackager.check.media.samples import Codec, Media, Samples
from pypackager.check.media.smooth_fragments import SmoothMedia, read_smooth_fragment
from pypackager.check.media.ts import ElementaryStream, read_ts
from pypackager.check.media.ts_packets import Pes
from pypackager.check.smooth.private_data import split_annex_b
from tests.fuzz.demands import read, samples

_VIDEO = Mp4Track(1, "video", 90_000, "und", None, length_size=4, duration=3600)
_AUDIO = Mp4Track(2, "audio", 48_000, "und", None, edit=1024, duration=1024, size=60)
AVC, ADTS = 0x1B, 0x0F


def mp4_headers(data: bytes) -> None:
    """An initialisation segment: tracks have a number and a timescale."""
    header: Mp4Header | None = read(data, read_header)
    for ident, track in header.tracks.items() if header else ():
        assert track.ident == ident > 0
        assert track.timescale > 0
        assert track.length_size in (0, 1, 2, 3, 4)


def mp4_fragments(data: bytes) -> None:
    """A media segment of a track of pictures and one of sound."""

    def reader(body: bytes, scope: Scope) -> Media:
        return read_fragments(body, Mp4Header(tracks={1: replace(_VIDEO), 2: replace(_AUDIO)}), scope)

    media: Media = read(data, reader)
    for stream in media.streams:
        samples(stream, len(data))
    assert media.numbers == [number for number in media.numbers if 0 <= number < 1 << 32]


def smooth_fragments(data: bytes) -> None:
    """A fragment of Smooth Streaming, as one of pictures and as one of sound."""
    for track in (_VIDEO, _AUDIO):

        def reader(body: bytes, scope: Scope, track: Mp4Track = track) -> SmoothMedia:
            return read_smooth_fragment(body, Mp4Header(tracks={0: replace(track)}), scope)

        media: SmoothMedia = read(data, reader)
        for stream in media.streams:
            samples(stream, len(data))
        assert sum(map(len, media.parameter_sets)) <= len(data)


def ts_segments(data: bytes) -> None:
    """A transport stream: packets, tables, clock, and what the streams carry."""
    # The fuzzer does not find the ends of packets by itself: what is left over is one more packet.
    whole = data + b"\xff" * (-len(data) % 188) if len(data) % 7 else data

    def reader(body: bytes, scope: Scope) -> Media:
        return read_ts(body, None, scope)

    for stream in read(whole, reader).streams:
        samples(stream, len(whole))


def ts_streams(data: bytes) -> None:
    """An elementary stream: the first byte says whether it is H.264 or AAC; a PES packet begins at each start code of one."""
    kind, body = AVC if data[:1] < b"\x80" else ADTS, data[1:]

    def reader(given: bytes, scope: Scope) -> Samples:
        bounds, at = [0], given.find(b"\x00\x00\x01", 3)
        while at >= 0:
            if given[at + 3 : at + 4] in (b"\xe0", b"\xc0"):
                bounds.append(at)
            at = given.find(b"\x00\x00\x01", at + 3)
        return ElementaryStream(Pes(0x100, kind, given, [*bounds, len(given)], [*bounds]), scope).read()

    samples(read(body, reader), len(body))


def f4f_fragments(data: bytes) -> None:
    """A fragment of HDS: FLV tags."""

    def reader(body: bytes, scope: Scope) -> F4fMedia:
        return read_f4f(body, None, scope)

    for stream in read(data, reader).streams:
        samples(stream, len(data))


def aac_configs(data: bytes) -> None:
    """An AudioSpecificConfig."""

    def reader(body: bytes, _: Scope) -> Codec | None:
        try:
            return read_config(body)
        except ValueError:
            return None

    codec: Codec | None = read(data, reader)
    assert codec is None or 0 <= codec.channels <= 8


def avc_parameter_sets(data: bytes) -> None:
    """H.264 parameter sets: in an avcC, behind start codes, and one alone."""

    def reader(body: bytes, _: Scope) -> list[Codec | None]:
        out: list[Codec | None] = []
        for units in ([body], split_annex_b(body)):
            try:
                out.append(read_parameter_sets(units))
            except ValueError:
                out.append(None)
        try:
            codec, width = read_avcc(body, "avc1")
            assert 1 <= width <= 4
            out.append(codec)
        except ValueError:
            out.append(None)
        return out

    for codec in read(data, reader):
        assert codec is None or (codec.kind == "video" and codec.pixel_aspect[1] > 0)


def amf_values(data: bytes) -> None:
    """Script data: there are not more values than bytes."""

    def reader(body: bytes, _: Scope) -> list[Value]:
        try:
            return read_amf(body)
        except ValueError:
            return []

    assert len(read(data, reader)) <= len(data)
