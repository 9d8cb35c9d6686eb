"""Targets of what the judge reads of somebody's origin: playlists, manifests, bootstraps and indexes. A format has one of its own."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from typing import Any

from pypackager.check.dash.index import read_index
from pypackager.check.dash.mpd import Addressing, Mpd, Period, Representation
from pypackager.check.dash.resolve import resolve
from pypackager.check.dash.tree import Node, read_tree
from pypackager.check.finding import Scope
from pypackager.check.hds.bootstrap import read_bootstrap
from pypackager.check.hds.f4m import F4m, read_f4m
from pypackager.check.hds.tables import Table, lay_out
from pypackager.check.hls.lines import read_lines
from pypackager.check.hls.media_playlist import MediaPlaylist, read_media_playlist
from pypackager.check.hls.multivariant import Multivariant, read_multivariant
from pypackager.check.hls.walk import tracks_of
from pypackager.check.smooth.manifest import Manifest, read_manifest
from pypackager.check.smooth.private_data import make_header, read_private_data
from tests.fuzz.demands import read

URL = "http://origin.test/a/b.ism/manifest"
_NOW = Fraction(1_800_000_000)
_LONGEST_URL = 1 << 16


def hls_media_playlists(data: bytes) -> None:
    """A media playlist of HLS: its segments have numbers and last."""

    def reader(body: bytes, scope: Scope) -> MediaPlaylist:
        return read_media_playlist(read_lines(body, scope), URL, scope)

    playlist: MediaPlaylist = read(data, reader)
    assert all(segment.number >= 0 and segment.duration >= 0 and segment.decimals >= 0 for segment in playlist.segments)
    assert all(segment.byte_range is None or min(segment.byte_range) >= 0 for segment in playlist.segments)
    assert len(playlist.starts()) == len(playlist.segments)


def hls_multivariant(data: bytes) -> None:
    """A multivariant playlist of HLS, and the tracks that follow from it: no two have one label."""

    def reader(body: bytes, scope: Scope) -> Multivariant:
        return read_multivariant(read_lines(body, scope), URL, scope)

    tracks = tracks_of(read(data, reader))
    assert len({track.label for track in tracks}) == len(tracks)


def dash_mpds(data: bytes) -> None:
    """An MPD with everything that it inherits: each segment has a URL, and lasts."""

    def reader(body: bytes, scope: Scope) -> Mpd | None:
        root = read_tree(body, scope)
        return resolve(root, URL, _NOW, scope) if root is not None else None

    def shown(mpd: Mpd | None) -> list[Any] | None:
        return None if mpd is None else [(each.id, each.base, each.rows, each.ranges) for each in mpd.representations]

    mpd: Mpd | None = read(data, reader, shown)
    for each in mpd.representations if mpd is not None else ():
        assert (each.rows.duration > 0).all()
        assert not each.ranges or len(each.ranges) == len(each.rows)
        assert isinstance(each.init[0], str)
        if len(each.rows):
            assert len(each.url(-1)[0]) < _LONGEST_URL
    if mpd is not None and mpd.representations and len((last := mpd.representations[-1]).rows):
        assert isinstance(mpd.available(last, int(last.rows.end[-1])), Fraction)


def dash_indexes(data: bytes) -> None:
    """A segment index: the segments that it lists lie one behind the other."""

    def reader(body: bytes, scope: Scope) -> Representation:
        node = Node("Representation", 1, {}, "")
        base = Node("SegmentBase", 1, {"timescale": "90000"}, "")
        period = Period("", node, Fraction(0), None)
        representation = Representation("", node, node, period, URL, Addressing("SegmentBase", base.values, [base]))
        read_index(representation, body, 0, scope)
        return representation

    index: Representation = read(data, reader, lambda out: (out.rows, out.ranges))
    assert len(index.rows) == len(index.ranges)
    for (_, before), (_, after) in pairwise(index.ranges):
        assert before is not None
        assert after is not None
        assert sum(before) == after[0]


def smooth_manifests(data: bytes) -> None:
    """A client manifest of Smooth Streaming, and the header that each level is read by."""

    def reader(body: bytes, scope: Scope) -> tuple[Manifest | None, list[Any]]:
        manifest = read_manifest(body, URL, scope)
        levels = [(stream, level) for stream in (manifest.streams if manifest else ()) for level in stream.levels]
        return manifest, [make_header(stream, level, read_private_data(stream, level, scope)) for stream, level in levels]

    manifest, headers = read(data, reader)
    assert all(header.tracks[0].timescale > 0 for header in headers)
    for stream in manifest.streams if manifest else ():
        assert all(chunk.start >= 0 and chunk.duration > 0 for chunk in stream.chunks)


def hds_manifests(data: bytes) -> None:
    """A Flash Media Manifest."""

    def reader(body: bytes, scope: Scope) -> F4m | None:
        return read_f4m(body, URL, scope)

    manifest: F4m | None = read(data, reader)
    for media in manifest.media if manifest else ():
        assert all(number is None or number >= 0 for number in (media.bitrate, media.width, media.height))


def hds_bootstraps(data: bytes) -> None:
    """A bootstrap and the fragments that it lists."""

    def reader(body: bytes, scope: Scope) -> Table | None:
        bootstrap = read_bootstrap(body, scope)
        return lay_out(bootstrap, scope) if bootstrap is not None else None

    table: Table | None = read(data, reader)
    assert table is None or all(fragment.duration > 0 for fragment in table.fragments)
