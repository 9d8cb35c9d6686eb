"""Reads a multivariant playlist (RFC 8216bis 4.4.6) and checks its groups.

In: lines. Out: variants and renditions with absolute URLs. Never: media playlists.
"""

from __future__ import annotations

import msgspec

from pypackager.check.finding import Scope
from pypackager.check.hls.lines import Line
from pypackager.check.hls.media_playlist import EMPTY, KIND
from pypackager.check.hls.tags import TAGS
from pypackager.check.numerals import whole
from pypackager.check.references import resolve_reference
from pypackager.check.rules import rule

VARIANT_URI = rule(
    "HLS-STREAM-INF", "error", "RFC 8216bis 4.4.6.2", "each EXT-X-STREAM-INF is followed by the URI of its media playlist",
    example="two EXT-X-STREAM-INF in a row",
)  # fmt: skip
GROUP = rule(
    "HLS-GROUP", "error", "RFC 8216bis 4.4.6.2", "a group that a variant names has renditions of that type",
    example='AUDIO="aac" without EXT-X-MEDIA of GROUP-ID="aac"',
)  # fmt: skip
RENDITIONS = rule(
    "HLS-RENDITIONS", "error", "RFC 8216bis 4.4.6.1.1", "the members of a group have different names, and at most one is the default",
    example='two renditions NAME="de" in one group',
)  # fmt: skip
SAME_RENDITIONS = rule(
    "HLS-GROUPS-DIFFER", "error", "RFC 8216bis 4.4.6.2.1", "groups of one type have the same renditions",
    example="group audio-lo lacks the German of group audio-hi",
)  # fmt: skip
RENDITION = rule(
    "HLS-MEDIA", "error", "RFC 8216bis 4.4.6.1", "a rendition has the attributes that its type and its flags demand",
    example="TYPE=CLOSED-CAPTIONS with a URI",
)  # fmt: skip
CAPTIONS = rule(
    "HLS-CLOSED-CAPTIONS", "error", "RFC 8216bis 4.4.6.2", "CLOSED-CAPTIONS=NONE is said of all variants or of none",
    example="one of three variants says NONE",
)  # fmt: skip
CODECS_MISSING = rule(
    "HLS-CODECS-MISSING", "warning", "RFC 8216bis 4.4.6.2", "each variant has CODECS",
    example="EXT-X-STREAM-INF with BANDWIDTH alone",
)  # fmt: skip
RESOLUTION_MISSING = rule(
    "HLS-RESOLUTION-MISSING", "warning", "RFC 8216bis 4.4.6.2", "a variant with video has RESOLUTION",
    example='CODECS="avc1.64001f" without RESOLUTION',
)  # fmt: skip
AVERAGE = rule(
    "HLS-AVERAGE-ABOVE-PEAK", "warning", "RFC 8216bis 4.4.6.2", "AVERAGE-BANDWIDTH is not above BANDWIDTH",
    example="BANDWIDTH=800000,AVERAGE-BANDWIDTH=900000",
)  # fmt: skip

VIDEO_CODECS = ("avc1", "avc3", "hvc1", "hev1", "av01", "vp09", "dvh1", "dvhe", "mp4v")
_GROUPS = {"AUDIO": "AUDIO", "VIDEO": "VIDEO", "SUBTITLES": "SUBTITLES", "CLOSED-CAPTIONS": "CLOSED-CAPTIONS"}


class Entry(msgspec.Struct, frozen=True):
    """A variant, a rendition, or a stream of I-frames."""

    line: int
    url: str
    """Empty for a rendition that is inside the variants."""
    attributes: dict[str, str]

    def number(self, name: str) -> int | None:
        """An attribute that is a number."""
        return whole(self.attributes.get(name, ""))

    @property
    def group(self) -> tuple[str | None, str | None]:
        """TYPE and GROUP-ID of a rendition."""
        return self.attributes.get("TYPE"), self.attributes.get("GROUP-ID")

    @property
    def codecs(self) -> tuple[str, ...]:
        """CODECS, one by one."""
        return tuple(part.strip() for part in self.attributes.get("CODECS", "").split(",") if part.strip())


class Multivariant(msgspec.Struct, frozen=True):
    """A multivariant playlist."""

    url: str
    version: int
    independent: bool
    variants: tuple[Entry, ...]
    renditions: tuple[Entry, ...]
    i_frames: tuple[Entry, ...]

    def members(self, kind: str, group: str) -> list[Entry]:
        """The renditions of a group."""
        return [entry for entry in self.renditions if entry.group == (kind, group)]


def read_multivariant(lines: list[Line], url: str, scope: Scope) -> Multivariant:
    """Reads a multivariant playlist whose grammar was checked."""
    variants: list[Entry] = []
    renditions: list[Entry] = []
    i_frames: list[Entry] = []
    open_variant: Line | None = None
    version, independent = 1, False
    for line in lines:
        if open_variant is not None and line.tag:
            scope.breach(VARIANT_URI, f"{line.tag} behind EXT-X-STREAM-INF", "a URI", line=line.number)
            open_variant = None
        if not line.tag:
            if open_variant is None:
                scope.breach(VARIANT_URI, f"{line.value[:80]} without EXT-X-STREAM-INF", "the tag before it", line=line.number)
            else:
                variants.append(Entry(open_variant.number, resolve_reference(url, line.value), open_variant.attributes))
            open_variant = None
        elif line.tag == "EXT-X-STREAM-INF":
            open_variant = line
        elif line.tag in ("EXT-X-MEDIA", "EXT-X-I-FRAME-STREAM-INF"):
            uri = line.attributes.get("URI")
            entry = Entry(line.number, resolve_reference(url, uri) if uri else "", line.attributes)
            (renditions if line.tag == "EXT-X-MEDIA" else i_frames).append(entry)
        elif line.tag == "EXT-X-VERSION":
            version = whole(line.value) or version
        elif line.tag == "EXT-X-INDEPENDENT-SEGMENTS":
            independent = True
        elif line.tag in TAGS and TAGS[line.tag].where in ("media", "segment"):
            scope.breach(KIND, f"{line.tag} in a multivariant playlist", "tags of multivariant playlists", line=line.number)
    if open_variant is not None:
        scope.breach(VARIANT_URI, "EXT-X-STREAM-INF is the last line", "a URI behind it", line=open_variant.number)
    if not variants:
        scope.breach(EMPTY, "no variant", "at least one")
    master = Multivariant(url, version, independent, tuple(variants), tuple(renditions), tuple(i_frames))
    _check_variants(master, scope)
    _check_renditions(master, scope)
    return master


def _check_variants(master: Multivariant, scope: Scope) -> None:
    groups = {entry.group for entry in master.renditions}
    for variant in master.variants:
        at = variant.attributes
        for name, kind in _GROUPS.items():
            group = at.get(name)
            if group is not None and not (name == "CLOSED-CAPTIONS" and group == "NONE") and (kind, group) not in groups:
                scope.breach(GROUP, f"{name}={group} without a rendition", "EXT-X-MEDIA of that group", line=variant.line)
        if not variant.codecs:
            scope.breach(CODECS_MISSING, "no CODECS", "CODECS", line=variant.line)
        if "RESOLUTION" not in at and any(codec.startswith(VIDEO_CODECS) for codec in variant.codecs):
            scope.breach(RESOLUTION_MISSING, "no RESOLUTION", "RESOLUTION", line=variant.line)
        peak, average = variant.number("BANDWIDTH"), variant.number("AVERAGE-BANDWIDTH")
        if peak is not None and average is not None and average > peak:
            scope.breach(AVERAGE, f"AVERAGE-BANDWIDTH={average}", f"at most {peak}", line=variant.line)
    none = [variant for variant in master.variants if variant.attributes.get("CLOSED-CAPTIONS") == "NONE"]
    if none and len(none) != len(master.variants):
        scope.breach(CAPTIONS, f"NONE in {len(none)} of {len(master.variants)} variants", "in all or in none", line=none[0].line)


def _check_renditions(master: Multivariant, scope: Scope) -> None:
    groups: dict[tuple[str, str], list[Entry]] = {}
    for entry in master.renditions:
        at = entry.attributes
        kind = at.get("TYPE", "")
        groups.setdefault((kind, at.get("GROUP-ID", "")), []).append(entry)
        if kind == "CLOSED-CAPTIONS" and ("URI" in at or "INSTREAM-ID" not in at):
            scope.breach(RENDITION, "CLOSED-CAPTIONS with a URI or without INSTREAM-ID", "INSTREAM-ID and no URI", line=entry.line)
        if kind == "SUBTITLES" and "URI" not in at:
            scope.breach(RENDITION, "SUBTITLES without URI", "URI", line=entry.line)
        if kind != "SUBTITLES" and "FORCED" in at:
            scope.breach(RENDITION, f"{kind} with FORCED", "no FORCED", line=entry.line)
        if at.get("DEFAULT") == "YES" and at.get("AUTOSELECT") == "NO":
            scope.breach(RENDITION, "DEFAULT=YES,AUTOSELECT=NO", "AUTOSELECT=YES", line=entry.line)
    # The renditions of each type's first group, by name: those of the others are held against them.
    firsts: dict[str, tuple[str, list[tuple[str, ...]]]] = {}
    for (kind, group), members in sorted(groups.items()):
        names = [entry.attributes.get("NAME", "") for entry in members]
        if len(set(names)) != len(names):
            scope.breach(RENDITIONS, f"group {group}: {', '.join(names)}", "different names", line=members[0].line)
        if sum(entry.attributes.get("DEFAULT") == "YES" for entry in members) > 1:
            scope.breach(RENDITIONS, f"group {group}: more than one DEFAULT=YES", "at most one", line=members[0].line)
        theirs = sorted(_identity(entry) for entry in members)
        first, ours = firsts.setdefault(kind, (group, theirs))
        if ours != theirs:
            scope.breach(SAME_RENDITIONS, f"{first}: {ours}, {group}: {theirs}", "the same renditions", line=members[0].line)


def _identity(entry: Entry) -> tuple[str, ...]:
    return tuple(entry.attributes.get(name, "") for name in ("NAME", "LANGUAGE", "DEFAULT", "AUTOSELECT"))
