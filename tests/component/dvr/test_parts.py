"""Parts of a period in an asset: where a track joins or leaves, in each of its runs, and from its own files."""

from __future__ import annotations

from pathlib import Path

from pypackager.dvr.assets import Asset
from pypackager.model.presentation import Member, Presentation
from pypackager.model.track import TrackInfo
from tests.helpers.dvr import AUDIO, SECOND, VIDEO, Channel, same

HOUR = 3600 * SECOND


def publish(channel: Channel, first: int, last: int, *tracks: TrackInfo) -> None:
    for index in range(first, last):
        channel.write(index, tracks=tracks)
        channel.list(index, tracks=tracks)
    channel.settle()


def stop(channel: Channel, asset: Asset) -> None:
    asset.stop(now_ns=77)
    channel.store.roll(0)
    channel.store.sync()
    channel.settle()


def parts(shown: Presentation) -> list[tuple[int, int, int, list[int]]]:
    """Period, part, start in seconds, and tracks of each."""
    return [(p.number, p.part, p.start_ns // SECOND, [member.track for member in p.members or ()]) for p in shown.periods]


def test_runs_of_an_asset_have_the_parts_of_their_time(channel: Channel, tmp_path: Path) -> None:
    channel.store.open_period(0)
    publish(channel, 0, 3, VIDEO)
    asset = Asset.start(tmp_path / "assets" / "show", channel.store, name="show", channel="news", window_ns=HOUR)
    publish(channel, 3, 6, VIDEO)
    publish(channel, 6, 9, VIDEO, AUDIO)
    assert parts(asset.presentation()) == [(0, 0, 0, [1]), (0, 1, 12, [1, 2])]
    stop(channel, asset)
    assert same(Asset.open(asset.directory).presentation(), asset.presentation())
    publish(channel, 9, 10, VIDEO, AUDIO)
    asset.start_again(channel.store, HOUR)
    publish(channel, 10, 18, VIDEO, AUDIO)
    publish(channel, 18, 27, VIDEO)
    shown = asset.presentation()
    assert parts(shown) == [(0, 0, 0, [1]), (0, 1, 12, [1, 2]), (1, 1, 24, [1, 2]), (1, 2, 48, [1])]
    # Its first part goes on from nothing, the other from that.
    assert [period.members for period in shown.periods[2:]] == [(Member(1, 1, 1), Member(2, 2, 1)), (Member(1, 1, 0),)]
    stop(channel, asset)
    assert same(Asset.open(asset.directory).presentation(), asset.presentation())


def test_parts_that_left_the_window_are_forgotten_with_their_files(channel: Channel) -> None:
    channel.store.open_period(0)
    for first in range(0, 60, 6):
        publish(channel, first, first + 3, VIDEO)
        publish(channel, first + 3, first + 6, VIDEO, AUDIO)
        channel.store.roll(0)
        channel.settle()
    joined = channel.store.ledger.periods
    assert [(period.part, period.start_ns) for period in joined] == [(0, 0), (1, 6 * SECOND)], "gaps of 6 s are no reason for a part"
    channel.store.ledger.forget_file()
    assert [period.part for period in channel.store.ledger.periods] == [1]
