"""MPDs against the schema, and the clock that they state."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from lxml import etree

from pypackager.check.dash.tree import read_tree
from pypackager.check.finding import Report
from pypackager.origin.conditions import cache_control
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


def _listed_ns(asked_ns: list[int], interval_ns: int, wait_ns: int, age_ns: int, stale_ns: int) -> dict[int, int]:
    """When a player that asks a cache for the list at these instants, as the only one, first sees each fragment in it."""
    seen: dict[int, int] = {}
    fetched = None
    for now in asked_ns:
        if fetched is None or now - fetched > age_ns + stale_ns:
            fetched = answered = now
        else:
            answered = fetched
            fetched = now if now - fetched > age_ns else fetched  # the newer one is for who asks next (RFC 5861 3)
        for fragment in range((answered - wait_ns) // interval_ns):
            seen.setdefault(fragment, now)
    return seen


@pytest.mark.parametrize("interval_s", [1, 2, 3, 4, 6, 10])
def test_the_next_fragment_is_listed_in_time_behind_a_cache(interval_s: int) -> None:
    """dash.js stalled behind one: a list as old as it may be, and asked for as seldom as it says, has what is played next."""
    interval_ns = interval_s * NS
    body = answer(present(replace(single(), interval_ns=interval_ns, ended=False)), "manifest.mpd", "").body
    assert isinstance(body, bytes)
    mpd = etree.fromstring(body)
    delay_ns, update_ns = (round(float(mpd.get(name)[2:-1]) * NS) for name in ("suggestedPresentationDelay", "minimumUpdatePeriod"))
    ages = dict(part.strip().split("=") for part in cache_control("manifest", interval_ns, shared=True).split(",") if "=" in part)
    age_ns, stale_ns = int(ages["max-age"]) * NS, int(ages["stale-while-revalidate"]) * NS
    wait_ns = download_ns = interval_ns // 4
    for phase in range(20):
        asked = [phase * update_ns // 20 + turn * update_ns for turn in range(40)]
        for fragment, seen in list(_listed_ns(asked, interval_ns, wait_ns, age_ns, stale_ns).items())[10:]:
            assert seen + download_ns <= fragment * interval_ns + delay_ns, f"fragment {fragment}, asked at {phase}/20"
