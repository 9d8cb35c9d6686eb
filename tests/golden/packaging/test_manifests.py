"""Whole manifests as text. PYPACKAGER_GOLDEN=write writes them anew."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pypackager.model.errors import PackagerError
from pypackager.model.presentation import Presentation
from pypackager.packaging import answer
from tests.helpers.presentations import GOLDEN, present

FILES = Path(__file__).parent

MANIFESTS = {
    "hls.txt": ("master.m3u8", "hls/{}.m3u8"),
    "ts.txt": ("manifest(format=m3u8-aapl)", "ts/{}.m3u8"),
    "ts3.txt": ("manifest(format=m3u8-aapl-v3)", "ts3/{}.m3u8"),
    "dash.mpd": ("manifest.mpd",),
    "smooth.xml": ("manifest",),
}


@pytest.mark.parametrize("file", MANIFESTS)
@pytest.mark.parametrize("name", GOLDEN)
def test_manifests_are_what_they_were(name: str, file: str) -> None:
    presentation = present(GOLDEN[name]())
    text = ""
    for path in MANIFESTS[file]:
        names = [track.info.id for track in presentation.tracks] if "{}" in path else [""]
        for track in names:
            text += _answer(presentation, path.format(track), title=len(MANIFESTS[file]) > 1)
    golden = FILES / name / file
    if os.environ.get("PYPACKAGER_GOLDEN") == "write":
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")


def _answer(presentation: Presentation, path: str, *, title: bool) -> str:

    head = f"=== {path}\n" if title else ""
    try:
        body = answer(presentation, path, "").body
    except PackagerError as error:
        return f"{head}{error.status} {error.code}\n"
    assert isinstance(body, bytes)
    return head + body.decode()
