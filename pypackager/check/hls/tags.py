"""The tags of HLS and what their values are made of, as tables (RFC 8216bis 4.4).

In: nothing. Out: what the reader of lines demands of each tag. Never: meaning.
"""

from __future__ import annotations

import re
from typing import Literal

import msgspec

Where = Literal["any", "multivariant", "media", "segment"]
Value = Literal["none", "integer", "attributes", "text", "date", "range", "extinf", "playlist-type"]
Type = Literal["integer", "hex", "float", "signed-float", "quoted", "enumerated", "resolution"]


class Attribute(msgspec.Struct, frozen=True):
    """An attribute of a tag."""

    type: Type
    required: bool = False
    values: tuple[str, ...] = ()
    """The enumerated strings that are defined; empty: any."""


class Tag(msgspec.Struct, frozen=True):
    """A tag."""

    where: Where
    value: Value
    clause: str
    attributes: dict[str, Attribute] = {}
    once: bool = False
    """More than one in a playlist is a breach."""


_YES_NO = ("YES", "NO")
_INTEGER, _FLOAT, _QUOTED, _HEX = Attribute("integer"), Attribute("float"), Attribute("quoted"), Attribute("hex")
_URI = Attribute("quoted", required=True)


def _choice(*values: str, required: bool = False) -> Attribute:
    return Attribute("enumerated", required, values)


_KEY = {
    "METHOD": _choice("NONE", "AES-128", "SAMPLE-AES", "SAMPLE-AES-CTR", required=True), "URI": _QUOTED, "IV": _HEX, "KEYFORMAT": _QUOTED,
    "KEYFORMATVERSIONS": _QUOTED,
}  # fmt: skip
_STREAM = {
    "BANDWIDTH": Attribute("integer", required=True), "AVERAGE-BANDWIDTH": _INTEGER, "SCORE": _FLOAT, "CODECS": _QUOTED,
    "SUPPLEMENTAL-CODECS": _QUOTED, "RESOLUTION": Attribute("resolution"), "HDCP-LEVEL": _choice("TYPE-0", "TYPE-1", "NONE"),
    "ALLOWED-CPC": _QUOTED, "VIDEO-RANGE": _choice("SDR", "HLG", "PQ"), "REQ-VIDEO-LAYOUT": _QUOTED, "STABLE-VARIANT-ID": _QUOTED,
    "VIDEO": _QUOTED, "PATHWAY-ID": _QUOTED,
}  # fmt: skip

TAGS: dict[str, Tag] = {
    "EXTM3U": Tag("any", "none", "4.4.1.1", once=True),
    "EXT-X-VERSION": Tag("any", "integer", "4.4.1.2", once=True),
    "EXT-X-INDEPENDENT-SEGMENTS": Tag("any", "none", "4.4.2.1", once=True),
    "EXT-X-START": Tag(
        "any", "attributes", "4.4.2.2", {"TIME-OFFSET": Attribute("signed-float", required=True), "PRECISE": _choice(*_YES_NO)}, once=True
    ),
    "EXT-X-DEFINE": Tag("any", "attributes", "4.4.2.3", {"NAME": _QUOTED, "VALUE": _QUOTED, "IMPORT": _QUOTED, "QUERYPARAM": _QUOTED}),
    "EXT-X-TARGETDURATION": Tag("media", "integer", "4.4.3.1", once=True),
    "EXT-X-MEDIA-SEQUENCE": Tag("media", "integer", "4.4.3.2", once=True),
    "EXT-X-DISCONTINUITY-SEQUENCE": Tag("media", "integer", "4.4.3.3", once=True),
    "EXT-X-ENDLIST": Tag("media", "none", "4.4.3.4", once=True),
    "EXT-X-PLAYLIST-TYPE": Tag("media", "playlist-type", "4.4.3.5", once=True),
    "EXT-X-I-FRAMES-ONLY": Tag("media", "none", "4.4.3.6", once=True),
    "EXT-X-PART-INF": Tag("media", "attributes", "4.4.3.7", {"PART-TARGET": Attribute("float", required=True)}, once=True),
    "EXT-X-SERVER-CONTROL": Tag(
        "media", "attributes", "4.4.3.8",
        {"CAN-SKIP-UNTIL": _FLOAT, "CAN-SKIP-DATERANGES": _choice("YES"), "HOLD-BACK": _FLOAT, "PART-HOLD-BACK": _FLOAT,
         "CAN-BLOCK-RELOAD": _choice("YES")}, once=True,
    ),
    "EXTINF": Tag("segment", "extinf", "4.4.4.1"),
    "EXT-X-BYTERANGE": Tag("segment", "range", "4.4.4.2"),
    "EXT-X-DISCONTINUITY": Tag("segment", "none", "4.4.4.3"),
    "EXT-X-KEY": Tag("segment", "attributes", "4.4.4.4", _KEY),
    "EXT-X-MAP": Tag("segment", "attributes", "4.4.4.5", {"URI": _URI, "BYTERANGE": _QUOTED}),
    "EXT-X-PROGRAM-DATE-TIME": Tag("segment", "date", "4.4.4.6"),
    "EXT-X-GAP": Tag("segment", "none", "4.4.4.7"),
    "EXT-X-BITRATE": Tag("segment", "integer", "4.4.4.8"),
    "EXT-X-PART": Tag(
        "segment", "attributes", "4.4.4.9",
        {"URI": _URI, "DURATION": Attribute("float", required=True), "INDEPENDENT": _choice("YES"), "BYTERANGE": _QUOTED,
         "GAP": _choice("YES")},
    ),
    "EXT-X-DATERANGE": Tag(
        "media", "attributes", "4.4.5.1",
        {"ID": _URI, "CLASS": _QUOTED, "START-DATE": _QUOTED, "CUE": _QUOTED, "END-DATE": _QUOTED, "DURATION": _FLOAT,
         "PLANNED-DURATION": _FLOAT, "SCTE35-CMD": _HEX, "SCTE35-OUT": _HEX, "SCTE35-IN": _HEX, "END-ON-NEXT": _choice("YES")},
    ),
    "EXT-X-SKIP": Tag(
        "media", "attributes", "4.4.5.2", {"SKIPPED-SEGMENTS": Attribute("integer", required=True), "RECENTLY-REMOVED-DATERANGES": _QUOTED},
        once=True,
    ),
    "EXT-X-PRELOAD-HINT": Tag(
        "media", "attributes", "4.4.5.3",
        {"TYPE": _choice("PART", "MAP", required=True), "URI": _URI, "BYTERANGE-START": _INTEGER, "BYTERANGE-LENGTH": _INTEGER},
    ),
    "EXT-X-RENDITION-REPORT": Tag("media", "attributes", "4.4.5.4", {"URI": _QUOTED, "LAST-MSN": _INTEGER, "LAST-PART": _INTEGER}),
    "EXT-X-MEDIA": Tag(
        "multivariant", "attributes", "4.4.6.1",
        {"TYPE": _choice("AUDIO", "VIDEO", "SUBTITLES", "CLOSED-CAPTIONS", required=True), "URI": _QUOTED, "GROUP-ID": _URI,
         "LANGUAGE": _QUOTED, "ASSOC-LANGUAGE": _QUOTED, "NAME": _URI, "STABLE-RENDITION-ID": _QUOTED, "DEFAULT": _choice(*_YES_NO),
         "AUTOSELECT": _choice(*_YES_NO), "FORCED": _choice(*_YES_NO), "INSTREAM-ID": _QUOTED, "BIT-DEPTH": _INTEGER,
         "SAMPLE-RATE": _INTEGER, "CHARACTERISTICS": _QUOTED, "CHANNELS": _QUOTED},
    ),
    "EXT-X-STREAM-INF": Tag(
        "multivariant", "attributes", "4.4.6.2",
        {**_STREAM, "FRAME-RATE": _FLOAT, "AUDIO": _QUOTED, "SUBTITLES": _QUOTED, "CLOSED-CAPTIONS": Attribute("quoted")},
    ),
    "EXT-X-I-FRAME-STREAM-INF": Tag("multivariant", "attributes", "4.4.6.3", {**_STREAM, "URI": _URI}),
    "EXT-X-SESSION-DATA": Tag(
        "multivariant", "attributes", "4.4.6.4",
        {"DATA-ID": _URI, "VALUE": _QUOTED, "URI": _QUOTED, "FORMAT": _choice("JSON", "RAW"), "LANGUAGE": _QUOTED},
    ),
    "EXT-X-SESSION-KEY": Tag("multivariant", "attributes", "4.4.6.5", _KEY),
    "EXT-X-CONTENT-STEERING": Tag("multivariant", "attributes", "4.4.6.6", {"SERVER-URI": _URI, "PATHWAY-ID": _QUOTED}, once=True),
}  # fmt: skip
"""Every tag that the standard defines."""

SYNTAX: dict[Type, re.Pattern[str]] = {
    "integer": re.compile(r"[0-9]{1,20}"),
    "hex": re.compile(r"0[xX][0-9A-F]+"),
    "float": re.compile(r"[0-9]{1,20}(\.[0-9]{1,40})?"),
    "signed-float": re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,40})?"),
    "quoted": re.compile(r'"[^"\r\n]*"'),
    "enumerated": re.compile(r"[^\",\s]+"),
    "resolution": re.compile(r"[0-9]+x[0-9]+"),
}
"""RFC 8216bis 4.2."""

DATE = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(\.\d{1,40})?(Z|[+-]\d\d:?\d\d)?", re.ASCII)
BYTE_RANGE = re.compile(r"([0-9]{1,20})(?:@([0-9]{1,20}))?")
EXTINF = re.compile(r"([0-9]{1,20}(?:\.[0-9]{1,40})?),(.*)")
