"""How many channels a playlist announces, against what the sound is configured for."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from pypackager.check.finding import Report
from pypackager.check.judge.codecs import check_codecs
from pypackager.check.media.aac import read_config
from pypackager.check.media.samples import Media, Samples
from pypackager.check.presentation import Claims, Listing, Loaded, Track


@pytest.mark.parametrize(
    ("config", "announced", "broken"),
    [
        ("1190", 2, False), ("1190", 6, True), ("1188", 1, False), ("1188", 2, True),
        ("eb8a0800", 2, False), ("138856e5a54880", 2, False), ("138856e5a54880", 6, True), ("1308", 2, False), ("1308", 6, True),
    ],
)  # fmt: skip
def test_channels(config: str, announced: int, broken: bool) -> None:
    """Stereo and mono; parametric stereo that is said before, behind, or not at all."""
    one = np.zeros(1, np.int64)
    yes = np.ones(1, np.bool_)
    samples = Samples("audio", 48_000, read_config(bytes.fromhex(config)), one, one, one + 1024, yes, yes, np.ones(1, np.uint64), 1)
    listing = Listing("a", Fraction(0), Fraction(1), "a", "a")
    track = Track("a", "a", Claims(channels=announced), {"a": listing}, [Loaded(listing, Media([samples]), 1, 0)])
    report = Report()
    check_codecs(track, report.scope())
    assert report.broken() == ({"MEDIA-AUDIO"} if broken else set())
