"""What a worker has ready comes to the front's shelf as it was, and long parts of it once."""

from __future__ import annotations

from typing import Any, cast

import msgspec
import trio
from trio.testing import MockClock

from pypackager.model.plan import Published, Stored, Text
from pypackager.origin.reply import Terms
from pypackager.runtime.workers.shelf import KEPT_NS, LARGE, Asked, FarShelf, Shelved, Shelves

ROOT = "/show/show.ism"
TERMS = Terms(2_000_000_000)


class Door:
    """A front that keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str, list[str]]] = []
        self.targets: list[str] = []

    def guard(self, root: str, gate: object, counted: object) -> None:
        self.told.append(("guard", root, [str(gate), str(counted)]))

    def put(self, root: str, target: str, answer: object, lifetime_s: float) -> None:
        self.told.append(("put", root, [target, str(lifetime_s)]))

    def add(self, root: str, target: str, answer: object) -> None:
        self.told.append(("add", root, [target]))

    def turn(self, root: str, manifests: list[tuple[str, object]]) -> None:
        self.told.append(("turn", root, [target for target, _ in manifests]))

    def withdraw(self, root: str) -> None:
        self.told.append(("withdraw", root, []))

    def asked(self, root: str) -> list[str]:
        found, self.targets = self.targets, []
        return found


class Publication(msgspec.Struct):
    """Who is let in."""

    gate: str
    room: str = "room"


class World:
    """A worker, a link that encodes what goes through it, and the front's side."""

    def __init__(self) -> None:
        self.door: Door | None = Door()
        self.now, self.sent = 0, [b""]
        self.there: dict[str, Publication] = {"show": Publication("gate")}
        self.life = 1
        self.shelves = Shelves(lambda _: cast(Any, self.door), lambda _, locator: cast(Any, self.there.get(locator)))
        self.far = FarShelf("default", self._send, lambda: self.now)

    def _send(self, told: Shelved) -> None:
        self.sent.append(msgspec.msgpack.encode(told))
        self.shelves.take((1, self.life), msgspec.msgpack.decode(self.sent[-1], type=Shelved))

    def told(self) -> list[tuple[str, str, list[str]]]:
        assert self.door is not None
        return self.door.told

    def start_again(self) -> None:
        """Another worker, which knows nothing of the one before."""
        self.life += 1
        self.far = FarShelf("default", self._send, lambda: self.now)

    def guard(self) -> None:
        self.far.guard(ROOT, cast(Any, None), cast(Any, None))


async def test_who_passes_on_what_was_asked_for_waits_until_there_is_something_to_ask_for(autojump_clock: MockClock) -> None:
    world = World()
    waited: list[float] = []

    async def wait() -> None:
        await world.shelves.filled()
        waited.append(trio.current_time())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        await trio.sleep(5)
        world.guard()
        await trio.sleep(1)
        await wait()
        world.there.clear()
        world.shelves.review()
        nursery.start_soon(wait)
        await trio.sleep(1)
        assert waited == [5, 6], "nothing is there any more"
        nursery.cancel_scope.cancel()


def manifest(*parts: bytes) -> tuple[Published, Terms]:
    return Published("text/plain", Text(parts), "manifest", "v", gzip=Text(parts)), TERMS


def test_what_is_ready_is_put_behind_the_fronts_own_gate() -> None:
    world = World()
    segment = Published("video/mp4", Stored((("/blob", 3, 4),)), "immutable", "s"), TERMS
    world.far.put(ROOT, f"{ROOT}/early", segment, 45.0)
    assert world.told() == [], "no gate, no answer"
    world.guard()
    world.far.put(ROOT, f"{ROOT}/s", segment, 45.0)
    world.far.add(ROOT, f"{ROOT}/m", (Published("text/plain", b"text", "manifest", "v"), TERMS))
    world.far.turn(ROOT, [(f"{ROOT}/m", manifest(b"a", b"b"))])
    world.far.withdraw(ROOT)
    world.far.turn(ROOT, [])
    assert [what for what, _, _ in world.told()] == ["guard", "put", "add", "turn", "withdraw"]
    assert world.told()[0] == ("guard", ROOT, ["gate", "room"])
    assert world.told()[1] == ("put", ROOT, [f"{ROOT}/s", "45.0"])


def test_a_long_part_is_sent_once_until_nobody_used_it_for_a_while() -> None:
    world = World()
    world.guard()
    stretch = b"x" * (50 * LARGE)
    sizes = []
    for version in range(4):
        world.far.turn(ROOT, [("/a", manifest(b"head", stretch, b"%d" % version)), ("/b", manifest(stretch))])
        sizes.append(len(world.sent[-1]))
        world.now += KEPT_NS // 2
    assert sizes[0] > len(stretch)
    assert max(sizes[1:]) < 2000
    world.now += 2 * KEPT_NS
    world.far.turn(ROOT, [("/a", manifest(b"head"))])
    assert msgspec.msgpack.decode(world.sent[-1], type=Shelved).gone == [1]
    world.far.turn(ROOT, [("/a", manifest(stretch))])
    assert len(world.sent[-1]) > len(stretch)
    assert [what for what, _, _ in world.told()[1:]] == ["turn"] * 6


def test_who_asks_is_told_to_the_worker_and_a_lost_one_has_nothing_on_the_shelf() -> None:
    world = World()
    world.guard()
    assert world.door is not None
    world.door.targets = [f"{ROOT}/m"]
    assert world.shelves.asked() == [((1, 1), Asked("default", ROOT, [f"{ROOT}/m"]))]
    assert world.shelves.asked() == []
    world.far.hear(Asked("default", ROOT, ["/m", "/s"]))
    assert (world.far.asked(ROOT), world.far.asked(ROOT)) == (["/m", "/s"], [])
    world.shelves.lose((2, 2))
    world.shelves.lose((1, 1))
    assert [what for what, _, _ in world.told()] == ["guard"], "what is of this life stays"
    world.shelves.lose((1, 2))
    assert [what for what, _, _ in world.told()] == ["guard", "withdraw"]
    assert world.shelves.asked() == []


def test_a_gate_that_was_exchanged_takes_away_what_was_behind_it() -> None:
    world = World()
    world.guard()
    world.shelves.review()
    world.there["show"] = Publication("other")
    world.shelves.review()
    world.far.turn(ROOT, [("/a", manifest(b"old"))])
    assert [what for what, _, _ in world.told()] == ["guard", "withdraw"]
    world.guard()
    assert world.told()[-1] == ("guard", ROOT, ["other", "room"])


def test_the_next_life_of_a_worker_begins_while_the_last_ones_answers_are_still_there() -> None:
    world = World()
    world.guard()
    world.far.turn(ROOT, [("/a", manifest(b"x" * LARGE))])
    world.start_again()
    world.far.turn(ROOT, [("/a", manifest(b"y" * LARGE))])
    assert [what for what, _, _ in world.told()] == ["guard", "turn"], "no gate of its own yet"
    world.guard()
    world.far.turn(ROOT, [("/a", manifest(b"y" * LARGE, b"z"))])
    assert [what for what, _, _ in world.told()[2:]] == ["withdraw", "guard", "turn"]
    world.shelves.lose((1, 2))
    world.shelves.fade((1, 1))
    # Numbers of parts begin anew with a life; those of the one before are forgotten with it.
    world.far.turn(ROOT, [("/a", manifest(b"y" * LARGE, b"more"))])
    assert [what for what, _, _ in world.told()[5:]] == ["turn"]


def test_manifests_of_who_is_gone_fade_and_nothing_else() -> None:
    world = World()
    world.guard()
    world.shelves.fade((1, 2))
    world.shelves.fade((2, 1))
    assert [what for what, _, _ in world.told()] == ["guard"]
    world.shelves.fade((1, 1))
    assert world.told()[1:] == [("turn", ROOT, [])]


def test_an_endpoint_that_is_opened_anew_has_its_gates_at_the_next_answer() -> None:
    world = World()
    world.door = None
    world.guard()
    assert world.shelves.asked() == []
    world.door = Door()
    world.far.turn(ROOT, [("/a", manifest(b"head"))])
    world.far.turn(ROOT, [("/a", manifest(b"head"))])
    assert [what for what, _, _ in world.told()] == ["guard", "turn", "turn"]
    world.door = Door()
    assert world.shelves.asked() == []
    world.far.turn(ROOT, [("/a", manifest(b"head"))])
    assert [what for what, _, _ in world.told()] == ["guard", "turn"]
