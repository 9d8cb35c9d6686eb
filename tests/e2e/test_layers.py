"""A layer joins a running channel and leaves it again: every output says so in its own words, and the judge has nothing to say."""

from __future__ import annotations

from pathlib import Path

import pytest
from lxml import etree

from tests.helpers.daemon import Channel, running_daemon
from tests.helpers.encoders import push_isml, wait_until
from tests.helpers.media import LADDER, material
from tests.helpers.presentation import DASH

pytestmark = pytest.mark.e2e

CUT = ("-frag_duration", "2000000")


def test_a_layer_that_joins_and_leaves_is_listed_where_it_covers_a_dash_period(tmp_path: Path) -> None:
    source = material(LADDER)
    # Smooth Streaming has one list of chunks for all layers: where this one is not, another stands in.
    with running_daemon(tmp_path, Channel("news")) as daemon:
        manifest = daemon.presentation("news", "manifest.mpd")
        maps, short = ["0:0", "0:1", "0:4"], (*CUT, "-t", "52")
        steady = push_isml(daemon.ingest("news", "steady"), source, tmp_path / "steady.log", rate=3, maps=maps, extra=short)
        wait_until(lambda: daemon.probe(manifest), "no MPD")
        # The same clock as the other encoder's: what it sends begins at second 10 of it, and ends at second 30.
        extra = (*CUT, "-t", "20", "-output_ts_offset", "10")
        late = push_isml(daemon.ingest("news", "late"), source, tmp_path / "late.log", rate=3, start=10.0, maps=["0:2"], extra=extra)
        late.finish()
        steady.finish()
        daemon.end_program("news")
        periods = etree.fromstring(daemon.fetch(manifest)).findall(f"{DASH}Period")
        listed = [{each.get("height") for each in period.iter(f"{DASH}Representation") if each.get("height")} for period in periods]
        assert listed == [{"90", "180"}, {"90", "180", "270"}, {"90", "180"}]
        for period in periods[1:]:
            assert len(period.findall(f"{DASH}AdaptationSet/{DASH}SupplementalProperty")) == 2, "pictures and sound go on"
