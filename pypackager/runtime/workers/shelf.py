"""Answers that a worker has ready, on the shelf of the front process' native front.

In: what a worker's application gives ahead (origin.ahead). Out: the same, put on the shelf by the front process, and what viewers asked for
on the way back. Never: a gate of the worker's making; who is let in is said by the process that has the registry.

Most of a long manifest is the same bytes in every version. A part that was sent is known by a number until nobody used it for a while.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal
from urllib.parse import unquote

import msgspec
import trio

from pypackager._core import FrontAnswer, FrontDoor, Gate, Policy, Room
from pypackager.model.plan import F4fFragment, Published, SmoothFragment, Stored, Text, TsSegment
from pypackager.origin.conditions import quoted
from pypackager.origin.ports import Publication
from pypackager.origin.reply import Terms, standing

LARGE = 4096
"""Bytes of a part that is sent once."""
KEPT_NS = 60 * 1_000_000_000
"""How long a part that nobody uses is known."""

Part = bytes | int
Owner = tuple[int, int]
"""A worker, and which of its lives."""


class Parts(msgspec.Struct, frozen=True, tag="parts"):
    """A text in parts: bytes, or numbers of those that are known."""

    parts: list[Part]


class Ready(msgspec.Struct, frozen=True, array_like=True):
    """An answer on its way."""

    kind: str
    headers: list[tuple[bytes, bytes]]
    etags: tuple[str, str]
    body: bytes | Parts | Stored | TsSegment | SmoothFragment | F4fFragment
    gzip: bytes | Parts | None


class Shelved(msgspec.Struct, frozen=True, array_like=True):
    """What is to be done with the answers of a presentation."""

    what: Literal["guard", "put", "add", "turn", "withdraw"]
    endpoint: str
    root: str
    answers: list[tuple[str, Ready]] = []
    lifetime_s: float = 0.0
    new: dict[int, bytes] = {}
    """Parts that are known from now on."""
    gone: list[int] = []
    """Those that are no more."""


class Asked(msgspec.Struct, frozen=True, array_like=True):
    """What viewers have asked the front for."""

    endpoint: str
    root: str
    targets: list[str]


class FarShelf:
    """A worker's side, for one endpoint: implements origin.ahead.Front.

    Args:
        endpoint: its name.
        say: sends a message.
        mono_ns: a monotonic clock.
    """

    def __init__(self, endpoint: str, say: Callable[[Shelved], None], mono_ns: Callable[[], int]) -> None:
        self._endpoint = endpoint
        self._say = say
        self._mono_ns = mono_ns
        self._asked: dict[str, list[str]] = {}
        self._known: dict[int, tuple[int, bytes, int]] = {}
        """By identity: number, the part itself, which keeps the identity its own, and when it was used last."""
        self._number = 0
        self._new: dict[int, bytes] = {}

    def obey(self, policy: Policy) -> None:
        """Nothing: the front process has the policy."""

    def guard(self, root: str, gate: Gate, counted: Room) -> None:  # noqa: ARG002 (the front process has its own)
        """Has the front process put its own gate before a presentation."""
        self._tell("guard", root)

    def put(self, root: str, target: str, answer: tuple[Published, Terms], lifetime_s: float) -> None:
        """Gives a segment."""
        self._tell("put", root, [(target, answer)], lifetime_s)

    def add(self, root: str, target: str, answer: tuple[Published, Terms]) -> None:
        """Gives a manifest."""
        self._tell("add", root, [(target, answer)])

    def turn(self, root: str, manifests: Sequence[tuple[str, tuple[Published, Terms]]]) -> None:
        """Gives these manifests and no others."""
        self._tell("turn", root, manifests)

    def asked(self, root: str) -> Sequence[str]:
        """What was asked for, as far as it was told."""
        return self._asked.pop(root, [])

    def withdraw(self, root: str) -> None:
        """Gives nothing of a presentation any more."""
        self._asked.pop(root, None)
        self._tell("withdraw", root)

    def hear(self, asked: Asked) -> None:
        """Viewers asked for something."""
        self._asked.setdefault(asked.root, []).extend(asked.targets)

    def _tell(
        self,
        what: Literal["guard", "put", "add", "turn", "withdraw"],
        root: str,
        answers: Sequence[tuple[str, tuple[Published, Terms]]] = (),
        lifetime_s: float = 0.0,
    ) -> None:
        now = self._mono_ns()
        ready = [(target, self._ready(*answer, now)) for target, answer in answers]
        gone = [(identity, number) for identity, (number, _, used) in self._known.items() if now - used > KEPT_NS]
        for identity, _ in gone:
            del self._known[identity]
        new, self._new = self._new, {}
        self._say(Shelved(what, self._endpoint, root, ready, lifetime_s, new, [number for _, number in gone]))

    def _ready(self, published: Published, terms: Terms, now: int) -> Ready:
        kind = "segment" if published.lifetime == "immutable" else "manifest"
        etags = quoted(published.etag), quoted(published.etag, "gzip")
        body = self._parts(published.body, now) if isinstance(published.body, Text) else published.body
        gzip = self._parts(published.gzip, now) if isinstance(published.gzip, Text) else published.gzip
        return Ready(kind, list(standing(published, terms)), etags, body, gzip)

    def _parts(self, text: Text, now: int) -> Parts:
        return Parts([self._part(part, now) for part in text.parts])

    def _part(self, part: bytes, now: int) -> Part:
        if len(part) < LARGE:
            return part
        known = self._known.get(id(part))
        if known is None:
            self._number += 1
            self._new[self._number] = part
        number = self._number if known is None else known[0]
        self._known[id(part)] = (number, part, now)
        return number


class _Root(msgspec.Struct):
    """A presentation on the shelf."""

    owner: Owner
    publication: Publication
    """Behind whose gate it is."""
    door: FrontDoor | None
    """Where that was said."""


class Shelves:
    """The front process' side, for all workers and endpoints.

    What a worker put there is its own for one life of it: a worker that is started again knows nothing of what the one before it put there.

    Args:
        door: the native front of an endpoint; None: it has none now.
        publication: what a locator publishes at an endpoint.
    """

    def __init__(self, door: Callable[[str], FrontDoor | None], publication: Callable[[str, str], Publication | None]) -> None:
        self._door = door
        self._publication = publication
        self._roots: dict[tuple[str, str], _Root] = {}
        """By endpoint and root."""
        self._filled = trio.lowlevel.ParkingLot()
        self._parts: dict[Owner, dict[tuple[str, int], bytes]] = {}
        """By endpoint and number."""

    def take(self, owner: Owner, told: Shelved) -> None:
        """Does what a worker says; what is of a presentation that has no gate is let be."""
        parts = self._parts.setdefault(owner, {})
        for number, part in told.new.items():
            parts[told.endpoint, number] = part
        where = told.endpoint, told.root
        if told.what == "guard":
            self._guard(owner, where)
        elif (known := self._roots.get(where)) is not None and known.owner == owner and (door := self._at(where, known)) is not None:
            self._put(door, told, [(target, self._answer(parts, told.endpoint, ready)) for target, ready in told.answers])
        for number in told.gone:
            parts.pop((told.endpoint, number), None)

    async def filled(self) -> None:
        """Waits until there is a presentation, of which something may be asked for."""
        while not self._roots:
            await self._filled.park()

    def asked(self) -> list[tuple[Owner, Asked]]:
        """What viewers have asked for since the last call, by who has put it there."""
        found: list[tuple[Owner, Asked]] = []
        for (endpoint, root), known in self._roots.items():
            door = self._at((endpoint, root), known)
            if door is not None and (targets := door.asked(root)):
                found.append((known.owner, Asked(endpoint, root, targets)))
        return found

    def review(self) -> None:
        """Takes away what stands behind a gate that is no more: nobody gets it on terms of before."""
        for (endpoint, root), known in list(self._roots.items()):
            if self._publication(endpoint, _locator(root)) != known.publication:
                self._withdraw((endpoint, root))

    def fade(self, owner: Owner) -> None:
        """Takes away the manifests of a worker that is gone, which would get old. Segments never change, and stay for their time."""
        for (endpoint, root), known in self._roots.items():
            if known.owner == owner and (door := self._at((endpoint, root), known)) is not None:
                door.turn(root, [])

    def lose(self, owner: Owner) -> None:
        """Takes away all that is of earlier lives of a worker."""
        worker, life = owner
        for where in [where for where, known in self._roots.items() if known.owner[0] == worker and known.owner[1] < life]:
            self._withdraw(where)
        for old in [old for old in self._parts if old[0] == worker and old[1] < life]:
            del self._parts[old]

    def _guard(self, owner: Owner, where: tuple[str, str]) -> None:
        endpoint, root = where
        known = self._roots.get(where)
        if known is not None and known.owner != owner:
            self._withdraw(where)
        if (publication := self._publication(endpoint, _locator(root))) is not None:
            self._roots[where] = fresh = _Root(owner, publication, None)
            self._filled.unpark_all()
            self._at(where, fresh)

    def _at(self, where: tuple[str, str], known: _Root) -> FrontDoor | None:
        """The front of a presentation, which has its gate there: an endpoint that was opened anew has another front."""
        door = self._door(where[0])
        if door is not None and door is not known.door:
            door.guard(where[1], known.publication.gate, known.publication.room)
        known.door = door
        return door

    def _put(self, door: FrontDoor, told: Shelved, answers: list[tuple[str, FrontAnswer]]) -> None:
        if told.what == "turn":
            door.turn(told.root, answers)
        elif told.what == "withdraw":
            self._withdraw((told.endpoint, told.root))
        for target, answer in answers:
            if told.what == "put":
                door.put(told.root, target, answer, told.lifetime_s)
            elif told.what == "add":
                door.add(told.root, target, answer)

    def _withdraw(self, where: tuple[str, str]) -> None:
        del self._roots[where]
        if (door := self._door(where[0])) is not None:
            door.withdraw(where[1])

    def _answer(self, parts: Mapping[tuple[str, int], bytes], endpoint: str, ready: Ready) -> FrontAnswer:
        def whole(told: Parts) -> Text:
            return Text(tuple(part if isinstance(part, bytes) else parts[endpoint, part] for part in told.parts))

        body = whole(ready.body) if isinstance(ready.body, Parts) else ready.body
        gzip = whole(ready.gzip) if isinstance(ready.gzip, Parts) else ready.gzip
        return FrontAnswer(ready.kind, ready.headers, *ready.etags, body, gzip)


def _locator(root: str) -> str:
    return unquote(root.split("/")[1])
