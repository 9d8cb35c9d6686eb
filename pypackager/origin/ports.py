"""What the origin needs from the rest of the program, declared by the one who needs it.

In: nothing. Out: Protocols. Never: an implementation.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from pypackager._core import Gate, Policy, Room
from pypackager.model.plan import Body, Movie, MoviePiece, Published
from pypackager.model.presentation import Presentation
from pypackager.model.track import Kind


class Health(msgspec.Struct, frozen=True):
    """What /healthz and /readyz say."""

    ready: bool
    """Journals are replayed and what is published can be asked for."""
    detail: dict[str, Any] = {}
    """Shown as it is; JSON values only."""


class Publication(msgspec.Struct, frozen=True):
    """What a locator publishes, and on which terms."""

    asset: str
    """Name of the asset."""
    gate: Gate
    room: Room
    """Where those who watch are counted."""
    expires: int | None = None
    """Seconds since 1970: no cache may give it for longer."""
    signed: bool = False
    """Viewers need tokens: no cache may give one's answer to another."""


class Endpoint(msgspec.Struct, frozen=True):
    """The streaming endpoint that an application answers for."""

    policy: Policy
    """Who is let through to content."""
    ages: tuple[int | None, int | None] = (None, None)
    """Seconds that caches may keep manifests (None: half a fragment), and segments (None: a year)."""
    client_access: str | None = None
    """Body of /clientaccesspolicy.xml; None: everybody is let; empty: there is none."""
    cross_domain: str | None = None
    """The same of /crossdomain.xml."""


class Catalog(Protocol):
    """Finds presentations. Every method answers at once, from memory.

    Raises:
        PackagerError: the presentation may not be served now: ENDPOINT_STOPPED (503), PREVIEW_FORBIDDEN (403), NO_MEDIA (404), …
    """

    def preview(self, channel: str, client: str) -> Presentation | None:
        """The preview of a channel for a viewer at address `client`; None when there is no such channel."""
        ...

    def located(self, locator: str, asset: str) -> Presentation | None:
        """What a locator publishes under the asset's name; None when there is no such locator or it is another asset's."""
        ...

    def silent_s(self, locator: str) -> Mapping[Kind, float]:
        """Seconds since pictures, and since sound, came last into what a locator publishes; empty when nothing comes any more."""
        ...

    def preview_policies(self, channel: str) -> tuple[str | None, str | None] | None:
        """Bodies of clientaccesspolicy.xml and crossdomain.xml beside a channel's preview, as those of an Endpoint."""
        ...

    def condition(self, channel: str, client: str) -> dict[str, Any] | None:
        """How what comes into a channel is, in every state, for who may see its preview; None when there is no such channel.

        JSON values only, and nothing that its viewers may not know.
        """
        ...

    def room(self, channel: str) -> Room:
        """Where those who watch a channel's preview are counted."""
        ...

    def endpoint(self) -> Endpoint:
        """The endpoint as it is now."""
        ...

    def publication(self, locator: str) -> Publication | None:
        """What a locator publishes; None when there is no such locator."""
        ...

    def health(self) -> Health:
        """How the program is; asked before anything is ready."""
        ...


class Packager(Protocol):
    """Answers a request below a presentation's root; pure."""

    def answer(self, presentation: Presentation, path: str, query: str) -> Published:
        """The answer to `path` (decoded, without a leading slash) with `query` (as sent, without the question mark).

        Raises:
            PackagerError: not there (404), not there yet (412), or badly asked (400).
        """
        ...

    def movie(self, presentation: Presentation, query: str) -> Movie:
        """The presentation as one file.

        Raises:
            PackagerError: its program runs (409), a track that is not there (404), or it is no one file (409).
        """
        ...

    def stream(self, path: str) -> tuple[tuple[str, ...], int] | None:
        """The stream that a segment's path belongs to, and its place there; None for what is no segment."""

    def following(self, presentation: Presentation, key: tuple[str, ...], path: str) -> Iterable[str]:
        """The paths of the segments of the stream `key` behind the one at `path`, up to the published edge, oldest first."""
        ...


class Core(Protocol):
    """The part of pypackager._core that executes plans; it blocks and releases the GIL."""

    def make_body(self, body: Body) -> bytes:
        """The bytes of a plan.

        Raises:
            OSError: what was stored is gone.
            ValueError: it can't be read any more.
        """
        ...

    def read_movie(self, pieces: list[MoviePiece]) -> bytes:
        """Parts of stored fragments as they are in a movie; raises the same."""
        ...


class Pages(Protocol):
    """The web pages; answers at once, from memory."""

    def player(self, up: str, root: str, title: str) -> Published:
        """The player page of a presentation.

        Args:
            up: relative path from the page to the site's root: "../" for each folder that the page is in.
            root: of the presentation, relative to the site's root, without slashes at its ends.
            title: what it is called.
        """
        ...

    def static(self, name: str) -> Published | None:
        """A file below /static/."""
        ...


class Recorder(Protocol):
    """Counts requests for whoever watches."""

    def request(self, kind: str, status: int, seconds: float, sent: int) -> None:
        """One request.

        Args:
            kind: manifest, segment, download, presentation (a request that found nothing), time, page, health or other.
            status: of the answer.
            seconds: until the answer was ready to be sent.
            sent: bytes of the body.
        """
        ...

    def requests_at_once(self, kind: str, status: int, count: int, seconds: float, sent: int, within: Sequence[int]) -> None:
        """Many requests of one kind and status.

        Args:
            kind: as above.
            status: as above.
            count: how many.
            seconds: all together.
            sent: bytes, all together.
            within: how many were ready within each bound of the latency histogram, not cumulative; the last: later.
        """


class AccessLog(Protocol):
    """A structlog logger, or anything like it."""

    def info(self, event: str, **fields: Any) -> Any:
        """Something happened."""
        ...

    def error(self, event: str, **fields: Any) -> Any:
        """Something is wrong on our side."""
        ...

    def exception(self, event: str, **fields: Any) -> Any:
        """The same, with the traceback of the exception that is being handled."""
        ...
