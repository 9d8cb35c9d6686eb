"""Which track of one presentation is which of another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from msgspec.structs import replace as replace_struct

from pypackager.check.finding import Report
from pypackager.check.judge.compare import check_same
from pypackager.check.media.samples import Codec, Kind, Media, Samples
from pypackager.check.presentation import Listing, Loaded, Presentation, Track

RATE = 25


def track(label: str, frames: Sequence[int], start: int, kind: Kind = "video") -> Track:
    """A track of one segment: a frame for each number, from a time on."""
    size = len(frames)
    dts = start + np.arange(size, dtype=np.int64)
    key = np.arange(size) == 0
    samples = Samples(
        kind, RATE, Codec("avc1.64001F", kind), dts, dts, np.ones(size, np.int64), key, key, np.array(frames, np.uint64), size
    )
    listing = Listing(label, Fraction(start, RATE), Fraction(size, RATE), label, label)
    return Track(label, label, listings={label: listing}, loaded=[Loaded(listing, Media([samples]), size, 0)])


def joined(*tracks: Track) -> Track:
    """A track of several segments."""
    parts = [part for each in tracks for part in each.loaded]
    listings = {str(n): replace_struct(part.listing, key=str(n)) for n, part in enumerate(parts)}
    loaded = [replace(part, listing=listing) for part, listing in zip(parts, listings.values(), strict=True)]
    return replace(tracks[0], listings=listings, loaded=loaded)


def compared(one: Sequence[Track], other: Sequence[Track], *, form: str = "dash", live: bool = False) -> set[str]:
    report = Report()
    check_same(Presentation("hls", "hls", "", live, list(one)), Presentation(form, form, "", False, list(other)), report, whole=True)
    return report.broken()


def test_a_track_that_shows_a_part_of_another_again_is_not_that_other() -> None:
    tracks = [track("main", range(100), 0), track("again", range(20, 60), 300)]
    assert compared(tracks, tracks) == set()
    assert compared(tracks, tracks[::-1]) == set()


def test_a_track_that_repeats_itself_more_often_is_not_that_other() -> None:
    tracks = [track("main", [*range(100), *range(100), *range(30)], 0), track("again", [*range(30, 100), *range(60)], 300)]
    assert compared(tracks, tracks) == set()
    assert compared(tracks, tracks[::-1]) == set()


def test_a_track_that_is_late_in_one_of_them_is_found() -> None:
    tracks = [track("main", range(100), 0), track("again", range(20, 60), 300)]
    assert compared(tracks, [tracks[0], track("again", range(20, 60), 310)]) == {"SYNC-SHIFT"}


def test_a_part_of_a_track_that_repeats_itself_is_found_by_its_times() -> None:
    """A level of HDS that began late carries the end of the audio, and another track had the same sound before."""
    loop = [*range(100), *range(100), *range(50)]
    ours = [track("pictures", range(1000, 1100), 0), track("sound", loop, 0, "audio"), track("other", range(40, 100), 400, "audio")]
    theirs = [track("pictures", range(1000, 1100), 30), track("end", loop[140:200], 170, "audio")]
    assert compared(ours, theirs) == {"SYNC-TRACK"}
    assert compared(ours, [theirs[0], track("end", loop[140:200], 430, "audio")]) == {"SYNC-TRACK"}, "of the other"
    assert "SYNC-SHIFT" in compared(ours, [theirs[0], track("end", loop[140:200], 433, "audio")]), "of none"


def test_tracks_in_which_everything_comes_again_are_found() -> None:
    loops = [track("pictures", [*range(100), *range(100)], 0), track("more", [*range(90), *range(90)], 500)]
    late = [track("pictures", [*range(100), *range(100)], 30), track("more", [*range(90), *range(90)], 530)]
    assert compared(loops, late) == set()
    assert compared(loops, late[::-1]) == set()


@pytest.mark.parametrize("gap", [True, False])
def test_what_one_lists_as_missing_the_other_may_have(gap: bool) -> None:
    """Smooth has no word for a gap of one layer: another stands in."""
    ours, rest = track("main", range(100), 0), track("main", range(150, 300), 150)
    hole = Listing("hole", Fraction(100, RATE), Fraction(50, RATE), "hole", "hole", gap=gap)
    listings = {listing.key: listing for listing in (ours.loaded[0].listing, hole)}
    ours = replace(ours, listings=listings, loaded=[*ours.loaded, *rest.loaded])
    assert compared([ours], [track("main", range(300), 30)]) == (set() if gap else {"SYNC-FRAMES"})
    assert compared([track("main", range(300), 30)], [ours]) == (set() if gap else {"SYNC-FRAMES"})
    beside = [*range(90), *range(400, 410), *range(100, 300)]
    assert compared([ours], [track("main", beside, 30)]) == {"SYNC-FRAMES"}


@pytest.mark.parametrize("part", [range(50), range(50, 100), range(99), range(1, 100)])
def test_what_has_ended_has_its_head_and_its_tail_everywhere(part: range) -> None:
    whole, shorter = track("main", range(100), 0), track("main", part, part.start + 30)
    assert compared([whole], [shorter]) == {"SYNC-BORDERS"}
    assert compared([shorter], [whole]) == {"SYNC-BORDERS"}
    assert compared([whole], [shorter], live=True) == set(), "its window goes on"


def test_what_was_not_loaded_is_not_missing() -> None:
    shorter = track("main", range(50), 0)
    listing = Listing("lost", Fraction(50, RATE), Fraction(50, RATE), "lost", "lost")
    shorter.listings[listing.key] = listing
    assert compared([track("main", range(100), 0)], [shorter]) == set()


def test_a_head_that_is_listed_as_missing_may_be() -> None:
    late = track("main", range(50, 100), 50)
    late.listings = {"gap": Listing("gap", Fraction(0), Fraction(50, RATE), "gap", "gap", gap=True), **late.listings}
    assert compared([track("main", range(100), 0)], [late]) == set()
    assert compared([late], [track("main", range(100), 0)]) == set()


def test_sound_that_is_muxed_with_layers_that_come_and_go_is_whole_together() -> None:
    sound = track("sound", range(100), 0, "audio")
    parts = [track("early", range(60), 0, "audio"), track("late", range(40, 100), 40, "audio")]
    assert compared([sound], parts) == set()
    assert compared([sound], parts[:1]) == {"SYNC-BORDERS"}


def test_a_layer_that_is_missing() -> None:
    layers = [track(f"{n}", range(n * 1000, n * 1000 + 100), 0) for n in range(3)]
    assert compared(layers, layers[1:]) == {"SYNC-LAYER"}
    assert compared(layers, layers[1:], form="smooth") == {"SYNC-LAYER"}
    sound = track("sound", range(100), 0, "audio")
    assert compared([*layers, sound], layers) == {"SYNC-TRACK"}
    assert compared([*layers, *layers], layers) == set(), "one that is there twice"


def test_a_layer_that_is_cut_elsewhere_has_no_place_in_smooth() -> None:
    layers = [track("aligned", range(100), 0), track("misaligned", range(1007, 1107), 7)]
    assert compared(layers, layers[:1], form="smooth") == {"SYNC-TRACK"}
    assert compared(layers, layers[:1]) == {"SYNC-LAYER"}
    # One GOP more in each segment: so are the segments in step, and the layers are not.
    layers[1] = track("of shorter GOPs", range(1000, 1100), 0)
    layers[1].loaded[0].media.streams[0].idr[50] = True
    assert compared(layers, layers[:1], form="smooth") == {"SYNC-TRACK"}
    layers[1].loaded[0].media.streams[0].codec = Codec("hvc1.1.6.L93.B0", "video")
    layers[1].loaded[0].media.streams[0].idr[50] = False
    assert compared(layers, layers[:1], form="smooth") == {"SYNC-TRACK"}, "of a codec that Smooth does not know"


@pytest.mark.parametrize("left", [0, 24, 39])
def test_a_layer_whose_encoder_left_first_has_its_place_in_smooth(left: int) -> None:
    """Its last segment is shorter, or absent: another layer stands in for it."""
    longer = joined(track("a", range(60), 0), track("a", range(60, 100), 60))
    head = track("b", range(1000, 1060), 0)
    whole = joined(head, track("b", range(1060, 1100), 60))
    shorter = joined(head, *([track("b", range(1060, 1060 + left), 60)] if left else []))
    served = joined(head, track("b", range(60, 100), 60))
    foreign = joined(head, track("b", range(2060, 2100), 60))
    assert compared([longer, shorter], [longer], form="smooth") == {"SYNC-LAYER"}
    assert compared([longer, shorter], [longer, served], form="smooth") == set()
    assert compared([longer, shorter], [longer, served]) == {"SYNC-BORDERS"}, "only Smooth has one list for all"
    assert compared([longer, shorter], [longer, foreign], form="smooth") == {"SYNC-BORDERS"}, "of no layer"
    longer = joined(longer, track("a", range(100, 150), 100))
    whole, served, shorter = (joined(each, track("b", range(1100, 1150), 100)) for each in (whole, served, shorter))
    assert compared([longer, whole], [longer, served], form="smooth") == {"SYNC-FRAMES"}, "it has its own"
    assert compared([longer, shorter], [longer, served], form="smooth") == set()


def test_a_layer_that_came_late_is_known_by_what_is_its_own() -> None:
    """Most of what is served under its name is another's."""
    steady = [track("a", range(at, at + 50), at) for at in range(0, 250, 50)]
    late = track("b", range(1100, 1150), 100)
    served = joined(*(late if n == 2 else each for n, each in enumerate(steady)))
    assert compared([joined(*steady), late], [joined(*steady), served], form="smooth") == set()
    assert compared([joined(*steady), late], [joined(*steady), joined(*steady)], form="smooth") == {"SYNC-LAYER"}


def test_a_media_playlist_by_itself_is_one_rendition() -> None:
    layers = [track("high", range(100), 0), track("low", range(1000, 1100), 0)]
    alone = replace(layers[0], url="")
    assert compared(layers, [alone], form="hls") == {"SYNC-TRACK"}
    assert compared(layers, [layers[0]], form="hls") == {"SYNC-LAYER"}


@pytest.mark.parametrize("kind", ["audio", "video"])
def test_sound_may_be_cut_with_the_decoding_of_a_picture_or_with_its_showing(kind: Kind) -> None:
    shown, decoded = track("shown", range(2, 100), 2, kind), track("decoded", range(98), 0, kind)
    assert compared([shown], [decoded]) == (set() if kind == "audio" else {"SYNC-BORDERS"})
    assert compared([track("all", range(100), 0, kind)], [track("less", range(4, 100), 4, kind)]) == {"SYNC-BORDERS"}
