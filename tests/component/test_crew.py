"""A crew whose workers are the test's: who has what, what becomes of a channel whose worker is lost, hangs, or speaks nonsense."""

from __future__ import annotations

import os
import socket
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio
from trio.testing import MockClock

from pypackager.control.ports import AlertView
from pypackager.model.errors import PackagerError
from pypackager.runtime.workers.crew import END_S
from pypackager.runtime.workers.post import BEGIN_S, FRESH_S, PATIENCE_S, PAUSES_S, PING_S, SILENT_S, STALE_S
from pypackager.runtime.workers.shelf import Shelved
from pypackager.runtime.workers.words import Taken
from tests.helpers.crew_rig import CrewRig, FakeWorker, channel, crew_of, status
from tests.unit.test_worker_shelf import Door, Publication

NAMES = ("a", "b", "c", "d")
CHANNELS = [channel(name, protocol="rtmp", ingest_allow=["127.0.0.1"]) for name in NAMES]
TAKEN = Taken("a", "127.0.0.1", "http", b"POST", 0, b"")


async def never(_: Any) -> Any:
    """Answers nothing."""
    await trio.sleep_forever()


def descriptors() -> int:
    """How many this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


def code_of(call: Any) -> str:
    with pytest.raises(PackagerError) as caught:
        call()
    return caught.value.code


async def test_each_worker_has_the_same_number_of_channels_and_knows_whose_the_others_are(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with crew_of(tmp_path, *CHANNELS) as rig:
        [one], [two] = rig.lives(0), rig.lives(1)
        assert (sorted(one.channels), sorted(two.channels)) == (["a", "c"], ["b", "d"])
        assert (one.others, two.others) == ({"b", "d"}, {"a", "c"})
        assert all(rig.crew.elsewhere.has(name) for name in NAMES)
        assert not rig.crew.elsewhere.has("nobody")
        assert (rig.crew.pushes("127.0.0.1"), rig.crew.pushes("192.0.2.1")) == (True, False)
        states, recording = rig.crew.states()
        assert (states, recording) == (dict.fromkeys(NAMES, "Running"), set())
        one.channels["c"] = status(recording=["show"])
        one.say_is(failed={"a": "another process owns it"})
        await trio.sleep(0.1)
        assert rig.crew.states()[1] == {("c", "show")}
        assert rig.crew.failed == {"a": "another process owns it"}
        assert not rig.crew.elsewhere.has("a"), "it is refused as one that failed"
        # One more goes to who has fewer, and is known to the other before it is opened.
        await rig.registry.commit([channel("e")])
        await rig.crew.bring("e")
        assert ("e" in one.channels, "e" in two.others) == (True, True)
        workers = rig.crew.health()["workers"]
        assert workers[0] == {"number": 0, "state": "Running", "channels": 3, "lost": 0}


async def test_a_lost_worker_is_started_again_with_its_channels_and_the_other_is_left_alone(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with crew_of(tmp_path, *CHANNELS) as rig:
        [one] = rig.lives(0)
        rig.prepare = lambda worker: worker.answers.update(bring=late)
        opened = trio.Event()

        async def late(name: str) -> None:
            await opened.wait()
            worker = rig.started[-1]
            worker.channels[name] = status()
            worker.say_is()

        one.kill()
        await trio.sleep(0.5)
        assert len(rig.lives(0)) == 2
        assert rig.starts[-1] < 0.5, "the first time at once"
        assert code_of(lambda: rig.crew.elsewhere.has("a")) == "WORKER_DOWN"
        assert rig.crew.elsewhere.has("b")
        assert sorted(rig.alerts()) == [("channels/a", "raised", "WORKER_LOST"), ("channels/c", "raised", "WORKER_LOST")]
        [alert] = rig.crew.alerts("a")
        assert isinstance(alert, AlertView)
        assert (alert.code, alert.until, alert.count) == ("WORKER_LOST", None, 1)
        assert rig.crew.alerts("b") == []
        health = rig.crew.health()
        assert health["alerts"] == {"a": ["WORKER_LOST"], "c": ["WORKER_LOST"]}
        assert [each["state"] for each in health["workers"]] == ["Starting", "Running"]
        assert [each["lost"] for each in health["workers"]] == [1, 0]
        opened.set()
        await trio.sleep(0.1)
        assert sorted(rig.lives(0)[1].channels) == ["a", "c"]
        assert all(rig.crew.elsewhere.has(name) for name in NAMES)
        assert ("channels/a", "cleared", "WORKER_LOST") in rig.alerts()
        assert rig.crew.alerts("a")[0].until is not None
        assert [each["state"] for each in rig.crew.health()["workers"]] == ["Running", "Running"]
        text = rig.metrics.render().decode()
        assert 'pypackager_alerts_total{channel="a",code="WORKER_LOST"} 1.0' in text
        assert 'pypackager_alert_active{channel="a",code="WORKER_LOST"} 0.0' in text
        assert len(rig.lives(1)) == 1


async def test_one_that_dies_soon_and_again_is_started_more_and_more_seldom(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with crew_of(tmp_path, channel("a"), workers=1) as rig:
        for _ in range(9):
            rig.started[-1].kill()
            before = len(rig.starts)
            for _ in range(3100):
                await trio.sleep(0.01)
                if len(rig.starts) > before:
                    break
            await trio.sleep(0.1)
        pauses = [later - sooner for sooner, later in zip(rig.starts, rig.starts[1:], strict=False)]
        assert pauses == pytest.approx([*PAUSES_S, 30.0, 30.0], abs=0.3)
        # One that lived for a minute has not died of its start.
        await trio.sleep(61)
        rig.started[-1].kill()
        await trio.sleep(0.1)
        assert len(rig.started) == 11


async def test_one_that_hangs_is_killed_and_started_again(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with crew_of(tmp_path, *CHANNELS) as rig:
        [one], [two] = rig.lives(0), rig.lives(1)
        await trio.sleep(PING_S + 1)
        one.answers["ping"] = never
        began = trio.current_time()
        await trio.sleep(SILENT_S - 0.1)
        assert one.poll() is None
        await one.wait()
        assert SILENT_S <= trio.current_time() - began <= SILENT_S + PING_S
        assert one.died
        await trio.sleep(1)
        assert sorted(rig.lives(0)[1].channels) == ["a", "c"]
        assert not two.died
        raised = [data["detail"] for kind, _, data in rig.told if kind == "alert" and data["change"] == "raised"]
        assert raised == ["worker 0: the worker did not answer within 15 s"] * 2


async def test_how_channels_are_is_asked_for_who_wants_to_know(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with crew_of(tmp_path, *CHANNELS) as rig:
        [one], [two] = rig.lives(0), rig.lives(1)
        await trio.sleep(PING_S / 2)
        before = len(one.asked)
        await trio.sleep(60)
        assert one.asked[before:] == [("ping", None)] * round(60 / PING_S), "what a second worker costs while nobody looks"

        async def answer(_: Any) -> None:
            one.channels["a"] = status(recording=[f"at {trio.current_time()}"])
            one.say_is()

        one.answers["look"] = answer
        began = trio.current_time()
        for waited, said in ((0.0, 0.0), (FRESH_S / 2, 0.0), (FRESH_S, FRESH_S)):
            await trio.sleep(began + waited - trio.current_time())
            await rig.crew.look()
            found = rig.crew.said("a")
            assert found is not None
            assert found.recording == [f"at {began + said}"], "one who asks a moment later is told the same"
        assert ("look", None) in two.asked


async def test_one_that_does_not_answer_keeps_who_asks_waiting_once(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with crew_of(tmp_path, *CHANNELS) as rig:
        [one], _ = rig.lives(0), rig.lives(1)
        await trio.sleep(PING_S / 2)
        free = trio.Event()

        async def when_free(_: Any) -> None:
            await free.wait()

        one.answers["look"] = when_free
        waits = []
        for _ in range(3):
            began = trio.current_time()
            await rig.crew.look()
            waits.append(trio.current_time() - began)
        assert waits == pytest.approx([PATIENCE_S, 0, 0], abs=0.01)
        assert (one.died, rig.crew.states()[0]["a"]) == (False, "Running")
        free.set()
        await trio.sleep(PING_S)
        one.answers["look"] = never
        began = trio.current_time()
        await rig.crew.look()
        assert trio.current_time() - began == pytest.approx(PATIENCE_S, abs=0.01), "it has answered since"


async def test_one_that_does_not_begin_and_one_that_cannot_be_started_are_tried_again(tmp_path: Path, autojump_clock: MockClock) -> None:
    def prepare(rig: CrewRig) -> None:
        rig.fails = 2
        rig.prepare = lambda worker: worker.answers.update(begin=never) if not rig.started else None

    async with crew_of(tmp_path, channel("a"), workers=1, prepare=prepare) as rig:
        assert rig.started[0].died
        assert not rig.started[1].died
        # Failed, failed, silent, good.
        assert rig.starts == pytest.approx([0, 0, 1, 1 + BEGIN_S + 2], abs=0.3)
        assert list(rig.started[1].channels) == ["a"]


@pytest.mark.parametrize(
    "words",
    [("is", {"channels": 7}), ("shelf", ["put", "default", "/x", [["/x/y", ["m", [], ["", ""], {"type": "parts", "parts": [5]}, None]]]])],
)
async def test_one_that_cannot_be_understood_is_started_again(tmp_path: Path, autojump_clock: MockClock, words: tuple[str, Any]) -> None:
    async with crew_of(tmp_path, channel("a"), workers=1) as rig:
        rig.door, rig.publications["x"] = Door(), Publication("gate")
        rig.started[0].link.say("shelf", Shelved("guard", "default", "/x"))
        rig.started[0].link.say(*words)
        await trio.sleep(1)
        assert rig.started[0].poll() is not None
        assert list(rig.started[1].channels) == ["a"]


async def test_a_command_under_way_when_the_worker_dies_is_carried_out_by_the_next(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with crew_of(tmp_path, channel("a"), workers=1) as rig:
        first = rig.started[0]
        first.answers["bring"] = never
        await rig.registry.commit([channel("a", description="other")])
        async with trio.open_nursery() as nursery:
            nursery.start_soon(rig.crew.bring, "a")
            await trio.sleep(0.1)
            assert [kind for kind, _ in first.asked].count("bring") == 2
            first.kill()
        await trio.sleep(0.1)
        assert ("bring", "a") in rig.started[1].asked
        told = next(body for kind, body in rig.started[1].heard if kind == "wanted")
        assert told["channels"][0]["settings"]["description"] == "other"


async def test_what_a_worker_refuses_keeps_no_other_channel_from_being_opened(tmp_path: Path, autojump_clock: MockClock) -> None:
    def prepare(rig: CrewRig) -> None:
        rig.prepare = lambda worker: worker.answers.update(bring=lambda name: refuse(worker, name))

    async def refuse(worker: FakeWorker, name: str) -> None:
        await trio.lowlevel.checkpoint()
        if name == "a":
            raise PackagerError("INTERNAL", "a fault", status=500, fault="us")
        worker.channels[name] = status()
        worker.say_is()

    async with crew_of(tmp_path, *CHANNELS, workers=1, prepare=prepare) as rig:
        await trio.sleep(0.1)
        assert sorted(rig.started[0].channels) == ["b", "c", "d"]
        rig.started[0].kill()
        await trio.sleep(1)
        assert sorted(rig.started[1].channels) == ["b", "c", "d"]


async def test_at_the_end_all_drain_and_who_does_not_is_killed(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with crew_of(tmp_path, *CHANNELS, workers=4) as rig:
        good, bad, dead, starting = (rig.lives(number)[0] for number in range(4))
        bad.stuck = True
        # One waits to be started again, one is being started.
        for _ in range(3):
            rig.lives(2)[-1].kill()
            await trio.sleep(3)
        rig.prepare = lambda worker: worker.answers.update(begin=never)
        starting.kill()
        await trio.sleep(0.1)
        rig.lives(2)[-1].kill()
        await trio.sleep(0.1)
        count, began = len(rig.started), trio.current_time()
    assert trio.current_time() - began == pytest.approx(END_S, abs=0.1)
    assert (good.died, bad.died) == (False, True)
    assert ("end", None) in good.heard
    assert all(worker.poll() is not None for worker in rig.started)
    assert len(rig.started) == count, "nobody is started any more"
    assert dead.died


async def test_manifests_of_a_lost_worker_leave_the_shelf_after_a_while_and_its_segments_when_it_is_back(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    door = Door()
    async with crew_of(tmp_path, channel("a"), workers=1) as rig:
        rig.door, rig.publications["show"] = door, Publication("gate")
        rig.started[0].link.say("shelf", Shelved("guard", "default", "/show/show.ism"))
        await trio.sleep(0.1)
        rig.prepare = lambda worker: worker.answers.update(begin=slow)
        gate = trio.Event()

        async def slow(_: Any) -> int:
            await gate.wait()
            return 1

        rig.started[0].kill()
        await trio.sleep(STALE_S - 1)
        assert [what for what, _, _ in door.told] == ["guard"], "viewers keep what is there for a moment"
        await trio.sleep(1.2)
        assert door.told[1:] == [("turn", "/show/show.ism", [])]
        gate.set()
        await trio.sleep(0.1)
        assert door.told[2:] == [("withdraw", "/show/show.ism", [])]
        # The next one's are its own, whatever becomes of the one before.
        rig.started[1].link.say("shelf", Shelved("guard", "default", "/show/show.ism"))
        await trio.sleep(2 * STALE_S)
        assert [what for what, _, _ in door.told[3:]] == ["guard"]


async def test_when_the_disk_is_low_one_channel_of_all_gives_up_its_oldest(
    tmp_path: Path, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = [10**12]
    monkeypatch.setattr("pypackager.runtime.workers.crew.free_bytes", lambda _: free[0])
    trimmed: list[str] = []

    async def trim(told: dict[str, Any]) -> bool:
        await trio.lowlevel.checkpoint()
        assert told["code"] == "DISK_LOW"
        trimmed.append(told["channel"])
        return bool(told["channel"] != "d")

    async def deep(worker: FakeWorker, _: Any) -> None:
        await trio.lowlevel.checkpoint()
        worker.channels = {name: status(depth_ns=NAMES.index(name)) for name in worker.channels}
        worker.say_is()

    async with crew_of(tmp_path, *CHANNELS) as rig:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(rig.crew.watch_disk)
            for worker in rig.started:
                worker.answers |= {"trim": trim, "look": partial(deep, worker)}
            await trio.sleep(5.5)
            assert trimmed == []
            free[0] = 0
            await trio.sleep(5)
            assert trimmed == ["d", "c"], "the deepest has nothing to give, and no more go than need be"
            rig.lives(0)[0].answers["trim"] = never
            await trio.sleep(5)
            assert trimmed[2:] == ["d"], "who does not answer is waited for, then passed over"
            await trio.sleep(10)
            assert trimmed[2:4] == ["d", "b"]
            nursery.cancel_scope.cancel()


async def test_a_deleted_channel_leaves_the_registry_and_its_place(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with crew_of(tmp_path, *CHANNELS[:2]) as rig:
        [one] = rig.lives(0)
        await one.link.ask("gone", "a", None)
        assert list(rig.registry.resources.channels) == ["b"]
        assert not rig.crew.elsewhere.has("a")
        with trio.fail_after(1):
            await rig.crew.until("a", lambda: False)
        with pytest.raises(PackagerError, match="INTERNAL"):
            await one.link.ask("other", None, None)


async def test_a_connection_of_one_worker_goes_to_the_other_with_its_socket(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with crew_of(tmp_path, *CHANNELS) as rig:
        [one], [two] = rig.lives(0), rig.lives(1)
        before = descriptors()
        ours, theirs = socket.socketpair()
        with ours, theirs:
            two.link.say("take", TAKEN, theirs.fileno())
            two.link.say("take", msgspec.structs.replace(TAKEN, channel="nobody"), theirs.fileno())
            two.link.say("other", None, theirs.fileno())
            await trio.sleep(0.1)
            [fd] = one.fds
            os.write(fd, b"from there")
            assert ours.recv(100) == b"from there"
            assert next(body for kind, body in one.heard if kind == "take")["opening"] == b"POST"
            os.close(one.fds.pop())
        assert descriptors() == before, "those that nobody wants are closed"
