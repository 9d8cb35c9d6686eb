"""The preview's page shows how what comes in is, in a real browser."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.browser import chromium, watch
from tests.helpers.daemon import Channel, running_daemon
from tests.helpers.raw import post
from tests.helpers.read_mp4 import boxes

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("browser")]

CAPTURE = Path(__file__).parents[2] / "rust" / "core" / "tests" / "data" / "ffmpeg-9.0-ismv.http"
FINE, HOLED, SOUND = TRACKS = ("video_und-34k", "video_und-16k", "audio_deu-17k")


def fragments() -> tuple[bytes, list[bytes]]:
    """What ffmpeg sent: its header boxes, and the fragments of two layers and a language in turn."""
    _, _, rest = CAPTURE.read_bytes().partition(b"\r\n\r\n")
    body = b""
    while (size := int((line := rest.partition(b"\r\n"))[0], 16)) > 0:
        body += line[2][:size]
        rest = line[2][size + 2 :]
    found = list(boxes(body))
    starts = [box.start for box in found if box.kind == b"moof"]
    ends = [*starts[1:], next(box.start for box in found if box.kind == b"mfra")]
    return body[: starts[0]], [body[start:end] for start, end in zip(starts, ends, strict=True)]


def test_a_gap_in_one_track_shows_in_the_row_of_that_track_without_a_reload(tmp_path: Path) -> None:
    header, sent = fragments()
    # The second fragment of the second layer.
    del sent[len(TRACKS) + 1]
    with running_daemon(tmp_path, Channel("news"), unjudged="a fragment is missing") as daemon, chromium() as browser:
        with watch(browser, daemon.origin("play/preview/news?muted=1"), tmp_path / "page.png") as player:
            page = player.page
            page.wait_for_selector("#c-facts:text('waiting for the encoder')", timeout=20_000)
            assert post(daemon.port("ingest"), "/news/ingest.isml/Streams(x)", [header, *sent]).status == 200
            page.wait_for_selector(f"[data-track={HOLED}] .strip i.gap", timeout=20_000)
            gaps = page.eval_on_selector_all(
                "#c-tracks li", "rows => rows.map(row => [row.dataset.track, row.querySelectorAll('i.gap').length])"
            )
            assert dict(gaps) == {FINE: 0, HOLED: 1, SOUND: 0}
            assert page.inner_text(f"[data-track={HOLED}] .gaps").startswith("1\ngaps, 1.0 s")
            assert "TRACK_GAP" in page.inner_text(f"[data-track={HOLED}]")
            assert "TRACK_GAP" not in page.inner_text(f"[data-track={FINE}]")
            assert "TRACK_GAP" in page.inner_text("#c-alerts")
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "it fits a telephone"
            assert not player.outside
