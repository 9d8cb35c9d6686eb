"""Whether a presentation is as live as it says: its manifests advance as the clock does, and a player never runs dry.

In: every look at a track's manifest. Out: findings. What a look shows was true at some moment between the question and the answer, so each
rule counts by the bound that is kinder to the origin; a breach is one whatever the network did.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from operator import attrgetter
from typing import NamedTuple

from pypackager.check.finding import Scope
from pypackager.check.presentation import Look, Presentation, Track
from pypackager.check.rules import rule

STALL = rule(
    "LIVE-STALL", "error", "RFC 8216bis 6.3.3", "a player that began three segments behind the live edge never runs dry",
    example="nothing new for 20 s in a playlist of 6-second segments",
)  # fmt: skip
PACE = rule(
    "LIVE-PACE", "error", "RFC 8216bis 6.2.1", "media time advances as the clock does, to a segment and a half",
    example="in a minute of watching 75 s of media are listed",
)  # fmt: skip
JITTER = rule(
    "LIVE-JITTER", "warning", "RFC 8216bis 6.2.1", "a new segment is listed one and a half target durations after the last at the latest",
    example="12 s between two changes of a playlist of 6-second segments",
)  # fmt: skip
EDGE = rule(
    "LIVE-EDGE", "warning", "none", "the newest segment ended at most two segments and ten seconds ago, by its date", verified=True,
    example="the newest date is two minutes old",
)  # fmt: skip
FUTURE = rule(
    "LIVE-FUTURE", "warning", "none", "no segment ends in the future, by its date and to a second", verified=True,
    example="the newest segment ends 30 s from now: the encoder's clock is ahead",
)  # fmt: skip
WINDOW = rule(
    "LIVE-WINDOW", "warning", "none", "the window does not become shorter by more than two segments while it slides", verified=True,
    example="an hour can be sought back, and a moment later a minute",
)  # fmt: skip
LAG = rule(
    "LIVE-LAG", "warning", "none", "the live edges of all tracks are within a segment and a half of each other", verified=True,
    example="audio is listed 10 s later than video of the same time: players wait for it",
)  # fmt: skip

_HOLD = 3
_YEARS = 100_000_000
"""A date before 1973 is none."""
_EDGE_SECONDS, _FUTURE_SECONDS = 10, 1
_SLACK_SECONDS = 0.5
_ASKED, _ANSWERED = attrgetter("asked"), attrgetter("answered")


class _Edge(NamedTuple):
    """How far behind the clock a track's live edge was at best, in seconds, and its longest segment."""

    at_least: float
    at_most: float
    longest: float
    track: Track


def check_liveness(presentation: Presentation, scope: Scope) -> None:
    """Checks a presentation that was watched while it was live."""
    edges: list[_Edge] = []
    for track in presentation.tracks:
        looks = [look for look in track.looks if not look.ended]
        longest = float(max((listing.duration for listing in track.listings.values()), default=Fraction(0)))
        if not looks or not longest:
            continue
        here = scope.at(track=track.label, url=track.url)
        # The cause is told, not what follows of it: a manifest that stands still is late and slow as well.
        if not _check_stalls(looks, longest, here) and not _check_pace(looks, longest, here):
            _check_jitter(looks, max(longest, float(track.claims.target_duration or 0)), here)
        _check_window(looks, longest, here)
        if presentation.absolute and looks[0].end < _YEARS:
            continue  # it has no dates where others have
        if presentation.absolute:
            _check_edge(looks, longest, here)
        at_least, at_most = (min(when(look) - float(look.end) for look in looks) for when in (_ASKED, _ANSWERED))
        edges.append(_Edge(at_least, at_most, longest, track))
    # Playlists without dates begin at zero each, wherever they are.
    if len(edges) > 1 and (presentation.absolute or presentation.format != "hls"):
        _check_lag(edges, scope)


def _check_stalls(looks: list[Look], longest: float, scope: Scope) -> bool:
    found = False
    first = looks[0]
    place = max(float(first.start), float(first.end) - _HOLD * longest)
    since, dry = first.answered, False
    for look in looks[1:]:
        played = place + look.asked - since
        if not dry and played > float(look.end):
            words = f"dry {look.asked - first.answered:.1f} s after it began, {played - float(look.end):.1f} s past the newest segment"
            scope.breach(STALL, words, "always something to play")
            found = dry = True
        if dry and look.changed:
            # It begins anew, as far behind the edge as at first.
            place, since, dry = float(look.end) - _HOLD * longest, look.answered, False
    return found


def _check_pace(looks: list[Look], longest: float, scope: Scope) -> bool:
    first, last = looks[0], looks[-1]
    media = float(last.end - first.end)
    least, most = last.asked - first.answered, last.answered - first.asked
    allowed = 1.5 * longest + _SLACK_SECONDS
    wrong = media > most + allowed or (least >= _HOLD * longest and media < least - allowed)
    if wrong:
        scope.breach(PACE, f"{media:.1f} s of media in {least:.1f} s", f"within {allowed:.1f} s")
    return wrong


def _check_jitter(looks: list[Look], target: float, scope: Scope) -> None:
    since = looks[0].answered
    for before, look in pairwise(looks):
        # The change that this look shows came after the one before was asked for.
        waited = (before if look.changed else look).asked - since
        if waited > 1.5 * target + _SLACK_SECONDS and (look.changed or look is looks[-1]):
            scope.breach(JITTER, f"nothing new for {waited:.1f} s", f"at most {1.5 * target:.1f} s")
        if look.changed:
            since = look.answered


def _check_window(looks: list[Look], longest: float, scope: Scope) -> None:
    deepest = float(looks[0].end - looks[0].start)
    for look in looks[1:]:
        depth = float(look.end - look.start)
        if depth < deepest - 2 * longest - _SLACK_SECONDS:
            scope.breach(WINDOW, f"{depth:.1f} s are listed", f"about {deepest:.1f} s, as before")
            deepest = depth
        deepest = max(deepest, depth)


def _check_edge(looks: list[Look], longest: float, scope: Scope) -> None:
    distances = [look.asked - float(look.end) for look in looks]
    most = 2 * longest + _EDGE_SECONDS
    if min(distances) > most:
        scope.breach(EDGE, f"{min(distances):.1f} s behind the clock at best", f"at most {most:.1f} s")
    ahead = max(float(look.end) - look.answered for look in looks)
    if ahead > _FUTURE_SECONDS:
        scope.breach(FUTURE, f"{ahead:.1f} s ahead of the clock", f"at most {_FUTURE_SECONDS} s")


def _check_lag(edges: list[_Edge], scope: Scope) -> None:
    leader = min(edges, key=lambda edge: edge.at_most)
    for edge in edges:
        if edge.at_least - leader.at_most > 1.5 * edge.longest + _SLACK_SECONDS:
            found = f"{edge.at_least - leader.at_most:.1f} s behind {leader.track.label}"
            scope.at(track=edge.track.label, url=edge.track.url).breach(LAG, found, f"within {1.5 * edge.longest:.1f} s")
