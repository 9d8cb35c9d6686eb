"""Two ends of a link: order, answers, refusals, descriptors, and what becomes of all that when one end goes."""

from __future__ import annotations

import os
import resource
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio
import trio.testing

from pypackager.model.errors import PackagerError
from pypackager.runtime.workers.link import Link


class End:
    """One end, which keeps what it hears."""

    def __init__(self, sock: socket.socket, answers: dict[str, Callable[[Any], Any]] | None = None) -> None:
        self.heard: list[tuple[str, Any, int | None]] = []
        self.answers = answers or {}
        self.link = Link(sock, self._hear, self._answer)

    def _hear(self, kind: str, body: bytes, fd: int | None) -> None:
        self.heard.append((kind, msgspec.msgpack.decode(body), fd))

    async def _answer(self, kind: str, body: bytes) -> Any:
        return await self.answers[kind](msgspec.msgpack.decode(body))


@asynccontextmanager
async def ends(**answers: Callable[[Any], Any]) -> AsyncIterator[tuple[End, End, trio.Nursery]]:
    ours, theirs = socket.socketpair()
    one, other = End(ours), End(theirs, answers)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(one.link.run)
        nursery.start_soon(other.link.run)
        yield one, other, nursery
        nursery.cancel_scope.cancel()


async def until(done: Callable[[], bool]) -> None:
    with trio.fail_after(5):
        while not done():
            await trio.testing.wait_all_tasks_blocked(0.001)


async def test_what_is_said_comes_in_order_whatever_its_size() -> None:
    async with ends() as (one, other, _):
        sizes = [0, 1, 300_000, 5, 2_000_000, 7]
        for number, size in enumerate(sizes):
            one.link.say(f"k{number}", b"x" * size)
        await until(lambda: len(other.heard) == len(sizes))
        assert [(kind, len(body)) for kind, body, _ in other.heard] == [(f"k{number}", size) for number, size in enumerate(sizes)]


async def test_descriptors_come_with_the_messages_that_carry_them() -> None:
    async with ends() as (one, other, _):
        files: list[tuple[int, int]] = [os.pipe() for _ in range(40)]
        for number, (read, _write) in enumerate(files):
            one.link.say("take", [number, b"x" * (number * 5000)], read)
            os.close(read)
            one.link.say("other", number)
        await until(lambda: len(other.heard) == 80)
        for kind, body, fd in other.heard:
            assert (fd is not None) == (kind == "take")
            if fd is not None:
                os.write(files[body[0]][1], bytes([body[0]]))
                assert os.read(fd, 10) == bytes([body[0]]), "it is the one that was sent with it"
                assert not os.get_inheritable(fd)
                os.close(fd)
        for _read, write in files:
            os.close(write)


async def test_questions_are_answered_or_refused_each_by_itself() -> None:
    gate = trio.Event()

    async def slow(body: Any) -> Any:
        await gate.wait()
        return body

    async def quick(body: Any) -> Any:
        return {"twice": body * 2}

    async def refuse(_: Any) -> Any:
        raise PackagerError("ASSET_UNKNOWN", "there is none", status=404, where="here", fault="operator")

    async with ends(slow=slow, quick=quick, refuse=refuse) as (one, _, nursery):
        late: list[int] = []

        async def wait() -> None:
            late.append(await one.link.ask("slow", 7, int))

        nursery.start_soon(wait)
        assert await one.link.ask("quick", 4, dict[str, int]) == {"twice": 8}
        with pytest.raises(PackagerError) as caught:
            await one.link.ask("refuse", None)
        error = caught.value
        assert (error.code, error.detail, error.status) == ("ASSET_UNKNOWN", "there is none", 404)
        assert (error.where, error.fault) == ("here", "operator")
        with pytest.raises(PackagerError, match="WORKER_SILENT"):
            await one.link.ask("slow", 8, int, 0.01)
        assert late == []
        gate.set()
        await until(lambda: bool(late))
        assert late == [7]


async def test_the_end_of_one_side_is_an_answer_to_all_questions() -> None:
    async def never(_: Any) -> Any:
        await trio.sleep_forever()

    ours, theirs = socket.socketpair()
    one, other = End(ours), End(theirs, {"never": never})
    async with trio.open_nursery() as nursery:
        nursery.start_soon(one.link.run)
        scope = trio.CancelScope()

        async def run_other() -> None:
            with scope:
                await other.link.run()

        nursery.start_soon(run_other)

        async def end_soon() -> None:
            await trio.sleep(0.01)
            scope.cancel()

        nursery.start_soon(end_soon)
        with pytest.raises(PackagerError, match="WORKER_DOWN"):
            await one.link.ask("never", None)
    # Nothing waits for who is gone.
    one.link.say("late", 1)
    with pytest.raises(PackagerError, match="WORKER_DOWN"):
        await one.link.ask("never", None)
    await one.link.flush()


async def test_a_side_that_reads_nothing_is_left_at_a_bound() -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        one = End(ours)
        one.link = Link(ours, one._hear, one._answer, behind=1_000_000)
        read, write = os.pipe()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(one.link.run)
            with trio.fail_after(5):
                for _ in range(30):
                    one.link.say("much", b"x" * 100_000, read)
                    await trio.testing.wait_all_tasks_blocked(0.001)
            # It has ended by itself.
        os.close(read)
        with pytest.raises(PackagerError, match="WORKER_DOWN"):
            await one.link.ask("more", None)
        theirs.close()
        # What was not sent has not kept its descriptors.
        with pytest.raises(BrokenPipeError):
            os.write(write, b"x")
        os.close(write)


async def test_what_cannot_be_understood_ends_the_link() -> None:
    for words in (b"\x05\0\0\0nomsg", b"\x01\0\0\0\xc1"):
        ours, theirs = socket.socketpair()
        with theirs, trio.fail_after(5):
            one = End(ours)
            theirs.send(words)
            await one.link.run()
    async with ends() as (one, other, _):
        other._hear = fail  # type: ignore[method-assign]
        other.link._hear = fail
        one.link.say("any", None)
        with pytest.raises(PackagerError, match="WORKER_DOWN"):
            await one.link.ask("any", None)


def highest_descriptor() -> int:
    return max(int(path.name) for path in Path("/proc/self/fd").iterdir())


def fail(kind: str, body: bytes, fd: int | None) -> None:
    raise KeyError(kind)


async def test_a_fault_in_an_answer_is_told_to_who_asked_and_to_nobody_else() -> None:
    async def broken(_: Any) -> Any:
        await trio.lowlevel.checkpoint()
        raise KeyError("x")

    async def strange(_: Any) -> Any:
        await trio.lowlevel.checkpoint()
        return object()

    async def quick(body: Any) -> Any:
        await trio.lowlevel.checkpoint()
        return body

    async with ends(broken=broken, quick=quick, strange=strange) as (one, _, _):
        for kind in ("broken", "strange"):
            with pytest.raises(PackagerError) as caught:
                await one.link.ask(kind, None)
            assert (caught.value.code, caught.value.status, caught.value.fault) == ("INTERNAL", 500, "us")
        assert await one.link.ask("quick", 4, int) == 4


async def test_descriptors_for_which_there_is_no_room_are_lost_and_the_ones_behind_them_are_whose_they_are() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    async with ends() as (one, other, _):
        pipes = [os.pipe() for _ in range(3)]
        for number, (read, _write) in enumerate(pipes):
            one.link.say("take", number, read)
        # The sender closes its own as they leave, so one place is free when the second comes, and again for the third.
        highest = highest_descriptor()
        held = [os.open("/dev/null", os.O_RDONLY) for _ in range(3)]
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(highest, *held), hard))
        try:
            with pytest.raises(OSError, match="Too many open files"):
                one.link.say("take", 9, pipes[0][0])
            await until(lambda: len(other.heard) == 3)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert [body for _, body, _ in other.heard] == [0, 1, 2]
        assert None in [fd for _, _, fd in other.heard]
        for _, number, fd in other.heard:
            if fd is not None:
                os.write(pipes[number][1], bytes([number]))
                assert os.read(fd, 10) == bytes([number])
                os.close(fd)
        for fd in (*held, *(fd for pipe in pipes for fd in pipe)):
            os.close(fd)
