"""The fault matrix of ingest redundancy: runs against one daemon, a channel each, all at once; every frame of the archive is then compared.

In: plans (`matrix_plan`), a running daemon. Out: for each run what is missing, doubled or otherwise than it was sent, and what it cost. The
encoders are `pypackager push`'s, each in a thread of its own with its own clock, seed and, where its cable is pulled, network.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from pypackager._core import Replay, StreamStats
from pypackager.cli.push import make_replay, plan_streams
from pypackager.cli.push_faults import parse_faults
from pypackager.cli.recordings import Part, load_ladder
from pypackager.model.side import Side
from tests.helpers.breaks import read_signs, untruthful
from tests.helpers.daemon import Channel, Daemon
from tests.helpers.frames import Track, read_file
from tests.helpers.judged import assert_clean, judge_urls
from tests.helpers.looped import Loop, Story, follow
from tests.helpers.matrix_plan import GOP_S, Plan
from tests.helpers.media import LADDER, material
from tests.helpers.netns import NETWORKS, Network, network
from tests.helpers.presentation import OUTPUTS, media_playlists

REDUNDANT = replace(LADDER, name="redundant", layers=LADDER.layers[:2], audio=LADDER.audio[:1])
"""Two layers and a language, 64 s, so that rounds have no seam."""
OPENING_S = 3.0
"""By then the first frame is there: a connection, the next key frame."""
BACK_S = 4.0
"""Encoders are back behind a daemon that is there again: the longest pause between two attempts, and a second for the connection."""
STALLED_S = GOP_S
"""The daemon keeps no healthy sender waiting for so long: a fragment's duration."""
LANES = 32
"""Runs of the whole matrix that go on at once."""
QUICK = "fragments_per_segment = 1\n"


@dataclass(frozen=True)
class Runs(Channel):
    """A channel whose encoders may come from networks of their own."""

    def toml(self) -> str:
        """Its part of the file."""
        return super().toml().replace('["127.0.0.1"]', f'["127.0.0.1", "{NETWORKS}"]')


@dataclass
class Outcome:
    """A run, judged."""

    plan: Plan
    stories: list[Story] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    reconnects: int = 0
    lags: list[float] = field(default_factory=list)
    """How far the newest that is listed was behind the clock, sampled through the run."""

    @property
    def longest_hole(self) -> float:
        """Seconds."""
        return max((hole.seconds for story in self.stories for hole in story.holes), default=0.0)


class _Encoder:
    """One encoder of a run."""

    def __init__(self, plan: Plan, number: int, urls: Sequence[str], ladder: Sequence[Part], seed: int, cable: Network | None) -> None:
        sides = plan.set_up.sides(number)
        hits = [hit for hit in plan.hits if hit.encoder == number]
        begin = plan.begins[number]
        texts = [replace(hit, at=hit.at - begin).stated(sides) for hit in hits if hit.kind != "down"]
        if number in plan.ends:
            texts.append(f"kill@{plan.ends[number] - begin:.3f}s:600s")
        length = plan.seconds - begin
        self._paths = [(number, side) for side in sides for _ in ladder]
        self.replay: Replay = make_replay(
            plan_streams(ladder, urls), parse_faults(texts, length), seed,
            speed=1.0, seconds=length, repeat=True, synchronised=True, resend=plan.resend,
        )  # fmt: skip
        self.begun = 0.0
        self.done_by = begin + length + 30.0
        self._cable = cable
        self._begin = begin
        self.deeds: list[tuple[float, Callable[[], None]]] = [] if cable is None else [
            deed for hit in hits if hit.kind == "down" for deed in ((hit.at, cable.pull), (hit.end, cable.plug))
        ]  # fmt: skip
        if number in plan.ends:
            self.deeds.append((plan.seconds, self.replay.stop))
        self.thread = threading.Thread(target=self._run, name=f"{plan.name} {number}")
        self.thread.start()

    def _run(self) -> None:
        if self._cable is not None:
            self._cable.enter()
        time.sleep(self._begin)
        self.begun = time.time()
        self.replay.run()

    def stats(self) -> list[StreamStats]:
        return self.replay.stats()

    def held_up(self, unhurt: Collection[tuple[int, Side]]) -> list[str]:
        """What the daemon did to streams that nothing befell: none is kept waiting for a fragment's duration, or has to connect again."""
        return [
            f"{one.url} is well and was {one.late_ms / 1000:.2f} s late, with {one.reconnects} reconnects ({one.answers})"
            for path, one in zip(self._paths, self.stats(), strict=True)
            if path in unhurt and (one.late_ms >= STALLED_S * 1000 or one.reconnects)
        ]


def run(daemon: Daemon, plans: Sequence[Plan], seed: int, *, during: Sequence[tuple[float, Callable[[], None]]] = ()) -> list[Outcome]:
    """Runs all plans at once, each on the channel of its name, stops the programs and judges what they archived.

    Args:
        daemon: with the channels of the plans.
        plans: the runs.
        seed: of the encoders' pauses and noise.
        during: what else is done at which second: the daemon restarted.
    """
    source = material(REDUNDANT)
    ladder, loops = load_ladder([source]), [Loop(track, REDUNDANT.seconds) for track in read_file(source)]
    outcomes = {plan.name: Outcome(plan) for plan in plans}
    with ExitStack() as stack:
        cables = _cables(plans, stack)
        encoders: dict[str, list[_Encoder]] = {plan.name: [] for plan in plans}
        stack.callback(_stop, encoders)
        began = time.monotonic()
        for plan in plans:
            for number in range(plan.set_up.encoders):
                cable = cables.get((plan.name, number))
                urls = [_url(daemon, plan, side, cable) for side in plan.set_up.sides(number)]
                encoders[plan.name].append(_Encoder(plan, number, urls, ladder, seed + number, cable))
        every = [one for each in encoders.values() for one in each]
        deeds = sorted([*during, *(deed for one in every for deed in one.deeds)], key=lambda deed: deed[0])
        limit = max(plan.seconds for plan in plans) + 30
        while any(one.thread.is_alive() for one in every):
            now = time.monotonic() - began
            assert now < limit, f"encoders do not end: {[one.thread.name for one in every if one.thread.is_alive()]}\n{daemon.tail()}"
            while deeds and deeds[0][0] <= now:
                deeds.pop(0)[1]()
            if not during:
                _sample(daemon, outcomes, now)
            time.sleep(0.2)
    # What a pulled cable left half open is closed after `ingest_idle`, a minute.
    daemon.wait_for_encoders(75.0)
    daemon.configure([replace(channel, program="stopped") for channel in daemon.channels])
    for plan in plans:
        outcome = outcomes[plan.name]
        outcome.reconnects = sum(stats.reconnects for one in encoders[plan.name] for stats in one.stats())
        ended = [stats for one in encoders[plan.name] for stats in one.stats()]
        outcome.faults += [f"{one.url}: {one.code} {one.detail}" for one in ended if one.phase == "failed" and not plan.ends]
        if not during:
            outcome.faults += [told for one in encoders[plan.name] for told in one.held_up(plan.unhurt())]
        judge(daemon, outcome, loops, [one.begun for one in encoders[plan.name]])
    return list(outcomes.values())


def _stop(encoders: Mapping[str, Sequence[_Encoder]]) -> None:
    for one in (one for each in encoders.values() for one in each):
        one.replay.stop()


def _cables(plans: Sequence[Plan], stack: ExitStack) -> Mapping[tuple[str, int], Network]:
    pulled = sorted({(plan.name, hit.encoder) for plan in plans for hit in plan.hits if hit.kind == "down"})
    return {who: stack.enter_context(network()) for who in pulled}


def _url(daemon: Daemon, plan: Plan, side: str, cable: Network | None) -> str:
    side = "" if side == "primary" else side
    url = daemon.rtmp(plan.name, side) if plan.protocol == "rtmp" else daemon.ingest(plan.name, "{name}", side)
    return url if cable is None else url.replace("127.0.0.1", cable.host)


def _sample(daemon: Daemon, outcomes: Mapping[str, Outcome], now: float) -> None:
    """Takes the lag of one channel after the other: a question each time for each set-up, so that they are asked at the same instants."""
    running = [one for one in outcomes.values() if OPENING_S + 5 < now < one.plan.seconds]
    for set_up in {one.plan.set_up.name: None for one in running}:
        outcome = min((one for one in running if one.plan.set_up.name == set_up), key=lambda one: len(one.lags))
        url = daemon.presentation(outcome.plan.name, "manifest(format=mpd-time-cmaf)")
        answer = daemon.client.get(url)
        ends = _listed_ends(answer.text) if answer.status_code == 200 else []
        if ends:
            outcome.lags.append(time.time() - max(ends))


def _listed_ends(text: str) -> list[float]:
    """Where the timelines of an MPD end, in UTC (availabilityStartTime is 1970 for these encoders)."""
    found = []
    for template in re.finditer(r'<SegmentTemplate[^>]*timescale="(\d+)"[^>]*>(.*?)</SegmentTemplate>', text, re.DOTALL):
        at = 0
        for entry in re.finditer(r"<S ([^>]*)/>", template[2]):
            values = {name: int(value) for name, value in re.findall(r'(\w+)="(\d+)"', entry[1])}
            at = values.get("t", at) + values["d"] * (values.get("r", 0) + 1)
        found.append(at / int(template[1]))
    return found


def judge(daemon: Daemon, outcome: Outcome, loops: Sequence[Loop], begun: Sequence[float] = ()) -> None:
    """Says in an outcome what became of the run.

    Args:
        daemon: whose program is stopped.
        outcome: of the run.
        loops: the recording.
        begun: when each encoder did, in UTC; none: all with the recording's beginning, which they play once.
    """
    plan, faults = outcome.plan, outcome.faults
    dash = daemon.presentation(plan.name, OUTPUTS["dash"].manifest)
    try:
        daemon.wait_for(dash, 'type="static"')
        hls, streams = (daemon.presentation(plan.name, OUTPUTS[name].manifest) for name in ("hls", "ts"))
        tracks = OUTPUTS["hls"].read(daemon.fetch, hls)
        outcome.stories = follow(loops, tracks)
        _assert_transport_streams(tracks, OUTPUTS["ts"].read(daemon.fetch, streams))
        signs = {f"hls {label}": read_signs(daemon.fetch(url).decode()) for url, label in media_playlists(daemon.fetch, hls).items()}
    except AssertionError as error:
        faults.append(str(error)[:2000])
        return
    try:
        assert_clean(judge_urls([hls, dash], compare=True), warnings=False)
    except AssertionError as error:
        faults.append(str(error)[:2000])
    begun = begun or [loops[0].length * round(min(story.begin for story in outcome.stories) / loops[0].length)]
    first, last = min(begun) + OPENING_S + GOP_S, begun[0] + plan.seconds
    for story in outcome.stories:
        faults += story.faults
        if story.begin > first:
            faults.append(f"{story.label}: begins {story.begin - min(begun):.2f} s after the encoder")
        if story.end < last - 0.5:
            faults.append(f"{story.label}: ends {last - story.end:.2f} s before the encoder")
        faults += [
            f"{hole.label}: {hole.frames} frames ({hole.seconds:.2f} s) are missing at {hole.begin - min(begun):.2f} s of the run"
            for hole in story.holes if hole.seconds > plan.longest_gap
        ]  # fmt: skip
    faults += [f"{one.label}: {len(one.holes)} holes, {plan.holes} are allowed" for one in outcome.stories if len(one.holes) > plan.holes]
    faults += untruthful(outcome.stories, [signs[story.label] for story in outcome.stories])


def _assert_transport_streams(tracks: Sequence[Track], others: Sequence[Track]) -> None:
    """Every track is in the transport streams, frame by frame."""
    there = {tuple(track.digests()) for track in others}
    missing = [track.label for track in tracks if tuple(track.digests()) not in there]
    assert not missing, f"not the same in transport streams: {missing}"


def channels(plans: Sequence[Plan], settings: str = "") -> list[Channel]:
    """A channel for each run, with more lines of its table."""
    return [Runs(plan.name, protocol=plan.protocol, settings=QUICK + settings) for plan in plans]


def report(outcomes: Sequence[Outcome], seed: int) -> str:
    """What went wrong, for a failure's message; empty when nothing did."""
    told = [f"{outcome.plan.told()}\n  " + "\n  ".join(outcome.faults) for outcome in outcomes if outcome.faults]
    return "" if not told else f"seed {seed}\n" + "\n".join(told)


def serve_everywhere(daemon: Daemon) -> None:
    """Ingest listens on all addresses, so that networks of their own reach it. Before the daemon is started."""
    daemon._write_config()
    for listener in ("rtmp", "ingest"):
        daemon.addresses[listener] = [f"0.0.0.0:{daemon.port(listener)}"]


def directory(root: Path, name: str) -> Path:
    """A place for a daemon."""
    path = root / name
    path.mkdir(parents=True)
    return path
