"""Presentations cut out of a store: versions, and what lingers."""

from __future__ import annotations

from pypackager.model.presentation import Presentation
from tests.helpers.dvr import SECOND, VIDEO, Channel, config

HOUR = 3600 * SECOND


def test_what_left_the_window_lingers_for_a_minute(channel: Channel) -> None:
    def lately(window_ns: int) -> Presentation:
        made = channel.store.presentation("p", window_ns).lately
        assert made is not None
        return made()

    channel.run(0, 6)
    for window_ns in (HOUR, 12 * SECOND):
        assert [len(track.time) for track in lately(window_ns).tracks] == [6, 6]
    channel.run(6, 60)
    shown = channel.store.presentation("p", 12 * SECOND)
    late = lately(12 * SECOND)
    assert late is lately(12 * SECOND)
    assert [len(track.time) for track in shown.tracks] == [6, 6]
    assert [len(track.time) for track in late.tracks] == [36, 36]
    assert late.tracks[0].time[-1] == shown.tracks[0].time[-1]
    assert late.caches is not shown.caches
    # Not for a viewer who asked for a part, nor on demand: neither window moves.
    assert channel.store.presentation("p", 12 * SECOND, start_ns=110 * SECOND).lately is None
    assert channel.store.presentation("p", 12 * SECOND, ended=True).lately is None


def test_a_configuration_that_nothing_has_yet_makes_no_version(channel: Channel) -> None:
    channel.run(0, 1)
    before = channel.store.presentation("p", HOUR)
    channel.store.add_config(VIDEO.number, config("b"))
    channel.settle()
    assert channel.store.presentation("p", HOUR) is before
    channel.run(1, 2)
    assert config("b") in channel.store.presentation("p", HOUR).tracks[0].configs.values()


def test_versions_rise_over_a_restart(channel: Channel) -> None:
    channel.run(0, 1)
    before = channel.store.presentation("p", HOUR)
    assert channel.store.presentation("p", HOUR) is before
    channel.run(1, 2)
    after = channel.store.presentation("p", HOUR)
    assert after.version > before.version
    assert after.caches is before.caches
    channel.kill()
    assert channel.store.presentation("p", HOUR).version > after.version
