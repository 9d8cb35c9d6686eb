"""Service redundancy: two daemons, each with an encoder of its own, behind a name that moves playing clients (ingest specification)."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urljoin

import pytest

from tests.e2e.test_gst_smooth import gst_launch, until_it_starts_again
from tests.helpers.browser import assert_all_play, chromium, watch
from tests.helpers.daemon import Channel, Daemon, running_daemon
from tests.helpers.encoders import Encoder, wait_until
from tests.helpers.frames import assert_same, counterpart, read_file
from tests.helpers.media import EVENT, LADDER_SHORT, material
from tests.helpers.outputs import assert_outputs
from tests.helpers.presentation import OUTPUTS
from tests.helpers.service import Service, on_air_since, push_in_step, push_on_air, running_service

pytestmark = pytest.mark.e2e

NEWS = Channel("news")


def everything(daemon: Daemon) -> dict[str, tuple[bytes, str]]:
    """Body and entity tag of each manifest and of all that these name, in every format, by the URL's path."""
    found: dict[str, tuple[bytes, str]] = {}

    def fetch(url: str) -> bytes:
        answer = daemon.get(url)
        assert answer.status_code == 200, f"{answer.status_code}: {url}"
        # When an operator ends a program is no affair of the encoders'.
        text = re.sub(rb' publishTime="\S+"', b"", answer.content)
        found[answer.url.path] = (text, answer.headers["etag"] if text == answer.content else "")
        return answer.content

    for output in OUTPUTS.values():
        output.read(fetch, daemon.presentation("news", output.manifest))
    return found


def test_bytes_names_and_tags_are_equal(tmp_path: Path) -> None:
    """One side's encoder breaks off and comes back with what it had not sent, and its daemon is started anew."""
    source, began = material(LADDER_SHORT), int(time.time()) // 6 * 6 - 240
    with running_daemon(tmp_path / "a", NEWS) as here, running_daemon(tmp_path / "b", NEWS) as there:
        push_in_step(here.ingest("news"), source, tmp_path / "a.log", began, rate=0).finish()
        push_in_step(there.ingest("news"), source, tmp_path / "b.log", began, rate=0, extra=("-t", "6")).finish()
        there.wait_for_encoders()
        there.stop()
        there.start()
        push_in_step(there.ingest("news"), source, tmp_path / "b2.log", began, start=2, rate=0).finish()
        for daemon in (here, there):
            daemon.end_program("news")
        ours, theirs = everything(here), everything(there)
        assert ours.keys() == theirs.keys()
        assert [path for path, answer in ours.items() if answer != theirs[path]] == []
        assert_outputs(there, "news", read_file(source))


@pytest.mark.xdist_group("browser")
@pytest.mark.parametrize(
    "formats",
    [("hls", "dash", "smooth"), pytest.param(("ts", "ts3", "shaka-dash", "shaka-hls"), marks=pytest.mark.soak)],
    ids="+".join,
)
def test_players_are_moved_in_mid_play(formats: tuple[str, ...], tmp_path: Path) -> None:
    """To the other data centre, back, and away again because the first one dies."""
    source = material(EVENT)
    with ExitStack() as stack:
        made = Channel("news", program="stopped")
        daemons = [stack.enter_context(running_daemon(tmp_path / name, made, unjudged="one is killed")) for name in "ab"]
        here, there = daemons
        began = on_air_since()
        stack.enter_context(push_on_air(here.ingest("news"), source, tmp_path / "a.log", began=began))
        # A DASH period begins with the first fragment: Shaka keeps its media times relative to that.
        later = 0 if "shaka-dash" in formats else 2
        stack.enter_context(push_on_air(there.ingest("news"), source, tmp_path / "b.log", began=began, start=later))
        for daemon in daemons:
            daemon.wait_for(daemon.origin("preview/news.isml/manifest(format=m3u8-cmaf)"), "#EXT-X-STREAM-INF")
            # A program that starts while its channel has media begins with a whole segment, which has its name in both.
            daemon.reload("news", program="running")
            daemon.wait_for(daemon.presentation("news", "manifest(format=m3u8-cmaf)"), "#EXT-X-STREAM-INF")
        service = stack.enter_context(running_service(tmp_path / "service", *(daemon.port("origin") for daemon in daemons)))
        time.sleep(8)
        browser = stack.enter_context(chromium())
        players = {name: stack.enter_context(watch(browser, service.url(f"play/news?muted=1&format={name}"))) for name in formats}
        for player in players.values():
            player.wait_until_playing()
        for after_s, move in ((8.0, lambda: service.move(1)), (18.0, lambda: service.move(0)), (28.0, here.kill)):
            timer = threading.Timer(after_s, move)
            stack.callback(timer.cancel)
            timer.start()
        assert_all_play(players, 42)
        for daemon, alive in zip(daemons, (False, True), strict=True):
            assert daemon.running() == alive
        served = served_in_turn(service)
        assert served == [0, 1, 0, 1], served


@pytest.mark.xdist_group("browser")
@pytest.mark.parametrize(
    "formats",
    [("hls", "shaka-hls"), pytest.param(("ts", "dash", "shaka-dash", "smooth"), marks=pytest.mark.soak)],
    ids="+".join,
)
def test_players_are_moved_to_the_side_that_had_an_outage(formats: tuple[str, ...], tmp_path: Path) -> None:
    """The encoder of one data centre is killed and comes back; then viewers are moved there, and away again."""
    source = material(EVENT)
    with ExitStack() as stack:
        made = Channel("news", settings="fragments_per_segment = 1")
        here, there = (stack.enter_context(running_daemon(tmp_path / name, made, unjudged="an encoder is killed")) for name in "ab")
        began = on_air_since()
        stack.enter_context(push_on_air(here.ingest("news"), source, tmp_path / "a.log", began=began))
        killed = stack.enter_context(push_on_air(there.ingest("news"), source, tmp_path / "b.log", began=began))
        for daemon in (here, there):
            daemon.wait_for(daemon.presentation("news", "manifest"))
        service = stack.enter_context(running_service(tmp_path / "service", *(daemon.port("origin") for daemon in (here, there))))
        browser = stack.enter_context(chromium())
        killed.kill()
        players = {name: stack.enter_context(watch(browser, service.url(f"play/news?muted=1&format={name}"))) for name in formats}
        for player in players.values():
            player.wait_until_playing()
        time.sleep(8)
        second = int(time.time() - began) // 2 * 2 + 4
        time.sleep(began + second - time.time())
        stack.enter_context(push_in_step(there.ingest("news"), source, tmp_path / "b2.log", began, start=second))
        # It has media again, and what it lost is in the playlists that players know.
        wait_until(lambda: lists_gaps(there), "the outage is not listed")
        time.sleep(4)
        service.move(1)
        timer = threading.Timer(18.0, lambda: service.move(0))
        stack.callback(timer.cancel)
        timer.start()
        assert_all_play(players, 30)
        served = served_in_turn(service)
        assert served == [0, 1, 0], served


def lists_gaps(daemon: Daemon) -> bool:
    """Whether a playlist of pictures tells of an outage, and of what came behind it."""
    master = daemon.presentation("news", "manifest(format=m3u8-cmaf)")
    names = [line for line in daemon.fetch(master).decode().splitlines() if line and not line.startswith("#")]
    told = daemon.fetch(urljoin(master, names[0])).decode().split("#EXTINF")
    # A segment's tags stand before its EXTINF, behind the name of the one before.
    gaps = ["#EXT-X-GAP\n" in text for text in told[:-1]]
    return any(gaps) and not gaps[-1]


def test_gstreamer_is_moved_in_mid_play(tmp_path: Path) -> None:
    """Smooth Streaming: `mssdemux` goes from fragment to fragment by what each names, whoever serves it."""
    source, out = material(EVENT), tmp_path / "out.mkv"
    with ExitStack() as stack:
        daemons = [stack.enter_context(running_daemon(tmp_path / name, NEWS)) for name in "ab"]
        began = on_air_since()
        for daemon, name in zip(daemons, "ab", strict=True):
            stack.enter_context(push_on_air(daemon.ingest("news"), source, tmp_path / f"{name}.log", began=began))
        for daemon in daemons:
            daemon.wait_for(daemon.presentation("news", "manifest"), 'Type="audio"')
        service = stack.enter_context(running_service(tmp_path / "service", *(daemon.port("origin") for daemon in daemons)))
        command = gst_launch(
            f"souphttpsrc location={service.url('news/news.ism/manifest')} ! mssdemux name=smooth connection-speed=100000",
            f"matroskamux name=mux streamable=true ! filesink location={out}",
            "smooth.video_00 ! queue ! qtdemux ! h264parse ! mux.",
            "smooth.audio_00 ! queue ! qtdemux ! aacparse ! mux.",
        )
        with Encoder(command, tmp_path / "player.log") as player:
            for to in (1, 0):
                time.sleep(8)
                service.move(to)
            time.sleep(8)
            assert player.running(), player.log()[-3000:]
        assert served_in_turn(service) == [0, 1, 0]
    sent = read_file(source)
    for track in read_file(out):
        del track.frames[-2:]  # being written when the player was interrupted
        track.frames = until_it_starts_again(track.frames)
        assert_same(counterpart(sent, track), track, whole=False, coarser=1000)
        played_s = track.seconds(track.frames[-1].pts - track.frames[0].pts)
        assert played_s > 12, f"{track.label}: {float(played_s)} s"


def served_in_turn(service: Service) -> list[int]:
    """Who served segments, each change once; a request or two may still be on its way while viewers are moved."""
    served = service.served_by(r"\.(m4s|ts)|Fragments")
    turns: list[int] = []
    for at, who in enumerate(served):
        if (not turns or turns[-1] != who) and len(set(served[at : at + 4])) == 1:
            turns.append(who)
    return turns


def test_a_traffic_manager_sees_what_fails(tmp_path: Path) -> None:
    """The health of a locator: before, while, and after its encoder sends; pictures alone may be missing."""
    source = material(EVENT)
    with ExitStack() as stack:
        daemon = stack.enter_context(running_daemon(tmp_path, NEWS, unjudged="its sound goes on alone"))
        health = daemon.origin("healthz/news")

        def says(status: int) -> Callable[[], bool]:
            return lambda: daemon.get(health).status_code == status

        assert not daemon.probe(health)
        began = on_air_since()
        pictures = stack.enter_context(
            push_on_air(daemon.ingest("news", "pictures"), source, tmp_path / "p.log", began=began, extra=("-an",))
        )
        sound_only = ("-vn", "-frag_duration", "2000000")
        stack.enter_context(push_on_air(daemon.ingest("news", "sound"), source, tmp_path / "s.log", began=began, extra=sound_only))

        def live() -> set[str]:
            answer = daemon.get(health)
            return set(answer.json()["silent_s"]) if answer.status_code == 200 else set()

        # Two encoders: one is there before the other.
        wait_until(lambda: live() == {"video", "audio"}, "it is not live")
        pictures.kill()
        wait_until(says(503), "it is live without pictures")
        stale = daemon.get(health).json()
        assert stale["code"] == "PRESENTATION_STALE"
        assert "video" in stale["detail"]
        assert "audio" not in stale["detail"]
