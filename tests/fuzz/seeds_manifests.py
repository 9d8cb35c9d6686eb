"""Small manifests for the targets of the judge: what our origin writes, and what others do that it does not."""

from __future__ import annotations

import re
import struct
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

from tests.fuzz import seeds_media
from tests.helpers.made_media import box

_GOLDEN = Path(__file__).resolve().parents[1] / "golden/packaging"
_PARTS = re.compile(rb"^=== .*\n", re.MULTILINE)
"""What stands between the manifests of one golden file."""
_MOST = 2500
"""Bytes: a shorter manifest has everything that a longer one has."""

_PLAYLIST = b"""#EXTM3U
#EXT-X-VERSION:9
#EXT-X-TARGETDURATION:4
#EXT-X-MEDIA-SEQUENCE:18446744073709551615
#EXT-X-DISCONTINUITY-SEQUENCE:7
#EXT-X-PLAYLIST-TYPE:EVENT
#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,CAN-SKIP-UNTIL=24.0,PART-HOLD-BACK=1.5
#EXT-X-PART-INF:PART-TARGET=0.5
#EXT-X-KEY:METHOD=AES-128,URI="key",IV=0x0123456789ABCDEF
#EXT-X-MAP:URI="init.mp4",BYTERANGE="720@0"
#EXT-X-BITRATE:800
#EXT-X-PROGRAM-DATE-TIME:2024-02-29T23:59:60.123+05:30
#EXT-X-BYTERANGE:1000@720
#EXTINF:3.96,title
all.mp4
#EXT-X-BYTERANGE:2000
#EXTINF:4,
all.mp4
#EXT-X-DISCONTINUITY
#EXT-X-GAP
#EXT-X-DATERANGE:ID="a",START-DATE="2024-01-01T00:00:00Z",DURATION=2.5,X-OWN="b"
#EXTINF:3.0000,
https://other.test/3.ts?a=b#c
#EXT-X-PART:DURATION=0.5,URI="p.mp4",INDEPENDENT=YES
#EXT-X-PRELOAD-HINT:TYPE=PART,URI="q.mp4"
#EXT-X-ENDLIST
"""
_MASTER = b"""#EXTM3U
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="x",LANGUAGE="de",DEFAULT=YES,AUTOSELECT=YES,CHANNELS="6/JOC",URI="a.m3u8"
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="b",NAME="x",LANGUAGE="de",CHANNELS="2",URI="b.m3u8"
#EXT-X-MEDIA:TYPE=CLOSED-CAPTIONS,GROUP-ID="c",NAME="c",INSTREAM-ID="CC1"
#EXT-X-STREAM-INF:BANDWIDTH=800000,AVERAGE-BANDWIDTH=700000,RESOLUTION=640x360,FRAME-RATE=25.000,CODECS="avc1.4d401e,mp4a.40.2",AUDIO="a"
v.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=1,CLOSED-CAPTIONS=NONE,AUDIO="b"
w.m3u8
#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=9000,URI="i.m3u8"
"""
_MPD_LIST = b"""<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" profiles="p" type="static" minBufferTime="PT2S"
 mediaPresentationDuration="P1DT2H3M4.5S"><BaseURL availabilityTimeOffset="INF">http://cdn.test/</BaseURL>
<Period duration="PT30S"><AdaptationSet mimeType="video/mp4"><SegmentList timescale="1000" duration="2000" startNumber="3">
<Initialization sourceURL="i.mp4" range="0-719"/><SegmentURL media="1.m4s" mediaRange="720-999"/><SegmentURL media="2.m4s"/></SegmentList>
<Representation id="a" bandwidth="1"/></AdaptationSet></Period>
<Period start="PT40S"><AdaptationSet contentType="audio" mimeType="audio/mp4">
<Representation id="b" bandwidth="2"><BaseURL>b.mp4</BaseURL><SegmentBase indexRange="700-900" timescale="48000"/></Representation>
</AdaptationSet></Period></MPD>
"""
_MPD_NUMBER = b"""<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" profiles="p" type="dynamic" availabilityStartTime="2026-01-01T12:00:00+01:00"
 minimumUpdatePeriod="PT2S" timeShiftBufferDepth="PT1M" minBufferTime="PT2S">
<Period start="PT0S"><AdaptationSet mimeType="video/mp4" frameRate="30000/1001">
<SegmentTemplate timescale="90000" duration="180000" startNumber="0" presentationTimeOffset="77" availabilityTimeOffset="1.5"
 initialization="$RepresentationID$.mp4" media="$RepresentationID$-$Bandwidth$-$Number%05d$-$$.m4s"/>
<Representation id="a" bandwidth="1"><SegmentTemplate><SegmentTimeline>
<S t="90" d="180000" r="-1"/><S t="1080090" d="90000" n="9"/></SegmentTimeline></SegmentTemplate></Representation>
<Representation id="b" bandwidth="2"/></AdaptationSet></Period></MPD>
"""
_SMOOTH = b"""<SmoothStreamingMedia MajorVersion="2" MinorVersion="2" Duration="60000000">
<StreamIndex Type="video" Chunks="3" QualityLevels="1" Url="QualityLevels({bitrate})/Fragments(video={start time})">
<QualityLevel Index="0" Bitrate="800000" FourCC="AVC1" MaxWidth="160" MaxHeight="90" NALUnitLengthField="4" CodecPrivateData=
"000000016742C00BDA0A37E4C044000003000400000300C83C50AA800000000168CE3C80"/>
<c n="0" t="0"/><c t="20000000" d="20000000" r="2"/></StreamIndex>
<StreamIndex Type="audio" Name="a" Language="de" TimeScale="48000" Chunks="1" QualityLevels="1" Url="u">
<QualityLevel Index="0" Bitrate="96000" FourCC="AACH" SamplingRate="24000" Channels="1" BitsPerSample="16" PacketSize="4" AudioTag="255"
 CodecPrivateData="131056E598"/><c d="96000"/></StreamIndex>
<StreamIndex Type="text" Name="t" ParentStreamIndex="video" Chunks="0" QualityLevels="1" Url="u"><QualityLevel Index="0" Bitrate="1"
 FourCC="TTML"/></StreamIndex></SmoothStreamingMedia>
"""


def _parts(*suffixes: str) -> list[bytes]:
    """The short ones of our origin's manifests."""
    files = [path for path in _GOLDEN.rglob("*") if path.suffix in suffixes]
    found = {part for path in files for part in _PARTS.split(path.read_bytes()) if 0 < len(part) <= _MOST}
    return sorted(found, key=lambda data: (len(data), data))


def hls_media_playlists() -> Iterator[bytes]:
    """Media playlists."""
    yield _PLAYLIST
    yield from (part for part in _parts(".txt") if b"#EXTINF" in part)


def hls_multivariant() -> Iterator[bytes]:
    """Multivariant playlists."""
    yield _MASTER
    yield from (part for part in _parts(".txt") if b"#EXT-X-STREAM-INF" in part)


def dash_mpds() -> Iterator[bytes]:
    """MPDs with every kind of addressing."""
    yield _MPD_LIST
    yield _MPD_NUMBER
    yield from _parts(".mpd")


def dash_indexes() -> Iterator[bytes]:
    """Indexes of two segments, narrow and wide."""
    rows = struct.pack(">IIIIII", 1000, 180_000, 0x9000_0000, 2000, 90_000, 0)
    yield box(b"sidx", struct.pack(">IIIIIHH", 0, 1, 90_000, 0, 0, 0, 2), rows)
    yield box(b"sidx", struct.pack(">IIIQQHH", 1 << 24, 1, 90_000, 1 << 40, 12, 0, 2), rows)


def smooth_manifests() -> Iterator[bytes]:
    """Client manifests."""
    yield _SMOOTH
    yield from _parts(".xml")


def hds_manifests() -> Iterator[bytes]:
    """Manifests of one stream and of a set."""
    amf = b64encode(next(seeds_media.amf_values())).decode()
    table = b64encode(next(hds_bootstraps())).decode()
    inline = f'<bootstrapInfo profile="named" id="b">{table}</bootstrapInfo>'
    media = f'<media url="v" bitrate="800" width="1280" height="360" bootstrapInfoId="b"><metadata>{amf}</metadata></media>'
    head = '<manifest xmlns="http://ns.adobe.com/f4m/1.0"><baseURL>http://cdn.test/</baseURL><duration>12.5</duration>'
    yield f"{head}<streamType>recorded</streamType>{inline}{media}</manifest>".encode()
    yield b'<manifest xmlns="http://ns.adobe.com/f4m/2.0"><media href="a.f4m" bitrate="1"/><media href="b.f4m" bitrate="2"/></manifest>'
    yield from (part for part in _parts(".txt") if b"<manifest" in part)


def hds_bootstraps() -> Iterator[bytes]:
    """Bootstraps of two segments, and with marks of a jump and of the end."""
    asrt = box(b"asrt", struct.pack(">IBI", 0, 0, 1), struct.pack(">II", 1, 2))
    afrt = box(b"afrt", struct.pack(">IIBI", 0, 1000, 0, 1), struct.pack(">IQI", 1, 5000, 2000))
    yield box(b"abst", _head(9000), b"\x01", asrt, b"\x01", afrt)
    pairs = box(b"asrt", struct.pack(">IBI", 0, 0, 2), struct.pack(">IIII", 1, 2, 3, 4))
    runs = [struct.pack(">IQI", 1, 5000, 2000), struct.pack(">IQIB", 5, 0, 0, 3), struct.pack(">IQI", 5, 20_000, 2000)]
    ended = box(b"afrt", struct.pack(">IIBI", 0, 1000, 0, 4), *runs, struct.pack(">IQIB", 0, 0, 0, 0))
    yield box(b"abst", _head(24_000, live=False), b"\x01", pairs, b"\x01", ended)


def _head(current: int, *, live: bool = True) -> bytes:
    """An abst up to its tables."""
    return struct.pack(">IIBIQQ", 0, 1, 0x20 if live else 0, 1000, current, 0) + bytes(5)
