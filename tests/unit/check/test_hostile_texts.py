"""What no origin in its right mind writes into a manifest is a finding, not an exception, and costs neither time nor memory."""

from __future__ import annotations

import struct
from fractions import Fraction

import pytest

from pypackager.check.dash.resolve import resolve
from pypackager.check.dash.template import expand
from pypackager.check.dash.tree import read_tree
from pypackager.check.dash.values import parse_duration, parse_frame_rate, parse_range
from pypackager.check.finding import Report
from pypackager.check.hds.bootstrap import read_bootstrap
from pypackager.check.hds.f4m import read_f4m
from pypackager.check.hls.lines import read_lines
from pypackager.check.hls.media_playlist import read_media_playlist
from pypackager.check.hls.multivariant import read_multivariant
from pypackager.check.hls.walk import tracks_of
from pypackager.check.numerals import decimal, whole
from pypackager.check.references import resolve_reference
from pypackager.check.served.lifetimes import lifetime
from pypackager.check.smooth.manifest import read_manifest
from pypackager.check.smooth.private_data import split_annex_b
from tests.fuzz.targets import TARGETS
from tests.helpers.made_media import box

URL = "http://origin.test/a/manifest"
LONG = "9" * 5000
"""More digits than `int` reads."""


def _short(text: object) -> str:
    """A name for a parameter."""
    return ascii(text)[:24]


@pytest.mark.parametrize("text", ["²", "٣", "-1", "+1", "", "1e5", "1_0", LONG], ids=_short)
def test_a_whole_number_is_ascii_digits_and_not_without_end(text: str) -> None:
    assert whole(text) is None
    assert whole("18446744073709551615") == (1 << 64) - 1


@pytest.mark.parametrize("text", ["²", "1.²", "1e999999999", "1/0", "1/2", "NaN", "INF", ".", "", LONG, f"0.{LONG}"], ids=_short)
def test_a_decimal_number_has_neither_exponent_nor_end(text: str) -> None:
    assert decimal(text) is None
    assert [decimal(each) for each in ("12.50", "-.5", "+3.")] == [Fraction(25, 2), Fraction(-1, 2), 3]


@pytest.mark.parametrize("reference", ["//[::1", "http://[", "//[not-an-address]/x", "//\u2100/x"])
def test_a_reference_that_is_none_is_a_name_that_can_be_asked_for(reference: str) -> None:
    url = resolve_reference(URL, reference)
    assert url.startswith("http://origin.test/a/")
    assert resolve_reference(url, "b") == resolve_reference(url, "./b")


PLAYLIST = '#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:3\n#EXT-X-MAP:URI="i"\n#EXT-X-BYTERANGE:5@0\n#EXTINF:2,\n1.mp4\n'


@pytest.mark.parametrize(
    ("old", "new"),
    [("SEQUENCE:3", "SEQUENCE:²"), ("SEQUENCE:3", f"SEQUENCE:{LONG}"), ("EXTINF:2,", f"EXTINF:{LONG},"), ("EXTINF:2,", f"EXTINF:2.{LONG},"),
     ("5@0", f"5@{LONG}"), ("5@0", f"{LONG}@0")], ids=_short,
)  # fmt: skip
def test_hls_numbers(old: str, new: str) -> None:
    report = Report()
    scope = report.scope()
    read_media_playlist(read_lines(PLAYLIST.replace(old, new).encode(), scope), URL, scope)
    assert "HLS-TAG" in report.broken()


def test_hls_references() -> None:
    report = Report()
    text = PLAYLIST.replace('"i"', '"//[::1"').replace("1.mp4", "http://[")
    playlist = read_media_playlist(read_lines(text.encode(), report.scope()), URL, report.scope())
    assert playlist.segments[0].map is not None
    assert [playlist.segments[0].url, playlist.segments[0].map.url] == [
        "http://origin.test/a/http%3A%2F%2F%5B", "http://origin.test/a/%2F%2F%5B%3A%3A1"
    ]  # fmt: skip


@pytest.mark.parametrize("date", [f"2024-01-01T00:00:00.{LONG}Z", "2024-01-01T00:00:00+99:99", "0000-01-01T00:00:00Z"], ids=_short)
def test_hls_dates(date: str) -> None:
    report = Report()
    text = PLAYLIST.replace("#EXTINF", f"#EXT-X-PROGRAM-DATE-TIME:{date}\n#EXTINF")
    read_media_playlist(read_lines(text.encode(), report.scope()), URL, report.scope())
    assert "HLS-PDT-ZONE" in report.broken()


def test_hls_variants() -> None:
    text = (
        '#EXTM3U\n#EXT-X-VERSION:²\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="a",CHANNELS="²",URI="http://["\n'
        f'#EXT-X-STREAM-INF:BANDWIDTH=²,AVERAGE-BANDWIDTH={LONG},RESOLUTION=²x{LONG},FRAME-RATE=².0,CODECS="a",AUDIO="a"\n//[\n'
    )
    report = Report()
    master = read_multivariant(read_lines(text.encode(), report.scope()), URL, report.scope())
    claims = [track.claims for track in tracks_of(master)]
    assert [(each.width, each.height, each.frame_rate, each.channels) for each in claims] == [(None, None, None, None)] * 2
    assert master.version == 1
    assert {"HLS-TAG", "HLS-ATTRIBUTES"} <= report.broken()


MPD = """<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" profiles="p" type="dynamic" availabilityStartTime="2026-01-01T12:00:00Z"
 minBufferTime="PT2S"><BaseURL availabilityTimeOffset="1">b/</BaseURL><Period start="PT0S"><AdaptationSet mimeType="video/mp4">
<SegmentTemplate timescale="1" duration="2" presentationTimeOffset="7" startNumber="1" media="$Number%05d$" initialization="i"/>
<Representation id="a" bandwidth="1"/></AdaptationSet></Period></MPD>"""
NOW = Fraction(1_767_268_860)


@pytest.mark.parametrize(
    ("old", "new", "broken"),
    [
        ('Offset="1"', 'Offset="1e999999999"', None),
        ('Offset="1"', 'Offset="1/0"', "DASH-VALUE"),
        ("b/</", "http://[</", None),
        ('Offset="7"', 'Offset="9223372036854775808"', "DASH-TIME-2-53"),
        ('Offset="7"', f'Offset="{LONG}"', "DASH-VALUE"),
        ('Offset="7"', 'Offset="٣"', "DASH-VALUE"),
        ("PT0S", f"PT{LONG}S", "DASH-VALUE"),
        ("PT0S", f"PT0.{LONG}S", "DASH-VALUE"),
        (":00Z", f":00.{LONG}Z", "DASH-VALUE"),
        ("%05d", "%0999999999d", "DASH-TEMPLATE"),
    ],
    ids=_short,
)
def test_dash_values(old: str, new: str, broken: str | None) -> None:
    assert old in MPD
    report = Report()
    root = read_tree(MPD.replace(old, new).encode(), report.scope())
    assert root is not None
    mpd = resolve(root, URL, NOW, report.scope())
    for representation in mpd.representations:
        for row in range(len(representation.rows)):
            assert len(representation.url(row)[0]) < 200
    assert broken is None or broken in report.broken()


def test_dash_timelines() -> None:
    """Repeats without end, and a hole behind all times."""
    hole = '<FailoverContent valid="false"><FCS t="18446744073709551615"/></FailoverContent>'
    timeline = hole + '<SegmentTimeline><S t="0" d="2" r="@"/></SegmentTimeline>'
    for repeat in ("2", LONG, "9" * 20):
        text = MPD.replace('duration="2" ', "").replace('initialization="i"/>', f'initialization="i">{timeline}</SegmentTemplate>')
        report = Report()
        root = read_tree(text.replace("@", repeat).encode(), report.scope())
        assert root is not None
        (representation,) = resolve(root, URL, NOW, report.scope()).representations
        assert len(representation.rows) <= 3


@pytest.mark.parametrize("element", ['<S t="90" d="18446744073709551615" r="-1"/>', '<S t="18446744073709551615" d="1" r="-1"/>'])
def test_a_repeat_that_ends_before_it_begins(element: str) -> None:
    """There are no segments of it, but a column for them."""
    timeline = f'<SegmentTimeline>{element}<S t="90" d="2"/></SegmentTimeline>'
    text = MPD.replace('duration="2" ', "").replace('initialization="i"/>', f'initialization="i">{timeline}</SegmentTemplate>')
    report = Report()
    root = read_tree(text.encode(), report.scope())
    assert root is not None
    (representation,) = resolve(root, URL, NOW, report.scope()).representations
    assert len(representation.rows) <= 1
    assert "DASH-TIMELINE-REPEAT" in report.broken()


def test_segments_of_one_duration_whose_times_no_column_holds() -> None:
    """A list of one segment is as long as its Period, which ends where the next one begins."""
    listed = MPD.replace("SegmentTemplate", "SegmentList").replace(
        ' media="$Number%05d$" initialization="i"/>', "><SegmentURL/></SegmentList>"
    )
    later = '<Period start="PT18446744073709551616S"><AdaptationSet mimeType="video/mp4"/></Period></MPD>'
    alone = listed.replace('duration="2" presentationTimeOffset="7" startNumber="1"', "").replace("</MPD>", later)
    old = (
        MPD.replace("2026-01-01", "0001-01-01")
        .replace('timescale="1"', 'timescale="4294967295"')
        .replace("minBuffer", 'timeShiftBufferDepth="PT60S" minBuffer')
    )
    for text in (alone, old):
        report = Report()
        root = read_tree(text.encode(), report.scope())
        assert root is not None
        first = resolve(root, URL, NOW, report.scope()).representations[0]
        assert len(first.rows) == 0
        assert "DASH-TIME-2-53" in report.broken()


def test_an_mpd_without_a_period_is_read() -> None:
    report = Report()
    root = read_tree(b'<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" profiles="p" minBufferTime="PT2S"/>', report.scope())
    assert root is not None
    assert resolve(root, URL, NOW, report.scope()).periods == []
    assert report.broken() == {"DASH-ELEMENT"}


def test_dash_texts() -> None:
    assert [parse_range(text) for text in ("²-³", f"0-{LONG}", "5-4", "0-9")] == [None, None, None, (0, 10)]
    assert [parse_frame_rate(text) for text in ("²", "25/²", "25/0", LONG, "25")] == [None, None, None, None, 25]
    assert [parse_duration(text) for text in ("P٣D", f"P{LONG}Y", "PT0.5S")] == [None, None, Fraction(1, 2)]
    assert expand("$Number%0999999999d$", {"Number": 1}) == "$Number%0999999999d$"


def test_an_index_whose_times_no_column_holds() -> None:
    late = struct.pack(">IIIQQHH", 1 << 24, 1, 90_000, 1 << 63, 12, 0, 1)
    TARGETS["dash_indexes"](box(b"sidx", late, struct.pack(">III", 1000, 180_000, 0)))


def test_nothing_but_zeros_behind_a_start_code() -> None:
    assert split_annex_b(bytes.fromhex("0000000000016742c0" + "00000001" + "000001" + "68ce" + "000001" + "00000000")) == [
        b"\x67\x42\xc0",
        b"\x68\xce",
    ]
    level = (
        '<QualityLevel Index="0" Bitrate="1" FourCC="AVC1" MaxWidth="8" MaxHeight="8" CodecPrivateData="000000016742000000000001000000"/>'
    )
    TARGETS["smooth_manifests"](
        f"""<SmoothStreamingMedia MajorVersion="2" MinorVersion="2" Duration="0"><StreamIndex Type="video"
 Url="QualityLevels({{bitrate}})/Fragments(video={{start time}})">{level}</StreamIndex></SmoothStreamingMedia>""".encode()
    )


def test_smooth_fragments_of_no_ticks() -> None:
    """More of them are between two times than there are ticks."""
    text = (
        '<SmoothStreamingMedia MajorVersion="2" MinorVersion="2" Duration="0">'
        '<StreamIndex Type="video" Chunks="0" QualityLevels="0" Url="u">'
        '<c t="0" r="9"/><c t="8" d="2"/></StreamIndex></SmoothStreamingMedia>'
    )
    report = Report()
    manifest = read_manifest(text.encode(), URL, report.scope())
    assert manifest is not None
    assert [(chunk.start, chunk.duration) for chunk in manifest.streams[0].chunks] == [(8, 2)]
    assert "SMOOTH-CHUNK" in report.broken()


def test_hds_manifests() -> None:
    text = (
        '<manifest xmlns="http://ns.adobe.com/f4m/1.0"><baseURL>http://[</baseURL><duration>1e999999999</duration>'
        '<bootstrapInfo profile="named" id="b">\u00e9</bootstrapInfo>'
        f'<media url="//[::1" bitrate="{LONG}" width="²" bootstrapInfoId="b"/></manifest>'
    )
    report = Report()
    manifest = read_f4m(text.encode(), URL, report.scope())
    assert manifest is not None
    assert manifest.duration is None
    assert [(media.bitrate, media.width) for media in manifest.media] == [(None, None)]
    assert {"HDS-VALUE", "HDS-BOOTSTRAP-INFO"} <= report.broken()


def test_a_bootstrap_that_ends_before_its_tables() -> None:
    report = Report()
    head = struct.pack(">IIBIQQ", 0, 1, 0x20, 1000, 9000, 0) + bytes(5)
    assert read_bootstrap(box(b"abst", head, b"\x01"), report.scope()) is None
    assert report.broken() == {"HDS-ABST"}


@pytest.mark.parametrize("age", ["²", LONG], ids=_short)
def test_lifetimes(age: str) -> None:
    assert lifetime([("cache-control", f"max-age={age}")]) is None
