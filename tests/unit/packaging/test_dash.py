"""MPDs against the schema, and the clock that they state."""

from __future__ import annotations

from typing import Any

import pytest
from lxml import etree

from pypackager.check.dash.tree import read_tree
from pypackager.check.finding import Report
from pypackager.packaging import answer, dash, timing
from pypackager.packaging.choices import sounds
from tests.helpers.mpd_schema import mpd_schema, needs_schema
from tests.helpers.presentations import GOLDEN, NOON_NS, NS, Spec, audio, present, regular, single, video

MPD = "{urn:mpeg:dash:schema:mpd:2011}"


def _mpd(name: str) -> bytes:
    body = answer(present(GOLDEN[name]()), "manifest.mpd", "").body
    assert isinstance(body, bytes)
    return body


@needs_schema
@pytest.mark.parametrize("name", GOLDEN)
def test_mpds_are_valid(name: str) -> None:
    mpd_schema().assertValid(etree.fromstring(_mpd(name)))


@pytest.mark.parametrize("name", GOLDEN)
def test_mpds_are_valid_by_the_tables_of_the_judge(name: str) -> None:
    report = Report()
    read_tree(_mpd(name), report.scope())
    assert not report.findings()


@pytest.mark.parametrize("name", GOLDEN)
def test_every_listed_time_is_served(name: str) -> None:
    presentation = present(GOLDEN[name]())
    count = 0
    for representation in etree.fromstring(_mpd(name)).iter(f"{MPD}Representation"):
        template = representation.find(f"{MPD}SegmentTemplate")
        init = template.get("initialization").replace("$RepresentationID$", representation.get("id"))
        assert answer(presentation, init, "").lifetime == "immutable"
        time = 0
        for element in template.iter(f"{MPD}S"):
            time = int(element.get("t", time))
            for _ in range(int(element.get("r", 0)) + 1):
                path = template.get("media").replace("$RepresentationID$", representation.get("id")).replace("$Time$", str(time))
                assert answer(presentation, path, "").lifetime == "immutable"
                time += int(element.get("d"))
                count += 1
    assert count > 8


@pytest.mark.parametrize("anchor_ns", [NOON_NS, NOON_NS + 123_456_789, 0])
def test_presentation_time_is_utc_of_the_media(anchor_ns: int) -> None:
    start = 0 if anchor_ns else NOON_NS // NS * 90_000
    presentation = present(Spec([video(1, regular(6, start=start + 45_000))], anchor_ns=anchor_ns))
    body = answer(presentation, "manifest.mpd", "").body
    assert isinstance(body, bytes)
    tree = etree.fromstring(body)
    template = next(tree.iter(f"{MPD}SegmentTemplate"))
    period = next(tree.iter(f"{MPD}Period"))
    first = int(next(tree.iter(f"{MPD}S")).get("t")) - int(template.get("presentationTimeOffset"))
    seconds = float(period.get("start")[2:-1]) + first / 90_000
    said = dash.start_ns(presentation) + round(seconds * NS)
    assert abs(said - (anchor_ns + (start + 45_000) * NS // 90_000)) < NS // 90_000
    assert tree.get("availabilityStartTime") == timing.utc_text(dash.start_ns(presentation))


def test_start_stays_while_the_window_moves() -> None:
    spec = single()
    starts = {dash.start_ns(present(spec, rows=slice(first, first + 5))) for first in range(6)}
    assert len(starts) == 1


def test_only_what_is_known_to_be_one_sound_shares_a_set() -> None:
    sets = [
        (element.findtext(f"{MPD}Label"), [inner.get("id") for inner in element.iter(f"{MPD}Representation")])
        for element in etree.fromstring(_mpd("sounds")).iter(f"{MPD}AdaptationSet")
        if element.get("contentType") == "audio"
    ]
    assert sets == [("audio", ["audio"]), ("audio2", ["audio2"]), ("Stadium", ["en-128", "en-64"])]


@pytest.mark.parametrize(
    "other", [{"label": "Commentary"}, {"language": "deu"}, {"rate": 44_100}, {"bitrate": 120_000}], ids=lambda other: next(iter(other))
)
def test_what_differs_in_more_than_the_rate_is_another_sound(other: dict[str, Any]) -> None:
    known = {"language": "eng", "label": "Stadium", "bitrate": 64_000}
    spec = Spec([audio(1, regular(4), language="eng", label="Stadium", bitrate=128_000), audio(2, regular(4), **{**known, **other})])
    names = [sound.name for sound in sounds(present(spec)).values()]
    assert len(set(names)) == 2, names
