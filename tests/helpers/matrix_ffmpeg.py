"""Runs of the fault matrix with real encoders: ffmpeg processes with times by the clock, each path through a relay that harms it.

In: plans (`matrix_plan`), a running daemon. Out: for each run what `matrix` says of one. An encoder with one URL is a plain ffmpeg, which
ends with its connection; one with two is one ffmpeg with a fifo before either muxer, which connects anew on its own, so that what befalls
one path leaves the other alone. Whoever ends is started again, at the second of the recording where the event is by then. ffmpeg sends
nothing twice: what a path lost the others have. So a fault waits for another path to be whole, however slow the machine is.
"""

from __future__ import annotations

import math
import random
import signal
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import trio

from pypackager.model.side import Side
from tests.helpers.daemon import HANGS_SECONDS, Daemon
from tests.helpers.encoders import NEW_FFMPEG, Encoder
from tests.helpers.frames import read_file
from tests.helpers.looped import Loop
from tests.helpers.matrix import Outcome, judge
from tests.helpers.matrix_plan import GOP_S, KINDS, OF_PROCESSES, Hit, Plan, Protocol, SetUp
from tests.helpers.media import EVENT, material
from tests.helpers.relay import HARMS, Relay

CALM_S = 5.0
"""A path has sent its first fragments, and others are merged with them."""
AGAIN_S = 0.5
"""After so long a supervisor starts what ended, and ffmpeg's fifo tries again."""
STUMPS = ("restart",)
"""Not drawn over fragmented MP4, though survived: with it the draw has a source over RTMP that is back with a backlog, which is not."""
BREAKS = ("cut", "hangup", "truncate", "vanish", "garbage", "kill", "restart")
"""What costs a path its connection."""
BEHIND_S = 4.0
"""An encoder that was started by a busy machine is behind the event by as much."""
SOON_S = 0.1
"""So little behind a key frame is at it."""
YOUNG_S = 3.0
"""Within so long a busy machine has an ffmpeg connected and playing."""
LANES = 24
"""Runs of the whole matrix that go on at once."""
EVENT_S = 170.0
"""A run has to end before the recording does."""


def real_faults(set_up: SetUp, protocol: Protocol) -> list[str]:
    """The kinds that real encoders survive in a set-up: what a relay does to a path, and, where another one is left, to the process."""
    out = STUMPS if protocol == "fmp4" else ()
    return [kind for kind in KINDS if kind in HARMS or (kind in OF_PROCESSES and kind not in out and set_up.encoders > 1)]


def run(daemon: Daemon, plans: Sequence[Plan], seed: int, logs: Path) -> list[Outcome]:
    """Runs all plans at once, each on the channel of its name, stops the programs and judges what they archived.

    Args:
        daemon: with the channels of the plans.
        plans: the runs; how long each took is in them afterwards.
        seed: of the noise.
        logs: where the encoders' logs go.
    """
    source, origin = material(EVENT), int(time.time())
    loops = [Loop(track, EVENT.seconds) for track in read_file(source)]
    logs.mkdir(parents=True, exist_ok=True)
    runs = [_Run(daemon, plan, seed, _Sending(plan.protocol, source, origin, logs)) for plan in plans]
    trio.run(_play, runs)
    daemon.wait_for_encoders()
    daemon.configure([replace(channel, program="stopped") for channel in daemon.channels])
    for one in runs:
        # An RTMP publish carries one layer.
        judge(daemon, one.outcome, [loops[0], loops[-1]] if one.plan.protocol == "rtmp" else loops)
        if one.outcome.faults:
            one.outcome.faults += one.story
    return [one.outcome for one in runs]


async def _play(runs: Sequence[_Run]) -> None:
    async with trio.open_nursery() as nursery:
        for one in runs:
            nursery.start_soon(one.play)


class _Sending:
    """How ffmpeg is called."""

    def __init__(self, protocol: Protocol, source: Path, origin: int, logs: Path) -> None:
        """Args: what it speaks; the recording; what its clock says at the beginning of the event, in seconds; where its logs go."""
        self._protocol, self._source, self._origin, self._logs = protocol, source, origin, logs

    def start(self, name: str, urls: Sequence[str], at: float) -> Encoder:
        """Starts one at a second of the event."""
        command = [NEW_FFMPEG, "-hide_banner", "-loglevel", "warning", "-nostats", "-readrate", "1"]
        # Behind a stall it sends as an encoder does that works in real time, at once.
        command += ["-readrate_catchup", "8", "-copyts", "-ss", f"{at:.3f}", "-i", str(self._source)]
        for url in urls:
            # One publish carries one layer.
            maps = ["-map", "0:v:0", "-map", "0:a:0"] if self._protocol == "rtmp" else ["-map", "0"]
            command += [*maps, "-c", "copy", "-output_ts_offset", str(self._origin), *(self._plain() if len(urls) == 1 else self._fifo())]
            command.append(url)
        return Encoder(command, self._logs / f"{name}-{at:.1f}.log")

    def _plain(self) -> list[str]:
        return ["-f", "flv"] if self._protocol == "rtmp" else ["-movflags", "isml+frag_keyframe", "-f", "ismv"]

    def _fifo(self) -> list[str]:
        # The fifo hands on the tags of the MP4 file, which FLV does not know: its own are 7 and 10.
        options = ["-tag:v", "7", "-tag:a", "10"] if self._protocol == "rtmp" else ["-format_opts", "movflags=isml+frag_keyframe"]
        options += ["-flags", "+global_header", "-f", "fifo", "-fifo_format", "flv" if self._protocol == "rtmp" else "ismv"]
        options += ["-queue_size", "6000", "-attempt_recovery", "1", "-recover_any_error", "1", "-max_recovery_attempts", "0"]
        return [*options, "-recovery_wait_time", str(AGAIN_S)]


class _Supervised:
    """An encoder of a run, which is started again whenever it ends."""

    def __init__(self, name: str, sending: _Sending, urls: Sequence[str]) -> None:
        self.is_plain = len(urls) == 1
        self._name, self._sending, self._urls = name, sending, urls
        self._encoder: Encoder | None = None
        self._started = self._away_until = 0.0

    async def keep(self, began: float, begin: float) -> None:
        """Starts it, again and again, until that is cancelled."""
        await trio.sleep_until(began + begin)
        while True:
            await trio.sleep_until(self._away_until)
            # At a key frame, as live encoders do, whose first picture is of now: where RTMP begins is told by the wall clock.
            at = GOP_S * math.ceil((trio.current_time() - began - SOON_S) / GOP_S)
            await trio.sleep_until(began + at)
            if trio.current_time() < self._away_until:
                continue
            self._started = trio.current_time()
            self._encoder = self._sending.start(self._name, self._urls, at + SOON_S)
            while self._encoder.running() or trio.current_time() < self._away_until:  # noqa: ASYNC110
                await trio.sleep(0.05)
            await trio.sleep(AGAIN_S)

    async def befall(self, kind: str, seconds: float) -> None:
        """It is killed, stopped as a person does, or hangs; after so long it is back."""
        self._away_until = trio.current_time() + seconds
        if self._encoder is None or not self._encoder.running():
            return
        if kind == "kill":
            self._encoder.kill()
        elif kind == "restart":
            await trio.to_thread.run_sync(self._encoder.stop)
        else:
            frozen = self._encoder
            frozen.freeze()
            began = trio.current_time()
            await trio.sleep(seconds)
            frozen.process.send_signal(signal.SIGCONT)
            self.begin_anew(began)

    def begin_anew(self, kept: float) -> None:
        """Ends it if it had only just been started at that time: ffmpeg plays a file from when it is connected, not by the clock.

        What kept it from that would leave it behind for good, as no live encoder is.
        """
        if self._encoder is not None and self._started > kept - YOUNG_S:
            self._encoder.kill()

    def end(self) -> None:
        """For good, within no fragment: what two that stop leave of their last ones need not be equally long."""
        if self._encoder is not None:
            self._encoder.kill()


class _Run:
    """A plan and what became of it."""

    def __init__(self, daemon: Daemon, plan: Plan, seed: int, sending: _Sending) -> None:
        self.plan = plan
        self.outcome = Outcome(plan)
        self.story: list[str] = []
        port = daemon.port("rtmp" if plan.protocol == "rtmp" else "ingest")
        self._relays = {path: Relay(port, random.Random(f"{seed} {plan.name} {path}")) for path in plan.set_up.paths}
        self._daemon, self._sending, self._began = daemon, sending, 0.0
        self._encoders: list[_Supervised] = []
        self._broken: list[tuple[Hit, Relay, int]] = []
        """What has to have broken which path, and how many connections that one had until then."""

    async def play(self) -> None:
        """All of it."""
        async with trio.open_nursery() as paths:
            for relay in self._relays.values():
                await paths.start(relay.serve)
            set_up = self.plan.set_up
            self._encoders = [
                _Supervised(f"{self.plan.name}-{number}", self._sending, [self._url(number, side) for side in set_up.sides(number)])
                for number in range(set_up.encoders)
            ]
            self._began = trio.current_time()
            try:
                async with trio.open_nursery() as supervisor:
                    for one, begin in zip(self._encoders, self.plan.begins, strict=True):
                        supervisor.start_soon(one.keep, self._began, begin)
                    await self._be_hit()
                    supervisor.cancel_scope.cancel()
                self.plan.seconds = self._now() - BEHIND_S
            finally:
                for one in self._encoders:
                    one.end()
            # What they sent at the end is on its way.
            await trio.sleep(AGAIN_S)
            paths.cancel_scope.cancel()
        self.outcome.reconnects = sum(relay.connections - 1 for relay in self._relays.values())

    async def _be_hit(self) -> None:
        async with trio.open_nursery() as nursery:
            for hit in sorted(self.plan.hits, key=lambda hit: hit.at):
                await trio.sleep_until(self._began + hit.at)
                spared = set(self.plan.set_up.paths) - hit.paths(self.plan.set_up)
                await self._until(partial(self._any_whole, spared), f"nothing else is whole for {hit}")
                self.story.append(f"{self._now():.1f} s: {hit}")
                for path in hit.paths(self.plan.set_up):
                    self._relays[path].disturbed()
                    self._broken += [(hit, self._relays[path], self._relays[path].connections)] if hit.kind in BREAKS else []
                nursery.start_soon(self._harm, hit)
        await self._until(lambda: all(self._whole(path) for path in self._relays), "not all paths are back")
        self.outcome.faults += [f"no new connection after {hit}" for hit, relay, before in self._broken if relay.connections <= before]
        assert self._now() < EVENT_S, f"{self.plan.name}: the recording ends before the faults do\n" + "\n".join(self.story)

    async def _harm(self, hit: Hit) -> None:
        mine = [self._relays[path] for path in hit.paths(self.plan.set_up)]
        if hit.kind in OF_PROCESSES:
            for relay in mine:
                relay.disturbed(hit.value)
            await self._encoders[hit.encoder].befall(hit.kind, hit.value)
        else:
            began = trio.current_time()
            for relay in mine:
                relay.harm(hit.kind, hit.value)
            if hit.kind in ("stall", "down") and self._encoders[hit.encoder].is_plain:
                await trio.sleep(hit.value)
                self._encoders[hit.encoder].begin_anew(began)

    def _any_whole(self, paths: Iterable[tuple[int, Side]]) -> bool:
        return any(self._whole(path) for path in paths)

    def _whole(self, path: tuple[int, Side]) -> bool:
        since = self._relays[path].since
        return since is not None and trio.current_time() - since >= CALM_S

    async def _until(self, condition: Callable[[], bool], message: str) -> None:
        deadline = trio.current_time() + HANGS_SECONDS
        while not condition():
            assert trio.current_time() < deadline, "\n".join([f"{self.plan.name}: after {HANGS_SECONDS} s {message}", *self.story])
            await trio.sleep(0.1)

    def _url(self, number: int, side: Side) -> str:
        relay = self._relays[number, side]
        of = "" if side == "primary" else side
        rtmp = self.plan.protocol == "rtmp"
        url = f"{self._daemon.rtmp(self.plan.name, of)}/main" if rtmp else self._daemon.ingest(self.plan.name, "main", of)
        return url.replace(f":{self._daemon.port('rtmp' if rtmp else 'ingest')}/", f":{relay.port}/")

    def _now(self) -> float:
        return trio.current_time() - self._began
