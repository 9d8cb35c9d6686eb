"""Mistakes in copies of a live MPD, and in what changes between them. All of a presentation by `tests/helpers/live_dash.py`.

What is broken is fixed; in which Representation and from which copy on is chance, where it may be any.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from random import Random

from tests.helpers.live_dash import COPIES, utc_text
from tests.helpers.recorded import EPOCH

Copies = list[str]
Text = Callable[[str], str]
Break = Callable[[Copies, Random], Copies]


def everywhere(change: Text) -> Break:
    """In all copies."""
    return lambda copies, _: [change(text) for text in copies]


def from_copy(first: int, change: Text, last: int = COPIES) -> Break:
    """In the copies from one on, up to another."""
    return lambda copies, _: [change(text) if first <= n < last else text for n, text in enumerate(copies)]


def some_time(change: Text) -> Break:
    """In the copies from one on: any but the first, which has none before it, and the last, which has none behind it."""
    return lambda copies, chance: from_copy(chance.randrange(1, COPIES - 1), change)(copies, chance)


def once(change: Text) -> Break:
    """In one copy that has others before and behind it."""

    def broken(copies: Copies, chance: Random) -> Copies:
        first = chance.randrange(1, COPIES - 1)
        return from_copy(first, change, first + 1)(copies, chance)

    return broken


def somewhere(pattern: str, new: str) -> Break:
    """In all copies: one of the places that a pattern matches."""

    def broken(copies: Copies, chance: Random) -> Copies:
        place = chance.randrange(len(re.findall(pattern, copies[0])))

        def change(text: str) -> str:
            match = list(re.finditer(pattern, text))[place]
            return text[: match.start()] + match.expand(new) + text[match.end() :]

        return everywhere(change)(copies, chance)

    return broken


def put(old: str, new: str, count: int = -1) -> Text:
    """Text for text."""

    def change(text: str) -> str:
        assert old in text, old
        return text.replace(old, new, count)

    return change


def swap(pattern: str, new: str, count: int = 0) -> Text:
    """Text for what a pattern matches."""

    def change(text: str) -> str:
        out, times = re.subn(pattern, new, text, count=count, flags=re.DOTALL)
        assert times, pattern
        return out

    return change


def both(*changes: Text) -> Text:
    """One after the other."""

    def change(text: str) -> str:
        for each in changes:
            text = each(text)
        return text

    return change


def without_newest(text: str) -> str:
    """Each timeline lacks its last S element."""
    return re.sub(r'<S t="\d+" d="\d+"/>\n</SegmentTimeline>', "</SegmentTimeline>", text)


def later(seconds: float) -> Text:
    """@availabilityStartTime is moved."""
    start = EPOCH - 6.5
    return put(utc_text(start), utc_text(start + seconds))


def live_again(text: str, *, static: bool) -> str:
    """The end comes a copy too soon, and what follows goes on being live."""
    return swap('publishTime="[^"]*"', f'publishTime="{utc_text(EPOCH + (5.9 if static else 8))}"')(text)


def ended_again(copies: Copies, _: Random) -> Copies:
    """It ends a copy early, and then is another once more."""
    return [*copies[:3], live_again(copies[4], static=True), put('"PT4.0S"', '"PT3.0S"')(copies[4])]


def head_comes_back(text: str) -> str:
    """The German sound lacks its first segment."""
    return swap(r'(<Representation id="3".*?startNumber=)"1"(.*?)<S t="0" d="88064"/>\n', r'\1"2"\2')(text)


def short_window(copies: Copies, _: Random) -> Copies:
    """A copy has a segment more than at its time, and two seconds more have passed; of the German sound the first three are missing."""
    rows = r'(<Representation id="3".*?startNumber=)"1"(.*?)(?:<S [^>]*>\n){3}'
    moved = [later(-2)(text) for text in copies]
    sooner = [swap('publishTime="[^"]*"', f'publishTime="{utc_text(EPOCH + 2 * n - 0.1)}"')(moved[n + 1]) for n in range(3)]
    return [swap(rows, r'\1"4"\2')(text) for text in [*sooner, moved[4], moved[4]]]


def two_seconds_early(text: str) -> str:
    """The Period is said to begin just behind the first segments, and all else is as much earlier."""
    text = re.sub(r'timescale="(\d+)"', lambda m: f'{m[0]} presentationTimeOffset="{int(m[1]) * 201 // 100}"', text)
    return text.replace('"PT12.0S"', '"PT10.0S"')


def listed(*, short: bool, live: bool) -> Text:
    """The German sound has a SegmentList, with a URL too few, or under the live profile."""

    def as_list(match: re.Match[str]) -> str:
        count = match[2].count("<S ")
        urls = "".join(f'<SegmentURL media="chunk-stream3-{n:05d}.m4s"/>' for n in range(1, count + (not short)))
        return f'{match[1]}<SegmentList timescale="44100"><Initialization sourceURL="init-stream3.m4s"/>{match[2]}{urls}</SegmentList>'

    def change(text: str) -> str:
        pattern = r'(<Representation id="3".*?)<SegmentTemplate [^>]*>\s*(<SegmentTimeline>.*?</SegmentTimeline>)\s*</SegmentTemplate>'
        out, times = re.subn(pattern, as_list, text, flags=re.DOTALL)
        assert times == 1
        return out if live else out.replace("isoff-live", "full")

    return change


AUDIO = re.escape('<AdaptationSet id="2"') + ".*?</AdaptationSet>"
MUTATIONS: dict[str, tuple[str, Break]] = {
    # --- grammar
    "not well-formed": ("DASH-XML", once(put("</Period>", "</period>"))),
    "UTCTiming before Period": ("DASH-ELEMENT", from_copy(0, put("<Period ", '<UTCTiming schemeIdUri="a"/><Period '), 1)),
    "unknown element": ("DASH-ELEMENT", everywhere(put("</Period>", "<Segment/></Period>"))),
    "unknown attribute": ("DASH-ATTRIBUTE", everywhere(put('<Period id="0"', '<Period name="x" id="0"'))),
    "no minBufferTime": ("DASH-REQUIRED", everywhere(swap(r'\s+minBufferTime="[^"]*"', ""))),
    "no bandwidth": ("DASH-REQUIRED", somewhere(r'bandwidth="\d+"', "")),
    "a duration in seconds": ("DASH-VALUE", everywhere(put('minBufferTime="PT4.0S"', 'minBufferTime="4"'))),
    # --- one copy
    "no publishTime": ("DASH-DYNAMIC", from_copy(0, swap(r'publishTime="[^"]*"', ""), COPIES - 1)),
    "static and updated": ("DASH-STATIC", from_copy(COPIES - 1, put('type="static"', 'type="static" minimumUpdatePeriod="PT2S"'))),
    "static without length": ("DASH-LENGTH-MISSING", from_copy(COPIES - 1, swap(r'mediaPresentationDuration="[^"]*"', ""))),
    "static and too long": ("DASH-LENGTH", from_copy(COPIES - 1, put('"PT12.0S"', '"PT20.0S"'))),
    "no Period id": ("DASH-PERIOD-ID", everywhere(put('<Period id="0"', "<Period"))),
    "two Representations of one id": ("DASH-ID", everywhere(put('<AdaptationSet id="2"', '<AdaptationSet id="1"'))),
    "an empty AdaptationSet": ("DASH-EMPTY", everywhere(put("</Period>", '<AdaptationSet id="9" contentType="text" lang="en"/></Period>'))),
    "no mimeType": ("DASH-MIME", somewhere(r'mimeType="\w+/mp4"', "")),
    "segments above the maximum": ("DASH-MAX-SEGMENT", everywhere(put('maxSegmentDuration="PT2.0S"', 'maxSegmentDuration="PT1S"'))),
    "delay beyond the window": ("DASH-DELAY", from_copy(0, put('Delay="PT6S"', 'Delay="PT31S"'), COPIES - 1)),
    "maxWidth below width": ("DASH-RANGE", everywhere(put('maxWidth="640"', 'maxWidth="320"'))),
    "a format tag for an id": ("DASH-TEMPLATE", somewhere(r"chunk-stream\$RepresentationID\$", "chunk-stream$RepresentationID%01d$")),
    "duration beside a timeline": ("DASH-SEGMENT-TIMES", somewhere(r'timescale="(\d+)"', r'\g<0> duration="25600"')),
    "two kinds of addressing": (
        "DASH-ADDRESSING",
        somewhere("<SegmentTemplate", '<SegmentBase indexRange="0-9"/><SegmentTemplate'),
    ),
    "layers that are not aligned": ("DASH-ALIGNMENT", everywhere(swap(r'</AdaptationSet>\s*<AdaptationSet id="2"[^>]*>', ""))),
    # --- timelines
    "overlapping S": ("DASH-TIMELINE-OVERLAP", everywhere(put('<S t="0" d="25600"/>', '<S t="0" d="25700"/>', 1))),
    "S of no length": ("DASH-TIMELINE-REPEAT", somewhere("<SegmentTimeline>", '<SegmentTimeline><S t="0" d="0"/>')),
    # --- where segments are
    "no timescale": ("DASH-TIMESCALE", everywhere(put('timescale="44100"', 'timescale="0"'))),
    "a URL too few": ("DASH-LIST-LENGTH", everywhere(listed(short=True, live=False))),
    "a list in the live profile": ("DASH-LIVE-TEMPLATE", everywhere(listed(short=False, live=True))),
    "segments before their Period": ("DASH-OUTSIDE-PERIOD", everywhere(two_seconds_early)),
    "less than the window": ("DASH-WINDOW-SHORT", short_window),
    # --- the clock
    "listed early": ("DASH-EARLY", everywhere(later(5))),
    "published next year": ("DASH-PUBLISH-FUTURE", everywhere(put('publishTime="2023', 'publishTime="2024'))),
    # --- refreshes
    "a start that moves": ("DASH-AST-CHANGED", some_time(later(-1))),
    "the same publishTime": ("DASH-PUBLISH-TIME", from_copy(1, swap('publishTime="[^"]*"', f'publishTime="{utc_text(EPOCH)}"'), 3)),
    "a Period that moves": ("DASH-PERIOD-CHANGED", some_time(put('start="PT0.0S"', 'start="PT0.1S"'))),
    "a Period of another id": ("DASH-PERIOD-ORDER", some_time(put('<Period id="0"', '<Period id="7"'))),
    "a language is gone": ("DASH-REPRESENTATION-WITHDRAWN", some_time(swap(AUDIO, ""))),
    "another codec": ("DASH-REPRESENTATION-CHANGED", once(put("avc1.42c01e", "avc1.42c01f"))),
    "another offset": (
        "DASH-PTO-CHANGED",
        once(put('timescale="12800"', 'timescale="12800" presentationTimeOffset="1"')),
    ),
    "an old segment is longer": (
        "DASH-SEGMENT-CHANGED",
        some_time(swap(r'(<Representation id="3".*?)<S t="0" d="88064"/>', r'\1<S t="0" d="88063"/>')),
    ),
    "old segments of another time": (
        "DASH-SEGMENT-CHANGED",
        some_time(swap(r'(<Representation id="3".*?)<S t="88064" d="89088"/>', r'\1<S t="88065" d="89087"/>')),
    ),
    "the newest is taken back": (
        "DASH-SEGMENT-WITHDRAWN",
        lambda copies, _: [copies[0], copies[1], without_newest(without_newest(copies[2])), *copies[3:]],
    ),
    "the head goes too soon": (
        "DASH-SEGMENT-WITHDRAWN",
        some_time(both(swap(r'<S t="0" d="\d+"/>\n', ""), put('startNumber="1"', 'startNumber="2"'))),
    ),
    "an end before the end": (
        "DASH-TYPE-CHANGED",
        lambda copies, _: [*copies[:3], live_again(copies[4], static=True), live_again(copies[3], static=False)],
    ),
    "a segment before the first": ("DASH-SEGMENT-INSERTED", from_copy(0, head_comes_back, 2)),
    "another one behind the end": ("DASH-UNANNOUNCED", ended_again),
    # --- claims
    "another codec string": ("DASH-CODECS", everywhere(put("avc1.42c01e", "avc1.64001f"))),
    "another width": ("DASH-SIZE", everywhere(put('width="160"', 'width="176"'))),
    "another frame rate": ("DASH-FRAME-RATE", everywhere(put('frameRate="25/1"', 'frameRate="30/1"'))),
    "another sampling rate": ("DASH-SAMPLING-RATE", everywhere(put('audioSamplingRate="44100"', 'audioSamplingRate="48000"'))),
    "six channels": ("DASH-CHANNELS", somewhere('2011" value="2"', '2011" value="6"')),
    "audio as video": ("DASH-CONTENT", everywhere(swap(r'(<Representation id="2" )mimeType="audio/mp4"', r'\1mimeType="video/mp4"'))),
    "another container": ("DASH-CONTAINER", everywhere(swap(r'(<Representation id="0" )mimeType="video/mp4"', r'\1mimeType="video/mp2t"'))),
    "a bandwidth that starves": ("DASH-BANDWIDTH", everywhere(put('bandwidth="824870"', 'bandwidth="600000"'))),
}
