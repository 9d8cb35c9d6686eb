"""Material for the benchmarks: 10 video layers and 5 audio tracks, 25 Mbit/s in all, the largest feed a channel takes."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from pypackager.cli.recordings import fragment
from tests.helpers.media import Audio, Layer, Recipe, material

if TYPE_CHECKING:
    from pathlib import Path

# 23,960 kbit/s of video and 640 of audio. Sizes are small for their bitrates and the picture is grainy: what is measured depends
# on bytes and frames, not on pixels, and few pixels encode quickly.
FULL_LADDER = Recipe(
    name="full-ladder",
    seconds=32,
    frame_rate=Fraction(25),
    gop_frames=50,
    b_frames=0,
    layers=(
        Layer(640, 360, 6600),
        Layer(576, 324, 5000),
        Layer(512, 288, 3500),
        Layer(448, 252, 2700),
        Layer(384, 216, 2000),
        Layer(352, 198, 1500),
        Layer(320, 180, 1100),
        Layer(256, 144, 800),
        Layer(224, 126, 500),
        Layer(160, 90, 260),
    ),
    audio=tuple(Audio(language, 48_000, 128, 330 + 110 * n) for n, language in enumerate(("eng", "deu", "fra", "spa", "ita"))),
    noise=60,
)


def full_ladder() -> Path:
    """An MP4 file with all 15 tracks, encoded on first use."""
    return material(FULL_LADDER)


def fragmented_ladder() -> Path:
    """The same with its samples in fragments."""
    return fragmented(FULL_LADDER)


def fragmented(recipe: Recipe) -> Path:
    """A recording with its samples in fragments, as `pypackager push` and the readers play it."""
    plain = material(recipe)
    path = plain.with_suffix(".fragmented.mp4")
    if not path.exists():
        unfinished = path.with_suffix(".part")
        fragment(plain, unfinished, by_key_frame=True)
        unfinished.replace(path)
    return path
