"""A live channel is watched by the judge: all six formats keep every rule over time, also over an encoder's restart."""

from __future__ import annotations

from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pypackager.check.finding import Report
from pypackager.check.tables import describe
from tests.helpers.daemon import Channel, Daemon, running_daemon
from tests.helpers.encoders import LADDER_PUBLISHES, push_isml, push_rtmp
from tests.helpers.judged import judge_urls
from tests.helpers.media import LADDER, OTHER_SIZE, SINGLE, material
from tests.helpers.presentation import OUTPUTS
from tests.helpers.service import push_on_air

pytestmark = pytest.mark.e2e

QUICK = "fragments_per_segment = 1"
WATCHED_SECONDS = 30.0
MACHINE = {"LIVE-JITTER"}
"""A machine that many tests share is late itself now and then, by less than a player would notice."""


def manifests(daemon: Daemon) -> list[str]:
    """Of every format, once it is there."""
    urls = [daemon.presentation("news", output.manifest) for output in OUTPUTS.values()]
    for url in urls:
        daemon.wait_for(url)
    return urls


def assert_kept(report: Report, *, expected: Collection[str] = (), passed_over: Collection[str] = ()) -> None:
    """No error and no warning, but those of `expected` rules, each of which must be there, and those that are passed over."""
    found = {each.rule.id for each in report.findings() if each.rule.severity != "note"} - MACHINE - set(passed_over)
    told = [f"{each.rule.id} at {describe(each.place)}: {each.found}, expected {each.expected}" for each in report.findings()]
    assert found == set(expected), "\n".join(told)


def test_all_formats_keep_every_rule_and_stall_when_the_encoder_ends(tmp_path: Path) -> None:
    source = material(LADDER)
    with (
        running_daemon(tmp_path, Channel("news")) as daemon,
        push_on_air(daemon.ingest("news"), source, tmp_path / "encoder.log") as encoder,
    ):
        urls = manifests(daemon)
        assert_kept(judge_urls(urls, seconds=WATCHED_SECONDS, compare=True))
        encoder.kill()
        urls = [daemon.presentation("news", OUTPUTS[name].manifest) for name in ("dash", "smooth")]
        assert_kept(judge_urls(urls, seconds=12.0), expected={"LIVE-STALL"})


def test_all_formats_keep_every_rule_with_short_segments_over_rtmp(tmp_path: Path) -> None:
    source = material(LADDER)
    with (
        running_daemon(tmp_path, Channel("news", protocol="rtmp", settings=QUICK)) as daemon,
        push_rtmp(daemon.rtmp("news"), source, tmp_path / "encoder.log", LADDER_PUBLISHES),
    ):
        # RTMP cannot say languages.
        assert_kept(judge_urls(manifests(daemon), seconds=WATCHED_SECONDS, compare=True), expected={"DASH-IOP-LANG"})


def test_all_formats_keep_every_rule_while_the_encoder_restarts_at_zero_with_another_size(tmp_path: Path) -> None:
    first, second = material(SINGLE), material(OTHER_SIZE)
    with running_daemon(tmp_path, Channel("news", settings=QUICK)) as daemon, ThreadPoolExecutor(1) as beside:
        with push_isml(daemon.ingest("news"), first, tmp_path / "first.log") as encoder:
            watch = beside.submit(judge_urls, manifests(daemon), seconds=24.0, compare=True)
            encoder.finish()
        # At once: what it sends is placed behind what is there, and is not listed ahead of time. It goes on for longer than is watched.
        with push_isml(daemon.ingest("news"), second, tmp_path / "second.log", loop=True):
            report = watch.result()
        # How long nothing came is the machine's affair; that something came is seen in the next line.
        assert_kept(report, passed_over={"LIVE-STALL", "LIVE-PACE"})
        dash = OUTPUTS["dash"].read(daemon.fetch, daemon.presentation("news", OUTPUTS["dash"].manifest))
        assert {track.label.split()[2] for track in dash} == {"0", "1"}
