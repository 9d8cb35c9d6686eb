"""Our tables of what an MPD is made of agree with the published schema: on good MPDs, and on thousands that were damaged at random."""

from __future__ import annotations

import random
from copy import deepcopy
from typing import Any

import pytest
from lxml import etree

from pypackager.check.dash.elements import ELEMENTS
from pypackager.check.dash.tree import NAMESPACE, read_tree
from pypackager.check.dash.values import TYPES
from pypackager.check.finding import Report
from tests.helpers.mpd_schema import mpd_schema, needs_schema

FULL = f"""<MPD xmlns="{NAMESPACE}" id="a" profiles="urn:mpeg:dash:profile:isoff-live:2011, urn:mpeg:dash:profile:cmaf:2019" type="dynamic"
 availabilityStartTime="2024-01-01T00:00:00Z" publishTime="2024-01-01T00:00:00.125+01:00" minimumUpdatePeriod="PT2S"
 minBufferTime="PT0H0M4.000S" timeShiftBufferDepth="P1DT2H" suggestedPresentationDelay="PT6S" maxSegmentDuration="PT2S">
<ProgramInformation lang="en"><Title>News</Title><Source>s</Source></ProgramInformation>
<BaseURL serviceLocation="a" availabilityTimeOffset="INF">media/</BaseURL><Location>a.mpd</Location>
<PatchLocation ttl="60">a.mpp</PatchLocation>
<ServiceDescription id="0"><Scope schemeIdUri="urn:a"/><Latency target="3000" min="2000" max="6000"/><PlaybackRate max="1.04" min="0.96"/>
</ServiceDescription>
<Period id="1" start="PT0S" duration="PT10S"><BaseURL>p/</BaseURL>
<AssetIdentifier schemeIdUri="urn:a" value="x"/>
<EventStream schemeIdUri="urn:scte:scte35:2014:xml+bin" timescale="90000">
<Event presentationTime="1" duration="2" id="7">x</Event></EventStream>
<AdaptationSet id="1" contentType="video" par="16:9" maxWidth="640" segmentAlignment="true" startWithSAP="1" lang="en">
<InbandEventStream schemeIdUri="urn:a" value="1"/><Label id="1" lang="en">x</Label>
<Role schemeIdUri="urn:mpeg:dash:role:2011" value="main"/>
<SegmentTemplate timescale="90000" presentationTimeOffset="5" media="$Time$.m4s" initialization="i.mp4"><SegmentTimeline>
<S t="0" d="180000" r="3"/><S d="90000"/></SegmentTimeline></SegmentTemplate>
<Representation id="v1" bandwidth="1000" codecs="avc1.64001f" width="640" height="360" frameRate="30000/1001" sar="1:1"
 mimeType="video/mp4">
<ProducerReferenceTime id="0" wallClockTime="2024-01-01T00:00:00Z" presentationTime="0"/>
<Resync type="1" dT="1" dImax="1.5"/></Representation>
<Representation id="v2" bandwidth="2000" scanType="progressive"><BaseURL>b</BaseURL></Representation></AdaptationSet>
<AdaptationSet mimeType="audio/mp4" audioSamplingRate="48000 96000">
<AudioChannelConfiguration schemeIdUri="urn:mpeg:dash:23003:3:audio_channel_configuration:2011" value="2"/>
<ContentProtection schemeIdUri="urn:mpeg:dash:mp4protection:2011" value="cenc"/>
<Representation id="a1" bandwidth="64000"><SegmentList duration="2"><Initialization range="0-9" sourceURL="i"/><SegmentURL media="1"/>
<SegmentURL media="2" mediaRange="5-9"/></SegmentList></Representation>
<Representation id="a2" bandwidth="64000"><SegmentBase indexRange="0-9" indexRangeExact="true"><Initialization range="0-9"/></SegmentBase>
</Representation></AdaptationSet><Subset contains="1 2"/></Period><Period id="2"/>
<Metrics metrics="HttpList"><Range starttime="PT0S"/><Reporting schemeIdUri="urn:a"/></Metrics>
<EssentialProperty schemeIdUri="urn:a"/><SupplementalProperty schemeIdUri="urn:a"/>
<UTCTiming schemeIdUri="urn:mpeg:dash:utc:http-iso:2014" value="time"/>
<LeapSecondInformation availabilityStartLeapOffset="37"/></MPD>"""

VALUES = (
    "", "0", "-1", "1", "7", "101", "4294967296", "18446744073709551616", "true", "TRUE", "static", "video", "PT2S", "PT", "P1M",
    "-PT1S", "2.5", "1e3", "INF", "2024-01-01T00:00:00Z", "2024-02-30T00:00:00Z", "2024-01-01", "16:9", "25/1", "25/0",
    "avc1.64001f", "a b", "a, b", "a,b", " 5 ", "en", "en-GB", "e_n", "0-9", "9", "x-y", "urn:a:b", "progressive", "main",
)  # fmt: skip


def ours(root: Any) -> Report:
    report = Report()
    read_tree(etree.tostring(root), report.scope())
    return report


def test_the_full_example_is_good() -> None:
    assert ours(etree.fromstring(FULL)).broken("error") == set()


def test_all_types_are_known() -> None:
    for name, element in ELEMENTS.items():
        assert set(element.attributes.values()) <= set(TYPES), name
        assert set(element.children) <= set(ELEMENTS), name


@needs_schema
def test_the_full_example_is_good_by_the_schema() -> None:
    assert mpd_schema().validate(etree.fromstring(FULL)), mpd_schema().error_log


@needs_schema
@pytest.mark.parametrize("seed", range(200, 208))
def test_damaged_mpds_are_judged_as_the_schema_judges_them(seed: int) -> None:
    random.seed(seed)
    whole = etree.fromstring(FULL)
    for _ in range(600):
        root = deepcopy(whole)
        what = damage(root)
        found = ours(root).broken("error")
        valid = mpd_schema().validate(root)
        assert (not found) == valid, f"{what}: we say {found or 'good'}, the schema says {mpd_schema().error_log.last_error or 'good'}"


def damage(root: Any) -> str:
    """Does one thing to an MPD, which may leave it good; says what."""
    nodes = list(root.iter())
    node = random.choice(nodes[1:])
    name = etree.QName(node).localname
    match random.randrange(6):
        case 0:
            node.getparent().remove(node)
            return f"no {name}"
        case 1:
            node.addnext(deepcopy(node))
            return f"{name} twice"
        case 2:
            parent = random.choice(nodes)
            if parent in list(node.iter()):
                return "nothing"
            parent.insert(random.randrange(len(parent) + 1), deepcopy(node))
            return f"{name} in {etree.QName(parent).localname}"
        case 3:
            other = random.choice(nodes)
            if not other.attrib:
                return "nothing"
            gone = random.choice(list(other.attrib))
            del other.attrib[gone]
            return f"no {etree.QName(other).localname}@{gone}"
        case 4:
            other = random.choice(nodes)
            known = ELEMENTS[etree.QName(other).localname].attributes
            key, value = random.choice([*known, "stray"]), random.choice(VALUES)
            other.set(key, value)
            return f"{etree.QName(other).localname}@{key}={value!r}"
        case _:
            following = node.getnext()
            if following is None:
                return "nothing"
            following.addnext(node)
            return f"{name} behind {etree.QName(following).localname}"
