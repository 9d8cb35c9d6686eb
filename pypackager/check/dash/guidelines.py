"""What DASH-IF's guidelines add for players' sake: descriptors, ids, languages, profiles. All warnings: players cope, or some do not.

In: an `Mpd`. Out: findings.
"""

from __future__ import annotations

from collections import defaultdict

from pypackager.check.dash.mpd import Mpd, Period, Representation
from pypackager.check.dash.one_copy import LIVE, profiles_of, track_label
from pypackager.check.dash.tree import Node
from pypackager.check.finding import Scope
from pypackager.check.rules import rule

PROFILE = rule(
    "DASH-IOP-PROFILE", "warning", "DASH-IF IOP 4.3 3.2.2", f"a dynamic MPD with templates says {LIVE}",
    example='profiles="urn:mpeg:dash:profile:full:2011"',
)  # fmt: skip
SET_ID = rule(
    "DASH-IOP-SET-ID", "warning", "DASH-IF Timing Model, MPD updates", "each AdaptationSet of a dynamic MPD has an id",
    example="an AdaptationSet without id", verified=True,
)  # fmt: skip
VIDEO = rule(
    "DASH-IOP-VIDEO", "warning", "DASH-IF IOP 4.3 3.2.4", "a Representation of video has @codecs, @width, @height and @frameRate",
    example="video without @frameRate",
)  # fmt: skip
AUDIO = rule(
    "DASH-IOP-AUDIO", "warning", "DASH-IF IOP 4.3 3.2.4", "audio has @codecs, @audioSamplingRate and AudioChannelConfiguration",
    example="audio without AudioChannelConfiguration",
)  # fmt: skip
LANGUAGE = rule(
    "DASH-IOP-LANG", "warning", "DASH-IF IOP 4.3 3.2.4", "an AdaptationSet of audio or text has @lang",
    example="two AdaptationSets of audio, neither with @lang",
)  # fmt: skip
ALIKE = rule(
    "DASH-SETS-ALIKE", "warning", "DASH-IF IOP 4.3 3.9.4",
    "sets of one kind and language differ in role, label, codec or accessibility",
    example='two AdaptationSets lang="en" with nothing that tells them apart',
)  # fmt: skip
ROLE = rule(
    "DASH-ROLE", "warning", "ISO 23009-1 5.8.5.5", "a Role of urn:mpeg:dash:role:2011 has a value of that scheme",
    example='<Role schemeIdUri="urn:mpeg:dash:role:2011" value="original"/>',
)  # fmt: skip
MAIN = rule(
    "DASH-ROLE-MAIN", "warning", "DASH-IF IOP 4.3 3.2.2", "where a Period has several sets of video, one has the role main",
    example="camera 1 and camera 2 without roles",
)  # fmt: skip
SAP = rule(
    "DASH-IOP-SAP", "warning", "DASH-IF IOP 4.3 3.2.4",
    "a set of several video Representations says @startWithSAP 1 or 2, so that players may switch",
    example="a ladder without @startWithSAP",
)  # fmt: skip
ALIGNED = rule(
    "DASH-IOP-ALIGNMENT", "warning", "DASH-IF IOP 4.3 3.2.2", "a set of several Representations has @segmentAlignment true",
    example='segmentAlignment="false" over a ladder',
)  # fmt: skip
SHAPE = rule(
    "DASH-IOP-SHAPE", "note", "DASH-IF IOP 4.3 3.2.4", "video has @par and @sar",
    example="an AdaptationSet of video without @par",
)  # fmt: skip
SPARE = rule(
    "DASH-IOP-STATIC", "warning", "DASH-IF IOP 4.3 3.2.2", "a static MPD has no @timeShiftBufferDepth",
    example='type="static" with timeShiftBufferDepth="PT30S"',
)  # fmt: skip

ROLES = {
    "caption", "subtitle", "main", "alternate", "supplementary", "commentary", "dub", "description", "sign", "metadata",
    "enhanced-audio-intelligibility", "emergency", "forced-subtitle", "easyreader", "karaoke",
}  # fmt: skip
_TELLING = {"Role", "Label", "Accessibility", "Viewpoint", "EssentialProperty"}
_ROLE = "urn:mpeg:dash:role:2011"


def check_guidelines(mpd: Mpd, scope: Scope) -> None:
    """Checks an MPD."""
    line = mpd.node.line
    kinds = {each.addressing.kind for each in mpd.representations}
    if mpd.dynamic and kinds == {"SegmentTemplate"} and LIVE not in profiles_of(mpd):
        scope.breach(PROFILE, mpd.node.values.get("profiles", "none"), LIVE, line=line)
    if not mpd.dynamic and "timeShiftBufferDepth" in mpd.node.values:
        scope.breach(SPARE, "timeShiftBufferDepth", "none", line=line)
    for period in mpd.periods:
        for group in period.sets:
            members = [each for each in period.representations if each.set is group]
            if mpd.dynamic and "id" not in group.values:
                scope.breach(SET_ID, "an AdaptationSet without id", "an id", line=group.line)
            _check_roles(group, scope)
            if members:
                _check_set(group, members, scope)
        _check_siblings(period, scope)


def _check_set(group: Node, members: list[Representation], scope: Scope) -> None:
    kind = members[0].kind
    if kind in ("audio", "text") and "lang" not in group.values:
        scope.breach(LANGUAGE, f"{kind} without @lang", "@lang", line=group.line)
    if len(members) > 1 and group.values.get("segmentAlignment", "false") not in ("true", "1"):
        scope.breach(ALIGNED, group.values.get("segmentAlignment", "none"), "true", line=group.line)
    for each in members:
        _check_member(each, kind, scope.at(track=track_label(each)))
    if kind != "video":
        return
    if len(members) > 1 and any(each.values.get("startWithSAP") not in ("1", "2") for each in members):
        scope.breach(SAP, group.values.get("startWithSAP", "no @startWithSAP"), "1 or 2", line=group.line)
    if "par" not in group.values or any("sar" not in each.values for each in members):
        scope.breach(SHAPE, "no @par or no @sar", "both", line=group.line)


def _check_member(each: Representation, kind: str, scope: Scope) -> None:
    wanted = {"video": ("codecs", "width", "height", "frameRate"), "audio": ("codecs", "audioSamplingRate")}.get(kind, ())
    missing = [f"@{name}" for name in wanted if name not in each.values]
    if kind == "audio" and not any(node.first("AudioChannelConfiguration") for node in (each.node, each.set)):
        missing.append("AudioChannelConfiguration")
    if missing:
        scope.breach(VIDEO if kind == "video" else AUDIO, f"no {', '.join(missing)}", "all of them", line=each.line)


def _check_roles(group: Node, scope: Scope) -> None:
    for role in group.all("Role"):
        value = role.values.get("value", "")
        if role.values.get("schemeIdUri") == _ROLE and value not in ROLES:
            scope.breach(ROLE, f'"{value}"', "main, alternate, dub, commentary, caption, subtitle …", line=role.line)


def _check_siblings(period: Period, scope: Scope) -> None:
    """What a viewer or a player has to choose between can be told apart."""
    alike: dict[tuple[object, ...], list[Node]] = defaultdict(list)
    videos: list[Node] = []
    for group in period.sets:
        members = [each for each in period.representations if each.set is group]
        if not members:
            continue
        first = members[0]
        if first.kind == "video":
            videos.append(group)
            continue
        described = {
            (node.name, node.values.get("schemeIdUri"), node.values.get("value"), node.text)
            for node in group.children
            if node.name in _TELLING
        }
        channels = first.set.first("AudioChannelConfiguration") or first.node.first("AudioChannelConfiguration")
        codec = first.values.get("codecs", "").partition(".")[0]
        key = (first.kind, group.values.get("lang"), frozenset(described), codec, channels.values.get("value") if channels else None)
        alike[key].append(group)
    for groups in alike.values():
        if len(groups) > 1:
            found = f"{len(groups)} sets of {groups[0].values.get('lang', 'no language')}"
            scope.breach(ALIKE, found, "Role, Label or Accessibility", line=groups[1].line)
    tricks = [group for group in videos if any("trickmode" in node.values.get("schemeIdUri", "") for node in group.children)]
    watched = [group for group in videos if group not in tricks]
    roles = {(role.values.get("schemeIdUri"), role.values.get("value")) for group in watched for role in group.all("Role")}
    if len(watched) > 1 and (_ROLE, "main") not in roles:
        scope.breach(MAIN, f"{len(watched)} sets of video, none of them main", "one of them", line=watched[0].line)
