"""What a viewer asks for next: the segments of its own stream, as its manifest lists them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest

from pypackager.model.errors import PackagerError
from pypackager.model.presentation import Presentation
from pypackager.packaging import answer, following, stream
from tests.helpers.presentations import Spec, body_of, gaps, ladder, misaligned, periods, present, single


def _listed(presentation: Presentation, playlist: str) -> list[str]:
    """Segments of a media playlist, below the presentation's root; without those that are gaps."""
    folder = playlist.rpartition("/")[0]
    lines = body_of(answer(presentation, playlist, "")).decode().splitlines()
    uris = [line for n, line in enumerate(lines) if line and not line.startswith("#") and "#EXT-X-GAP" not in lines[max(0, n - 2) : n]]
    return [re.sub(r"^[^/]+/\.\./", "", f"{folder}/{uri}") for uri in uris]


def _playlists(presentation: Presentation, master: str) -> Iterator[str]:
    text = body_of(answer(presentation, master, "")).decode()
    yield from {*re.findall(r'URI="([^"]+m3u8)"', text), *re.findall(r"^([^#\n]+m3u8)$", text, re.MULTILINE)}


def _is_gap(presentation: Presentation, path: str) -> bool:
    try:
        answer(presentation, path, "")
    except PackagerError as error:
        return error.code == "NO_SUCH_SEGMENT"
    return False


SPECS = [single, ladder, periods, gaps, misaligned]


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("master", ["manifest(format=m3u8-cmaf)", "manifest(format=m3u8-aapl)", "manifest(format=m3u8-aapl-v3)"])
def test_a_stream_is_followed_through_all_that_its_playlist_lists(spec: Callable[[], Spec], master: str) -> None:
    presentation = present(spec())
    followed = 0
    for playlist in _playlists(presentation, master):
        first, *rest = _listed(presentation, playlist)
        found = stream(first)
        assert found is not None
        key, _ = found
        if key[0] == "fragments":
            key = ("segments", *key[1:])
        assert [path for path in following(presentation, key, first) if not _is_gap(presentation, path)] == rest
        followed += len(rest)
    assert followed
