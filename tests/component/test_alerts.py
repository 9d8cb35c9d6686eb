"""Alerts of a channel: raised, told of, cleared, and what of them is seen where."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from pypackager.runtime.alerts import QUIET_NS, STATES
from pypackager.timeline.times import SECOND_NS
from tests.helpers.channel_node import VIDEO, ChannelNode
from tests.helpers.timeline_rig import Chunk, Header, Rig, Stored, audio_header


class Told(ChannelNode):
    """A channel whose news are kept."""

    def __init__(self, directory: Path, **options: Any) -> None:
        super().__init__(directory, **options)
        self.news: list[tuple[str, str]] = []
        self.channel.alarm._tell = self._hear

    def _hear(self, kind: str, subject: str, /, **data: Any) -> None:
        if kind == "alert":
            assert subject == "channels/news"
            self.news.append((data["change"], data["code"]))

    def active(self) -> dict[str, float]:
        """The gauge of each code."""
        (family,) = [family for family in self.metrics.registry.collect() if family.name == "pypackager_alert_active"]
        return {sample.labels["code"]: sample.value for sample in family.samples}

    def journalled(self) -> list[tuple[str, str]]:
        """Of alerts in the journal."""
        self.settle()
        return [(event.code, event.detail) for event in self.channel.store.ledger.events]


def test_an_alert_is_over_when_nobody_has_noticed_it_for_long(tmp_path: Path) -> None:
    node = Told(tmp_path)
    raised_ns = node.now.utc_ns
    node.channel.alarm.alert("TRACK_GAP", "nothing at 7", "v")
    node.wait(9)
    node.channel.alarm.alert("TRACK_GAP", "nothing at 8", "v")
    node.wait(QUIET_NS / SECOND_NS - 1)
    node.channel.keep_house()
    alert = node.channel.alarm.alerts["TRACK_GAP"]
    assert (alert.since_ns, alert.until_ns, alert.count, alert.tracks) == (raised_ns, None, 2, {"v": 2})
    assert node.active() == {"TRACK_GAP": 1}
    assert node.news == [("raised", "TRACK_GAP")]
    node.wait(1)
    node.channel.keep_house()
    assert alert.until_ns == node.now.utc_ns
    assert node.active() == {"TRACK_GAP": 0}
    assert node.journalled() == [("TRACK_GAP", "track v: nothing at 7"), ("TRACK_GAP", "cleared")]
    # It comes again: told of at once.
    node.channel.alarm.alert("TRACK_GAP", "nothing at 9", "a")
    again = node.channel.alarm.alerts["TRACK_GAP"]
    assert (again.since_ns, again.until_ns, again.count, again.detail) == (node.now.utc_ns, None, 3, "track a: nothing at 9")
    assert node.news == [("raised", "TRACK_GAP"), ("cleared", "TRACK_GAP"), ("raised", "TRACK_GAP")]


def test_an_alert_that_goes_on_is_told_of_every_ten_seconds(tmp_path: Path) -> None:
    node = Told(tmp_path)
    for _ in range(25):
        node.channel.alert("DISK_LOW", "0 bytes are free")
        node.channel.keep_house()
        node.wait(1)
    assert node.news == [("raised", "DISK_LOW")] * 3
    assert node.channel.alarm.alerts["DISK_LOW"].count == 25


def test_a_state_lasts_until_it_is_cleared(tmp_path: Path) -> None:
    node = Told(tmp_path)
    node.channel.alert("DISK_SLOW", "much waits for the disk")
    node.wait(500)
    node.channel.keep_house()
    assert node.channel.alarm.alerts["DISK_SLOW"].until_ns is None
    node.channel.clear("DISK_SLOW")
    node.channel.clear("DISK_SLOW")
    assert node.news == [("raised", "DISK_SLOW"), ("cleared", "DISK_SLOW")]


# --- what raises each


def gops(rig: Rig, conn: int, *lengths_s: float, start_s: float = 100, index: int | None = None) -> float:
    """Fragments of one layer, in real time; returns where they end."""
    for number, length_s in enumerate(lengths_s):
        rig.wait(length_s)
        at = None if index is None else index + number
        rig.send(conn, Chunk(1, int(start_s * VIDEO), int(length_s * VIDEO), index=at))
        start_s += length_s
    return start_s


def layer(rig: Rig, stream: str = "v", side: str = "primary", **header: Any) -> int:
    return rig.connect([Header(1, "video", **header)], stream=stream, side=side)


def discontinuity(rig: Rig) -> None:
    conn = layer(rig)
    gops(rig, conn, 2, 2, start_s=gops(rig, conn, 2, 2, 2) + 30)


def not_rising(rig: Rig) -> None:
    conn = layer(rig)
    gops(rig, conn, *[2] * 12)
    gops(rig, conn, 2, 2, start_s=100)


def leap(rig: Rig) -> None:
    conn = layer(rig)
    gops(rig, conn, 2, start_s=gops(rig, conn, 2, 2, 2) + 3600)


def ahead(rig: Rig) -> None:
    conn = layer(rig)
    gops(rig, conn, 2, 2)
    rig.send(conn, *(Chunk(1, (104 + 2 * n) * VIDEO, 2 * VIDEO) for n in range(6)))


def no_key_frame(rig: Rig) -> None:
    conn = layer(rig)
    end_s = gops(rig, conn, 2, 2, 2)
    rig.wait(3)
    rig.send(conn, Chunk(1, int(end_s + 2) * VIDEO, VIDEO, sync=False))


def misaligned(rig: Rig) -> None:
    one, two = layer(rig, "a"), layer(rig, "b")
    for slot in range(5):
        rig.wait(2)
        rig.send(one, Chunk(1, (100 + 2 * slot) * VIDEO, 2 * VIDEO))
        rig.send(two, Chunk(1, (101 + 2 * slot) * VIDEO, 2 * VIDEO))


def gap(rig: Rig) -> None:
    one, two = layer(rig, "a"), layer(rig, "b")
    for slot in range(5):
        rig.wait(2)
        rig.send(one, Chunk(1, (100 + 2 * slot) * VIDEO, 2 * VIDEO))
        if slot < 3:
            rig.send(two, Chunk(1, (100 + 2 * slot) * VIDEO, 2 * VIDEO))
    rig.wait(5)


def out_of_sync(rig: Rig) -> None:
    one, two = layer(rig), layer(rig, side="secondary")
    gops(rig, one, 2, 2, 2)
    rig.receive(one, Chunk(1, 106 * VIDEO, 2 * VIDEO))
    rig.receive(two, Chunk(1, 107 * VIDEO, 2 * VIDEO))


def too_much(rig: Rig) -> None:
    conn = layer(rig, name="v", bitrate=1_000_000)
    rig.announce(conn, [Header(1, "video", name="v", bitrate=1_000_000), audio_header(2, name="a")])
    for slot in range(16):
        rig.wait(2)
        rig.send(conn, Chunk(1, (100 + 2 * slot) * VIDEO, 2 * VIDEO, size=4_000_000))


def many(rig: Rig) -> None:
    headers = [Header(n, "video", name=f"v{n}", bitrate=n * 1000) for n in range(1, 12)]
    conn = rig.connect(headers)
    rig.wait(2)
    rig.send(conn, *(Chunk(n, 100 * VIDEO, 2 * VIDEO) for n in range(1, 12)))


def header_change(rig: Rig) -> None:
    conn = layer(rig)
    end_s = gops(rig, conn, 2, 2, 2)
    rig.announce(conn, [Header(1, "video", codec_private=b"other")])
    gops(rig, conn, 2, 2, start_s=end_s)


def renumbered(rig: Rig) -> None:
    conn = layer(rig)
    gops(rig, conn, 2, start_s=gops(rig, conn, 2, 2, index=7), index=99)


def short(rig: Rig) -> None:
    gops(rig, layer(rig), *[1] * 5)


RAISES: dict[str, Callable[[Rig], object]] = {
    "DISCONTINUITY": discontinuity,
    "TRACK_GAP": gap,
    "NO_KEY_FRAME": no_key_frame,
    "TIME_NOT_RISING": not_rising,
    "TIME_LEAP": leap,
    "AHEAD_OF_TIME": ahead,
    "GOPS_MISALIGNED": misaligned,
    "KEY_FRAME_INTERVAL_TOO_LONG": lambda rig: gops(rig, layer(rig), 2, 2, 2, 9, 2),
    "KEY_FRAME_INTERVAL_VARIES": lambda rig: gops(rig, layer(rig), 2, 2, 3, 2.5, 2),
    "FRAGMENT_DURATION": short,
    "ENCODERS_OUT_OF_SYNC": out_of_sync,
    "BITRATE_EXCEEDED": too_much,
    "TOO_MANY_TRACKS": many,
    "HEADER_MISMATCH": header_change,
    "INDEX_MISMATCH": renumbered,
}


def test_a_good_encoder_raises_nothing() -> None:
    rig = Rig()
    gops(rig, layer(rig), *[2] * 20, index=50)
    assert rig.codes() == []


@pytest.mark.parametrize("code", RAISES)
def test_each_is_raised_by_what_it_tells_of(code: str) -> None:
    rig = Rig()
    RAISES[code](rig)
    assert code in rig.codes()


@pytest.mark.parametrize(("lengths_s", "told"), [((6, 6, 6, 6), False), ((2, 2, 8, 2, 2), False), ((2, 2, 8, 8), True), ((7, 7), True)])
def test_fragments_beyond_what_caches_want_are_told_of_when_one_follows_another(lengths_s: tuple[int, ...], *, told: bool) -> None:
    rig = Rig()
    gops(rig, layer(rig), *lengths_s)
    rig.wait(10)
    assert ("FRAGMENT_DURATION" in rig.codes()) == told, rig.alerts


@pytest.mark.parametrize("length_s", [1, 8])
def test_a_key_frame_interval_that_is_mended(length_s: int, tmp_path: Path) -> None:
    node = Told(tmp_path)
    node.connect(1, "v")

    def send(length_s: int, at_s: int) -> None:
        node.wait(length_s)
        node.channel.chunk(1, cast(Any, Stored(1, at_s * VIDEO, length_s * VIDEO)))
        node.channel.advance()
        node.settle()
        node.channel.keep_house()

    at_s = 1000
    for _ in range(4):
        send(length_s, at_s)
        at_s += length_s
    assert ("raised", "FRAGMENT_DURATION") in node.news
    detail = node.channel.alarm.alerts["FRAGMENT_DURATION"].detail
    assert detail == f"track v: fragments of {length_s}.000 s; players and caches want 2 to 6 s"
    # It is over when the last long one was listed long enough ago, and not sooner.
    quiet_s = QUIET_NS // SECOND_NS
    for sent_s in range(2, quiet_s + length_s + 4, 2):
        send(2, at_s)
        at_s += 2
        assert sent_s >= quiet_s - 2 or ("cleared", "FRAGMENT_DURATION") not in node.news, sent_s
    assert [change for change, code in node.news if code == "FRAGMENT_DURATION"][-1] == "cleared"
    assert node.active()["FRAGMENT_DURATION"] == 0


def test_an_encoder_that_is_gone_for_ten_seconds(tmp_path: Path) -> None:
    node = Told(tmp_path)
    node.connect(1, "v")
    node.channel.close_feed(1)
    for _ in range(30):
        node.wait(1)
        node.channel.keep_house()
    assert node.news == [("raised", "ENCODER_DISCONNECTED")]
    node.connect(2, "v")
    assert node.news == [("raised", "ENCODER_DISCONNECTED"), ("cleared", "ENCODER_DISCONNECTED")]
    # One that is back at once was not gone.
    node.channel.close_feed(2)
    node.wait(5)
    node.channel.keep_house()
    node.connect(3, "v")
    node.wait(30)
    node.channel.keep_house()
    assert len(node.news) == 2


@pytest.mark.parametrize(("rate", "drifts"), [(1.0, False), (1.015, True), (0.985, True)])
def test_a_clock_that_drifts(rate: float, drifts: bool, tmp_path: Path) -> None:
    node = Told(tmp_path)
    node.connect(1, "v")
    for number in range(180):
        node.wait(2 / rate)
        node.send(1, 1000 + 2 * number)
        node.settle()
        node.channel.keep_house()
    assert ("CLOCK_DRIFT" in node.channel.alarm.alerts) == drifts


def test_the_page_lists_what_is_tested_here_and_codes_that_there_are() -> None:
    pages = Path(__file__).parents[2] / "docs" / "reference"
    listed = set(re.findall(r"`([A-Z_]{6,})`", (pages / "alerts.md").read_text()))
    assert listed >= {*RAISES, "ENCODER_DISCONNECTED", "CLOCK_DRIFT"}
    assert listed <= set(re.findall(r"^\| `([A-Z_]+)`", (pages / "codes.md").read_text(), re.MULTILINE))
    states = re.findall(r"^\|[^|]*\|([^|]*)\| state \|", (pages / "alerts.md").read_text(), re.MULTILINE)
    assert set(re.findall(r"`([A-Z_]+)`", " ".join(states))) == STATES
