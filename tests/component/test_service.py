"""Service redundancy: two data centres that are fed by synchronised encoders agree without talking.

The ingest specification, "Service redundancy": the same names, numbers, dates and tags, whatever came in which order, later, or with a
restart between.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
from lxml import etree

from pypackager.packaging.publish import answer
from pypackager.timeline.times import SECOND_NS
from tests.helpers.channel_node import SHOW, VIDEO, ChannelNode
from tests.helpers.presentation import DASH, timeline
from tests.helpers.presentations import ASC, AVCC, body_of
from tests.helpers.timeline_rig import UTC0, Header, Stored, audio_header

GOP_S = 2
START_S = UTC0 // SECOND_NS
RATES = {"high": 3_000_000, "low": 750_000, "sound": 128_000}
MANIFESTS = ("manifest", "manifest.mpd", "master.m3u8", "manifest(format=m3u8-aapl)", "manifest(format=m3u8-aapl-v3)", "manifest.f4m")
TRACKS = ("video-3000k", "video-750k", "audio-128k")
PLAYLISTS = tuple(f"{folder}/{track}.m3u8" for folder in ("hls", "ts") for track in TRACKS)
V3 = tuple(f"ts3/{track}.m3u8" for track in TRACKS[:2])


class Site(ChannelNode):
    """The channel in one data centre, with a clock, a network and accidents of its own."""

    def __init__(self, directory: Path, seed: int, *, frame: int = 960, **settings: Any) -> None:
        """`frame`: ticks of one of sound; it has borders where pictures have them, or else begins with the first frame behind."""
        directory.mkdir()
        self.frame = frame
        super().__init__(directory, programs=(msgspec.structs.replace(SHOW, archive_window="5m"),))
        self.config = msgspec.structs.replace(self.config, **settings)
        self.channel.close()
        self._start()
        self.chance = random.Random(seed)
        self.open: dict[str, int] = {}
        self.conns = 0

    def encoders(self) -> None:
        """Streams connect, in any order."""
        for name in self.chance.sample(list(RATES), len(RATES)):
            self.conns += 1
            self.open[name] = self.conns
            self.channel.open_feed(self.conns, "primary", name)
            found = (
                audio_header(1, codec_private=ASC, name="audio", bitrate=RATES[name], frame_ticks=self.frame)
                if name == "sound"
                else Header(1, "video", codec_private=AVCC, name="video", bitrate=RATES[name], width=RATES[name] // 3000)
            )
            self.channel.track_found(self.conns, cast(Any, found))
            self.channel.admit(self.conns)

    def gone(self) -> None:
        """The encoders, or the network."""
        for conn in self.open.values():
            self.channel.close_feed(conn)
        self.open.clear()

    def push(self, slots: Sequence[int], *, without: Sequence[str] = (), late_s: float = 0, early: int = 0) -> None:
        """Fragments in real time, `late_s` behind the clock, of the streams in any order; every now and then those of two slots at once.

        The first of sound begins `early` frames too early.
        """
        waiting: list[int] = []
        for slot in slots:
            waiting.append(slot)
            ended_ns = (START_S + GOP_S * (slot + 1)) * SECOND_NS
            self.wait(max(0.0, (ended_ns - self.now.utc_ns) / SECOND_NS + late_s))
            if slot == slots[-1] or self.chance.random() < 0.8:
                self._deliver(waiting, without, slots[0], early)
                waiting.clear()

    def _deliver(self, slots: Sequence[int], without: Sequence[str], first: int, early: int) -> None:
        for name in self.chance.sample(list(RATES), len(RATES)):
            for slot in slots:
                if name in without:
                    continue
                scale = 48_000 if name == "sound" else VIDEO
                size = RATES[name] * GOP_S // 8 + slot % 3
                frame = self.frame if name == "sound" else 1
                begin, end = (-(-(START_S + GOP_S * at) * scale // frame) * frame for at in (slot, slot + 1))
                samples = (end - begin) // frame if name == "sound" else 50
                if name == "sound" and slot == first:
                    size += early * size // samples
                    begin, samples = begin - early * frame, samples + early
                chunk = Stored(1, begin, end - begin, scale, size=size, samples=samples)
                self.channel.chunk(self.open[name], cast(Any, chunk))
                if self.chance.random() < 0.5:
                    self.channel.advance()
                    self.settle()
        self.channel.advance()
        self.settle()

    def text(self, path: str) -> str:
        return body_of(answer(self.channel.programs.present("show"), path, "")).decode()

    def said(self, paths: Sequence[str]) -> dict[str, tuple[str, str]]:
        """Texts and entity tags."""
        shown = self.channel.programs.present("show")
        return {path: (body_of(found).decode(), found.etag) for path in paths for found in [answer(shown, path, "")]}

    def segments(self, path: str) -> dict[int, tuple[str, ...]]:
        """What a playlist says of each media sequence number: gap or not, length, name; the first may be what a window left."""
        text = self.text(path)
        found = re.findall(r"(#EXT-X-GAP\n)?#EXTINF:([\d.]+),\n(\S+)", text)
        first = int(re.findall(r"MEDIA-SEQUENCE:(\d+)", text)[0])
        return dict(enumerate(found, first))

    def media_times(self) -> dict[str, set[int]]:
        """Times of the segments of each Representation."""
        found: dict[str, set[int]] = {}
        for one in etree.fromstring(self.text("manifest.mpd").encode()).iter(f"{DASH}Representation"):
            template = one.find(f"{DASH}SegmentTemplate")
            assert template is not None
            found.setdefault(str(one.get("id")), set()).update(timeline(template))
        return found


def steady(site: Site) -> None:
    site.encoders()
    site.push(range(40), late_s=0.4)


def daemon_again(site: Site) -> None:
    """The daemon is started anew; encoders send the last two fragments again, more than once."""
    site.encoders()
    site.push(range(15))
    for slot in (15, 20, 25):
        site.gone()
        site.restart()
        site.encoders()
        site.push(range(slot - 2, slot + 5))
    site.push(range(30, 40))


def daemon_killed(site: Site) -> None:
    """The daemon is killed."""
    site.encoders()
    site.push(range(22))
    site.crash()
    site.encoders()
    site.push(range(20, 40))


def encoder_again(site: Site) -> None:
    """The encoders break off, and send again what they had not sent: nothing is lost."""
    site.encoders()
    site.push(range(17))
    site.gone()
    site.wait(3 * GOP_S)
    site.encoders()
    site.push(range(15, 40))


LIVES: dict[str, Callable[[Site], None]] = {each.__name__: each for each in (steady, daemon_again, daemon_killed, encoder_again)}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("life", LIVES)
def test_what_is_fed_alike_is_the_same(life: str, seed: int, tmp_path: Path) -> None:
    here, there = Site(tmp_path / "here", seed), Site(tmp_path / "there", seed + 100)
    steady(here)
    LIVES[life](there)
    assert there.said([*MANIFESTS, *PLAYLISTS, *V3]) == here.said([*MANIFESTS, *PLAYLISTS, *V3])


@pytest.mark.parametrize("late", [1, 2, 3, 11])
def test_one_that_began_later_agrees_in_what_both_have(late: int, tmp_path: Path) -> None:
    here, there = Site(tmp_path / "here", 1), Site(tmp_path / "there", 2)
    for site, first in ((here, 0), (there, late)):
        site.wait(first * GOP_S)
        site.encoders()
        site.push(range(first, 40))
    for path in (*PLAYLISTS, *V3):
        ours, theirs = here.segments(path), there.segments(path)
        first = min(theirs)
        assert list(theirs.items())[1:] == [item for item in ours.items() if item[0] > first], path
        # A segment whose beginning one never had is another segment, by its name as well.
        whole = (START_S // GOP_S + late) % 3 == 0
        assert (theirs[first] == ours[first]) == whole, path
    for name, times in there.media_times().items():
        assert {time for time in here.media_times()[name] if time >= min(times)} == times
    # Once the window has left the beginning of both they say the very same; only DASH tells where a period began.
    for site in (here, there):
        site.push(range(40, 40 + 160))
    paths = [path for path in (*MANIFESTS, *PLAYLISTS, *V3) if path not in ("manifest.mpd", "manifest.f4m")]
    assert there.said(paths) == here.said(paths)
    starts = [re.findall(r'availabilityStartTime="\S+" publishTime="\S+"', site.text("manifest.mpd")) for site in (here, there)]
    assert starts[0] == starts[1]
    assert there.media_times() == here.media_times()


@pytest.mark.parametrize("per_segment", [1, 3])
@pytest.mark.parametrize("lost", [range(13, 15), range(13, 17), range(12, 40), range(14, 45)], ids=len)
def test_numbers_agree_again_behind_what_one_has_lost(lost: range, per_segment: int, tmp_path: Path) -> None:
    """The encoders of one data centre, or all of it, were gone for a while: viewers who come back find the numbers that they know."""
    here, there = (Site(tmp_path / name, 3, fragments_per_segment=per_segment) for name in ("here", "there"))
    here.encoders()
    here.push(range(60))
    there.encoders()
    there.push(range(lost.start))
    there.gone()
    if len(lost) > 10:
        there.restart()
    there.wait(len(lost) * GOP_S)
    there.encoders()
    there.push(range(lost.stop, 60))
    for path in PLAYLISTS:
        ours, theirs = here.segments(path), there.segments(path)
        assert (min(theirs), max(theirs)) == (min(ours), max(ours)), path
        for number, (gap, length, name) in theirs.items():
            if number * per_segment * GOP_S >= START_S + lost.stop * GOP_S:
                assert ("", *ours[number][1:]) == (gap, length, name), path
            # What is lost as a whole is a gap at the place, and of the name, of what the other has.
            assert not gap or (length, name) == ours[number][1:], path
        assert max(float(length) for _, length, _ in theirs.values()) <= per_segment * GOP_S
        # What is of whole segments is gaps and nothing else: players that are moved here take no playlist with another discontinuity.
        whole = not any((START_S // GOP_S + place) % per_segment for place in (lost.start, lost.stop))
        assert there.text(path).count("#EXT-X-DISCONTINUITY\n") == (0 if whole else 1)
    for name, times in there.media_times().items():
        assert here.media_times()[name] > times


@pytest.mark.parametrize("early", [0, 2])
@pytest.mark.parametrize("again", [False, True], ids=["encoders", "daemon"])
@pytest.mark.parametrize(("per_segment", "lost"), [(1, range(13, 30)), (3, range(11, 29))])
def test_an_outage_of_whole_segments_is_told_in_the_names_of_the_other_side(
    per_segment: int, lost: range, again: bool, early: int, tmp_path: Path
) -> None:  # fmt: skip
    """Players that know the playlist of one side go on with the other's: no number has another name, length, date or discontinuity.

    An encoder that is back may begin with some frames of sound that stand before its pictures.
    """
    here, there = (Site(tmp_path / name, 5, frame=1024, fragments_per_segment=per_segment) for name in ("here", "there"))
    assert not any((START_S // GOP_S + place) % per_segment for place in (lost.start, lost.stop))
    here.encoders()
    here.push(range(60))
    there.encoders()
    there.push(range(lost.start))
    there.gone()
    if again:
        there.restart()
    there.wait(len(lost) * GOP_S)
    there.encoders()
    there.push(range(lost.stop, 60), early=early)
    for path in PLAYLISTS:
        ours, theirs = here.text(path), there.text(path)
        assert theirs.count("#EXT-X-GAP\n") == len(lost) // per_segment, path
        # Of headers and dates a gap says none, and what is behind it says them once more.
        plain = [re.sub(r"#EXT-X-(GAP|PROGRAM-DATE-TIME.*|MAP.*)\n", "", text) for text in (ours, theirs)]
        assert plain[0] == plain[1], path
        dates = [dict(re.findall(r"DATE-TIME:(\S+)\n(?:#EXT-X-GAP\n)?#EXTINF:\S+\n(\S+)", text)) for text in (ours, theirs)]
        assert dates[0].items() <= dates[1].items(), path
    periods = [re.findall(r"<Period .*?>", site.text("manifest.mpd")) for site in (here, there)]
    assert periods[0] == periods[1]
    for name, times in there.media_times().items():
        assert len(here.media_times()[name] - times) == len(lost), name
        assert here.media_times()[name] > times


def test_two_texts_never_have_one_tag(tmp_path: Path) -> None:
    """A cache that kept one's manifest asks the other whether it is still good: a layer has a gap here and none there."""
    here, there = Site(tmp_path / "here", 4), Site(tmp_path / "there", 4)
    for site in (here, there):
        site.encoders()
        site.push(range(18))
        site.push(range(18, 19), without=() if site is here else ("low",))
        site.push(range(19, 30))
    ours, theirs = (site.said([*MANIFESTS, *PLAYLISTS]) for site in (here, there))
    assert theirs["hls/video-750k.m3u8"][0].count("#EXT-X-GAP") == 1
    for path, (text, tag) in ours.items():
        assert (tag == theirs[path][1]) == (text == theirs[path][0]), path
