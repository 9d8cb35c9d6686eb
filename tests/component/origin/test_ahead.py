"""What a front holds ready is made anew only where it says something else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pypackager._core import Gate, Policy, Room
from pypackager.model.plan import Published
from pypackager.model.presentation import Presentation
from pypackager.origin.ahead import Ahead
from pypackager.origin.answers import Answers
from pypackager.origin.ports import Publication
from pypackager.origin.reply import Terms
from tests.component.origin.fakes import FakeCatalog, FakePackager, presentation

ROOT = "/show/show.ism"
TEXT = b"#EXTM3U\n" * 100


class Steady(FakeCatalog):
    """The same publication at every look."""

    def __init__(self) -> None:
        super().__init__()
        self.found = super().publication("show")

    def publication(self, locator: str) -> Publication | None:
        return self.found


class Seldom(FakePackager):
    """A playlist that changes with every second version, as those of two fragments a segment do."""

    def __init__(self) -> None:
        super().__init__()
        self.rendered: dict[int, Published] = {}

    def answer(self, presentation: Presentation, path: str, query: str) -> Published:
        number = presentation.version // 2
        return self.rendered.setdefault(number, Published("application/vnd.apple.mpegurl", TEXT, "manifest", f"p{number}"))

    def stream(self, path: str) -> tuple[tuple[str, ...], int] | None:
        return None


class Shelf:
    """A front that remembers its manifests."""

    def __init__(self) -> None:
        self.turns: list[list[Any]] = []

    def obey(self, policy: Policy) -> None: ...
    def guard(self, root: str, gate: Gate, counted: Room) -> None: ...
    def put(self, root: str, target: str, answer: object, lifetime_s: float) -> None: ...
    def add(self, root: str, target: str, answer: object) -> None: ...
    def withdraw(self, root: str) -> None: ...

    def turn(self, root: str, manifests: Sequence[tuple[str, Any]]) -> None:
        self.turns.append([answer for _, answer in manifests])

    def asked(self, root: str) -> Sequence[str]:
        return []


def wrap(published: Published, terms: Terms) -> tuple[Published, Terms]:
    return published, terms


def test_a_manifest_is_wrapped_and_deflated_again_when_it_or_its_terms_change() -> None:
    catalog, shelf, answers = Steady(), Shelf(), Answers(Seldom())
    ahead = Ahead(shelf, wrap, answers, FakePackager(), catalog, lambda: 0)
    assert catalog.found is not None
    first = answers.ask(ROOT, catalog.presentation, "v.m3u8", "")
    ahead.offer(ROOT, "show", catalog.found, f"{ROOT}/v.m3u8", "v.m3u8", catalog.presentation, first)
    for version in (2, 3, 4, 5):
        catalog.presentation = presentation(version)
        ahead.turn()
    catalog.presentation = presentation(7, interval_ns=2_000_000_000)
    ahead.turn()
    (two,), (three,), (four,), (five,), (seven,) = shelf.turns
    assert two is three
    assert four is five
    assert [answer[0].etag for answer in (two, four, seven)] == ["p1", "p2", "p3"]
    assert all(answer[0].gzip for answer in (two, four, seven)), "deflated, each once"
    assert seven[1].interval_ns == 2_000_000_000
    catalog.presentation = presentation(8, published_ns=8)
    ahead.turn()
    catalog.presentation = presentation(9, interval_ns=2_000_000_000)
    ahead.turn()
    (eight,), (nine,) = shelf.turns[-2:]
    assert eight[0] is nine[0]
    assert (eight[1].interval_ns, nine[1].interval_ns) == (4_000_000_000, 2_000_000_000), "the same playlist under other terms"
