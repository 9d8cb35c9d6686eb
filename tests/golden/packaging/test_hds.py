"""HDS manifests with what is inside their bootstraps and metadata. PYPACKAGER_GOLDEN=write writes them anew."""

from __future__ import annotations

import base64
import json
import os
import re
from pathlib import Path

import pytest
from yt_dlp.downloader.f4m import read_bootstrap_info

from pypackager.packaging import answer, hds
from tests.helpers import fake_core
from tests.helpers.presentations import GOLDEN, present

FILES = Path(__file__).parent


def _decoded(data: bytes) -> str:
    return _table(data) if data[4:8] == b"abst" else data.decode()


def _table(bootstrap: bytes) -> str:
    """As the client reads it that is left."""
    found = read_bootstrap_info(bootstrap)
    runs = [list(run.values()) for run in found["fragments"][0]["fragments"]]
    return json.dumps({"live": found["live"], "segments": found["segments"][0]["segment_run"], "runs": runs})


@pytest.mark.parametrize("name", GOLDEN)
def test_hds_is_what_it_was(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # The metadata as text: the native core's own tests have the bytes.
    monkeypatch.setattr(hds, "_core", fake_core)
    presentation = present(GOLDEN[name]())
    body = answer(presentation, "manifest.f4m", "").body
    assert isinstance(body, bytes)
    text = body.decode()
    for url in re.findall(r'bootstrapInfo[^>]* url="([^"]+)"', text):
        bootstrap = answer(presentation, url, "").body
        assert isinstance(bootstrap, bytes)
        text += f"=== {url}\n{_table(bootstrap)}\n"
    text = re.sub(r">([A-Za-z0-9+/]{40,}=*)<", lambda found: f">{_decoded(base64.b64decode(found[1]))}<", text)
    golden = FILES / name / "hds.txt"
    if os.environ.get("PYPACKAGER_GOLDEN") == "write":
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")
