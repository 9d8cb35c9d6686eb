"""DASH on demand by FFmpeg, the newest and the distribution's: nothing is said against it but what is truly wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.judged import assert_clean, judge_recording
from tests.helpers.live_dash import mux_dash
from tests.helpers.media import B_FRAMES, LADDER_SHORT, Recipe, ffmpeg


@pytest.mark.parametrize("recipe", [LADDER_SHORT, B_FRAMES], ids=lambda recipe: recipe.name)
@pytest.mark.parametrize("options", [(), ("-use_timeline", "0")], ids=["timeline", "number"])
def test_on_demand(recipe: Recipe, options: tuple[str, ...], tmp_path: Path) -> None:
    recording = mux_dash(recipe, tmp_path, *options, binary=ffmpeg())
    report = judge_recording(recording, recording.urls("vod.mpd")[0])
    assert_clean(report)
