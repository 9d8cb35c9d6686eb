"""Mistakes in HLS playlists: grammar, what one copy must be, and what is said of the media. All of CMAF."""

from __future__ import annotations

from tests.helpers.mutations.patient import ANY, FIRST, LAST, LATER, Mutation, Patient, all_of, edit, every, mutation
from tests.helpers.mutations.reloads import later_dates

_SEGMENT = r"#EXT-X-PROGRAM-DATE-TIME:.*\n#EXTINF:.*\n.*\n"


_GERMAN = r'#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="b",NAME="Deutsch",LANGUAGE="de",DEFAULT=YES,AUTOSELECT=YES,URI="audio.m3u8"\n'


def _short_target(patient: Patient) -> None:
    for name in ("low", "high", "audio"):
        all_of(patient, name, "DURATION:2\n", "DURATION:1\n")


def _other_map(patient: Patient) -> None:
    """One segment is said to be decoded by the header of the other variant."""
    number = patient.number()
    other, own = ('#EXT-X-MAP:URI="' + name + '.mp4"\n' for name in ("low", "high"))
    all_of(patient, "high", rf"(high{number}\.m4s\n)", rf"{other}\1")
    # Behind the last segment a map applies to none.
    all_of(patient, "high", rf"(high{number}\.m4s\n)(?!#EXT-X-ENDLIST|\Z)", rf"\1{own}")


GRAMMAR: dict[str, Mutation] = {
    "no EXTM3U": mutation("HLS-EXTM3U", edit(ANY, "#EXTM3U\n", "", LATER)),
    "a byte order mark": mutation("HLS-TEXT", edit(ANY, "#EXTM3U", "\ufeff#EXTM3U", LATER)),
    "a target with decimals": mutation("HLS-TAG", every(ANY, "DURATION:2\n", "DURATION:2.0\n"), "HLS-TARGETDURATION-MISSING"),
    "EXTINF without a comma": mutation("HLS-TAG", edit(ANY, r"(#EXTINF:[\d.]+),", r"\1", LAST), "HLS-PDT", "HLS-SEGMENT-CHANGED"),
    "a quoted resolution": mutation("HLS-ATTRIBUTES", edit("master", r"RESOLUTION=(\w+)", r'RESOLUTION="\1"'), "HLS-RESOLUTION-MISSING"),
    "spaces in an attribute list": mutation("HLS-ATTRIBUTES", edit("master", ",AVERAGE", ", AVERAGE"), "HLS-CODECS-MISSING"),
    "no BANDWIDTH": mutation("HLS-ATTRIBUTE-MISSING", edit("master", r"BANDWIDTH=\d+,", "")),
    "a map without URI": mutation(
        "HLS-ATTRIBUTE-MISSING", edit(ANY, 'MAP:URI="[^"]+"', 'MAP:BYTERANGE="9@0"', LAST), "HLS-SEGMENT-CHANGED"
    ),
    "version 3 with maps": mutation("HLS-VERSION", every(ANY, "VERSION:6", "VERSION:3")),
    "no target": mutation("HLS-TARGETDURATION-MISSING", every(ANY, "#EXT-X-TARGETDURATION:2\n", "")),
    "a target too short": mutation("HLS-TARGETDURATION", _short_target),
    "an EXTINF is missing": mutation("HLS-EXTINF-MISSING", edit(ANY, "#EXTINF:.*\n", "", LAST), "HLS-PDT", "HLS-SEGMENT-CHANGED"),
    "a tag behind the last segment": mutation("HLS-SEGMENT-TAG", edit(ANY, "#EXT-X-ENDLIST", "#EXT-X-DISCONTINUITY\n#EXT-X-ENDLIST")),
    "a number behind a segment": mutation("HLS-ORDER", edit(ANY, r"\Z", "#EXT-X-MEDIA-SEQUENCE:102\n", LAST), "HLS-TAG"),
    "tags of both kinds": mutation("HLS-KIND", edit("master", r"\Z", "#EXT-X-TARGETDURATION:2\n")),
    "no variant is left": mutation("HLS-EMPTY", edit("low", rf"(?:{_SEGMENT})+", "", FIRST), "HLS-WINDOW"),
    "a tag that nobody knows": mutation("HLS-TAG-UNKNOWN", edit(ANY, "#EXTINF", "#EXT-X-CUE-OUT:30\n#EXTINF")),
    "a range without an offset": mutation(
        "HLS-BYTERANGE", edit("low", "#EXTINF", "#EXT-X-BYTERANGE:1000\n#EXTINF", LAST), "HLS-SEGMENT-CHANGED", "MP4-BOX", "MEDIA-EMPTY"
    ),
    "dates without a zone": mutation("HLS-PDT-ZONE", edit(ANY, r"(TIME:.*)Z\n", r"\1\n", LAST), "HLS-SEGMENT-CHANGED"),
    "a variant without URI": mutation("HLS-STREAM-INF", edit("master", "low.m3u8\n", "")),
    "a group that is not there": mutation("HLS-GROUP", edit("master", ',AUDIO="a"', ',AUDIO="b"'), "MEDIA-CODECS"),
    "two renditions of one name": mutation("HLS-RENDITIONS", edit("master", "(#EXT-X-MEDIA:.*\n)", r"\1\1")),
    "a language in one group alone": mutation(
        "HLS-GROUPS-DIFFER",
        edit("master", r'(#EXT-X-MEDIA:.*\n)((?:.*\n)*)(.*)AUDIO="a"', rf'\1{_GERMAN}\2\3AUDIO="b"'),
    ),
    "default, but not autoselect": mutation("HLS-MEDIA", edit("master", "AUTOSELECT=YES", "AUTOSELECT=NO")),
    "no codecs": mutation("HLS-CODECS-MISSING", edit("master", ',CODECS="[^"]+"', "")),
    "no resolution": mutation("HLS-RESOLUTION-MISSING", edit("master", r"RESOLUTION=\w+,", "")),
    "captions of one variant alone": mutation("HLS-CLOSED-CAPTIONS", edit("master", ',AUDIO="a"', ',AUDIO="a",CLOSED-CAPTIONS=NONE')),
}

CLAIMS: dict[str, Mutation] = {
    "too little bandwidth": mutation(
        "HLS-BANDWIDTH", edit("master", r"INF:BANDWIDTH=(\d+)\d,", r"INF:BANDWIDTH=\1,"), "HLS-AVERAGE-ABOVE-PEAK"
    ),
    "ten times the bandwidth": mutation("HLS-BANDWIDTH-LOOSE", edit("master", r"INF:BANDWIDTH=(\d+),", r"INF:BANDWIDTH=\g<1>0,")),
    "too little on average": mutation("HLS-AVERAGE-BANDWIDTH", edit("master", r"AVERAGE-BANDWIDTH=(\d+)\d,", r"AVERAGE-BANDWIDTH=\1,")),
    "more on average than at peak": mutation(
        "HLS-AVERAGE-ABOVE-PEAK", edit("master", r"AVERAGE-BANDWIDTH=(\d+)", r"AVERAGE-BANDWIDTH=\g<1>0")
    ),
    "another profile": mutation("MEDIA-CODECS", edit("master", "avc1.42c01e", "avc1.64001e")),
    "another level": mutation("MEDIA-CODECS", edit("master", "avc1.42c00b", "avc1.42c01f")),
    "another sound": mutation("MEDIA-CODECS", edit("master", "mp4a.40.2", "mp4a.40.34")),
    "six channels": mutation("MEDIA-AUDIO", edit("master", "(LANGUAGE=.en.)", r'\1,CHANNELS="6"')),
    "another size": mutation("MEDIA-RESOLUTION", edit("master", "640x360", "1280x720")),
    "another frame rate": mutation("MEDIA-FRAME-RATE", edit("master", "RATE=25.000", "RATE=50.000")),
    "another header": mutation("MEDIA-CONFIG-CHANGE", _other_map, "HLS-SEGMENT-CHANGED", "MEDIA-CODECS", "MEDIA-RESOLUTION"),
    "dates of the sound are late": mutation("SYNC-TRACKS", lambda p: later_dates(p, "audio", range(6), 0.3)),
}
