"""What a viewer chooses between: which audio tracks are one sound, and what each is called.

In: tracks. Out: groups of tracks, and names. Never: text of a manifest.

A player switches between the Representations of one AdaptationSet by itself, so only what is known to be the same sound may share one
(DASH-IF IOP part 5, 4.3: media content components of an AdaptationSet are perceptually equal). Bitrate, language and codec do not say so: a
commentary has those of the main sound. What does is the encoder that gives several tracks one name and one language, at different rates.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec

from pypackager.model.presentation import Presentation, TrackWindow
from pypackager.packaging.languages import bcp47
from pypackager.packaging.window import newest_config, playable

_RATES_APART = 1.25
"""Tracks whose rates differ by less are not a ladder: nothing would be gained by switching."""


class Sound(msgspec.Struct, frozen=True):
    """Audio tracks that are one choice."""

    tracks: list[TrackWindow]
    name: str
    """Unique in the presentation."""


def sounds(presentation: Presentation) -> dict[int, Sound]:
    """What each audio track belongs to, by the track's number."""
    groups: list[list[TrackWindow]] = []
    for track in playable(presentation, "audio"):
        same = next((members for members in groups if all(_one_sound(track, member) for member in members)), None)
        if same is None:
            groups.append([track])
        else:
            same.append(track)
    named = zip(groups, names([members[0] for members in groups]), strict=True)
    found = [Sound(members, name) for members, name in named]
    return {track.info.number: sound for sound in found for track in sound.tracks}


def names(tracks: Sequence[TrackWindow]) -> list[str]:
    """What a person may call each track, unique among them."""
    plain = [track.info.name or bcp47(track.info.language) or track.info.id for track in tracks]
    count = Counter(plain)
    return [
        name if count[name] == 1 else f"{name} ({track.info.id})" if name != track.info.id else name
        for name, track in zip(plain, tracks, strict=True)
    ]


def _one_sound(track: TrackWindow, other: TrackWindow) -> bool:
    mine, theirs = track.info, other.info
    low, high = sorted((mine.bitrate, theirs.bitrate))
    shape, other_shape = newest_config(track), newest_config(other)
    return (
        mine.name != ""
        and bcp47(mine.language) != ""
        and (mine.name, mine.language, mine.role, mine.timescale) == (theirs.name, theirs.language, theirs.role, theirs.timescale)
        and (shape.codec, shape.sample_rate, shape.channels) == (other_shape.codec, other_shape.sample_rate, other_shape.channels)
        and high >= low * _RATES_APART
    )
