"""What the origin needs from the rest of the program, declared by the one who needs it.

In: nothing. Out: Protocols. Never: an implementation.
"""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from pypackager.model.plan import Published, Range
from pypackager.model.presentation import Presentation


class Health(msgspec.Struct, frozen=True):
    """What /healthz and /readyz say."""

    ready: bool
    """Journals are replayed and what is published can be asked for."""
    detail: dict[str, Any] = {}
    """Shown as it is; JSON values only."""


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

    def asset(self, locator: str) -> str | None:
        """Name of the asset that a locator publishes; None when there is no such locator."""
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


class Core(Protocol):
    """The part of pypackager._core that executes plans; it blocks and releases the GIL."""

    def read_ranges(self, ranges: list[Range]) -> bytes:
        """As stored."""
        ...

    def ts_segment(self, video_init: bytes | None, video: list[Range], audio_init: bytes | None, audio: list[Range]) -> bytes:
        """An MPEG-TS segment."""
        ...

    def smooth_fragment(
        self,
        init: bytes,
        ranges: list[Range],
        track_id: int,
        sequence: int,
        time: int,
        duration: int,
        composition_shift: int,
        successors: list[tuple[int, int]],
        inband: bool,
    ) -> bytes:
        """A Smooth Streaming fragment."""
        ...

    def f4f_fragment(
        self, video_init: bytes | None, video: list[Range], audio_init: bytes | None, audio: list[Range], origin_ns: int
    ) -> bytes:
        """An HDS fragment."""
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
            kind: manifest, segment, presentation (either, when the answer is an error), time, page, health or other.
            status: of the answer.
            seconds: until the answer was ready to be sent.
            sent: bytes of the body.
        """
        ...


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
