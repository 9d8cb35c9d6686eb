"""What a native front holds ready: the manifests and segments that are being watched, put there before they are asked for.

In: answers that the application gave, and the news that presentations changed. Out: what the front may give by itself. Never: an answer
that depends on who asks.

A viewer's first request of a stream comes to the application, which gives the answer to the front as well. From then on each turn, as a
new version of the presentation is published, puts its new segments and its new manifests there, for as long as somebody asks for them.
Manifests are replaced together and after the segments that they list, so that no viewer sees half a version.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from pypackager._core import Gate, Policy, Room
from pypackager.model.errors import PackagerError
from pypackager.model.plan import Published
from pypackager.model.presentation import Presentation
from pypackager.origin.answers import Answers
from pypackager.origin.ports import Catalog, Endpoint, Packager, Publication
from pypackager.origin.reply import Terms

WATCHED_NS = 30 * 1_000_000_000
"""How long after its last request a stream or manifest is still made ready: several target durations."""
SEGMENT_S = 45.0
"""How long a segment is given without a look at the window; less than what the store keeps the bytes of one that left it."""
CATCH_UP = 16
"""Segments of one stream that are put there in one turn; who is further behind asks the application."""

A = TypeVar("A")
A_contra = TypeVar("A_contra", contravariant=True)


class Front(Protocol[A_contra]):
    """The native front: what it holds is found by the path of a request, byte for byte."""

    def obey(self, policy: Policy) -> None:
        """Gives nothing any more to whom the endpoint's policy does not let in."""
        ...

    def guard(self, root: str, gate: Gate, counted: Room) -> None:
        """Puts a gate before a presentation, and counts who is let in; nothing stays of what was there behind another one."""
        ...

    def put(self, root: str, target: str, answer: A_contra, lifetime_s: float) -> None:
        """Gives a segment until its lifetime ends."""
        ...

    def add(self, root: str, target: str, answer: A_contra) -> None:
        """Gives a manifest until the next turn."""
        ...

    def turn(self, root: str, manifests: Sequence[tuple[str, A_contra]]) -> None:
        """Gives these manifests of a presentation, and no others."""
        ...

    def asked(self, root: str) -> Sequence[str]:
        """What was asked for since the last call."""
        ...

    def withdraw(self, root: str) -> None:
        """Gives nothing of a presentation any more."""
        ...


class _Watched(msgspec.Struct):
    path: str
    """Below the root: of a manifest; of the newest segment that is there."""
    asked_ns: int
    place: int = 0
    given: tuple[Published, Terms, Any] | None = None
    """Of a manifest: what was published last, its terms, and both as the front has them."""


class _Root(msgspec.Struct):
    """A presentation that is watched."""

    name: str
    publication: Publication
    version: tuple[int, int]
    manifests: dict[str, _Watched] = {}
    """By target."""
    streams: dict[tuple[str, ...], _Watched] = {}


class Ahead(Generic[A]):
    """Keeps a front up to date.

    Args:
        front: where answers are put.
        wrap: an answer as the front takes it; arguments are what was published and how long it may be kept.
        answers: renders, and keeps what it rendered.
        packager: knows what follows a segment.
        catalog: finds presentations.
        mono_ns: a monotonic clock.
    """

    def __init__(
        self,
        front: Front[A],
        wrap: Callable[[Published, Terms], A],
        answers: Answers,
        packager: Packager,
        catalog: Catalog,
        mono_ns: Callable[[], int],
    ) -> None:
        self._front = front
        self._wrap = wrap
        self._answers = answers
        self._packager = packager
        self._catalog = catalog
        self._mono_ns = mono_ns
        self._roots: dict[str, _Root] = {}
        self._endpoint: Endpoint | None = None
        """What the front was told last."""

    def offer(
        self, root: str, name: str, publication: Publication, target: str, path: str, presentation: Presentation, published: Published
    ) -> None:
        """Takes an answer that was given to a GET of `target`, which is `path` below `root`, published by locator `name`."""
        self._obey()
        known = self._roots.get(root)
        if known is None or known.publication != publication:
            self._front.guard(root, publication.gate, publication.room)
            known = self._roots[root] = _Root(name, publication, _version(presentation))
        elif known.version != _version(presentation):
            self._turn(root, known, presentation)
        now = self._mono_ns()
        terms = self._terms(known, presentation)
        if published.lifetime == "immutable":
            self._front.put(root, target, self._wrap(published, terms), SEGMENT_S)
            self._watch(known, path, now)
        elif published.lifetime == "manifest":
            self._front.add(root, target, self._wrap(published, terms))
            known.manifests[target] = _Watched(path, now)

    def turn(self) -> None:
        """Brings everything up to date; costs little when nothing was published."""
        self._obey()
        for root, known in list(self._roots.items()):
            try:
                presentation = self._catalog.located(known.name, known.publication.asset)
            except PackagerError:
                presentation = None
            if presentation is None or self._catalog.publication(known.name) != known.publication:
                self._front.withdraw(root)
                del self._roots[root]
            elif known.version != _version(presentation):
                self._turn(root, known, presentation)

    def _obey(self) -> None:
        """Has the front follow the endpoint's policy; what was published under another one goes."""
        endpoint = self._catalog.endpoint()
        if endpoint == self._endpoint:
            return
        self._endpoint = endpoint
        self._front.obey(endpoint.policy)
        for root in self._roots:
            self._front.withdraw(root)
        self._roots.clear()

    def _turn(self, root: str, known: _Root, presentation: Presentation) -> None:
        known.version = _version(presentation)
        now = self._mono_ns()
        for target in self._front.asked(root):
            if target in known.manifests:
                known.manifests[target].asked_ns = now
            else:
                self._watch(known, target.removeprefix(f"{root}/"), now)
        known.manifests = {target: seen for target, seen in known.manifests.items() if now - seen.asked_ns < WATCHED_NS}
        known.streams = {key: seen for key, seen in known.streams.items() if now - seen.asked_ns < WATCHED_NS}
        terms = self._terms(known, presentation)
        for key, seen in known.streams.items():
            self._put_following(root, terms, presentation, key, seen)
        manifests: list[tuple[str, A]] = []
        for target, seen in known.manifests.items():
            try:
                published = self._answers.ask(root, presentation, seen.path, "")
            except PackagerError:
                continue
            # Playlists change by the segment, and some manifests hardly ever.
            if seen.given is None or seen.given[0] is not published or seen.given[1] != terms:
                seen.given = published, terms, self._wrap(published, terms)
            manifests.append((target, seen.given[2]))
        self._front.turn(root, manifests)

    def _put_following(self, root: str, terms: Terms, presentation: Presentation, key: tuple[str, ...], seen: _Watched) -> None:
        for path in list(self._packager.following(presentation, key, seen.path))[-CATCH_UP:]:
            try:
                published = self._answers.ask(root, presentation, path, "")
            except PackagerError:
                # A hole in the media; the stream goes on behind it.
                continue
            self._front.put(root, f"{root}/{path}", self._wrap(published, terms), SEGMENT_S)
            found = self._packager.stream(path)
            seen.path, seen.place = path, found[1] if found else seen.place

    def _terms(self, known: _Root, presentation: Presentation) -> Terms:
        return terms_of(self._catalog.endpoint(), known.publication, presentation)

    def _watch(self, known: _Root, path: str, now: int) -> None:
        found = self._packager.stream(path)
        if found is None:
            return
        key, place = found
        seen = known.streams.get(key)
        if seen is None:
            known.streams[key] = _Watched(path, now, place)
            return
        seen.asked_ns = now
        if place > seen.place:
            seen.path, seen.place = path, place


def terms_of(endpoint: Endpoint, publication: Publication, presentation: Presentation) -> Terms:
    """How long answers about a publication may be kept, and for whom."""
    return Terms(
        presentation.interval_ns,
        shared=not publication.signed,
        until=publication.expires,
        ages=endpoint.ages,
        open=endpoint.policy.open,
    )


def _version(presentation: Presentation) -> tuple[int, int]:
    return presentation.version, presentation.published_ns
