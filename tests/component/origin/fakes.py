"""Everything around the origin, small and countable, and a client that calls the application without a socket."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, Literal

import msgspec
import trio

from pypackager._core import Audience, Gate, Policy, Proxies, Room
from pypackager.model.errors import PackagerError
from pypackager.model.plan import Body, Movie, MoviePiece, Published, Range, SmoothFragment, Source, Stored, TsSegment
from pypackager.model.presentation import Presentation
from pypackager.model.track import Kind
from pypackager.origin.app import Origin, create_app
from pypackager.origin.ports import Endpoint, Health, Publication

SEGMENT = bytes(range(256)) * 400
PLAYLIST = b"#EXTM3U\n" + b"#EXTINF:2.0,\nseg.m4s\n" * 100
KEYS = [("k1", b"secret")]
NOW_NS = 1_700_000_000_123_456_789


def presentation(version: int = 1, **changes: Any) -> Presentation:
    """A presentation without tracks: the origin looks at nothing else of it."""
    empty = Presentation(
        name="show",
        version=version,
        tracks=(),
        periods=(),
        anchor_ns=0,
        interval_ns=4_000_000_000,
        fragments_per_segment=1,
        target_duration_s=4,
        window_ns=300_000_000_000,
        ended=False,
        published_ns=7,
        blob_paths={},
        caches={},
    )
    return msgspec.structs.replace(empty, **changes)


class FakeCatalog:
    """Publishes `show/show` and previews `news`; `fault` is raised instead when set."""

    def __init__(self) -> None:
        self.presentation = presentation()
        self.fault: PackagerError | None = None
        self.ready = True
        self.preview_clients: list[str] = []
        self.terms: dict[str, Any] = {}
        """Of the gate."""
        self.served = Endpoint(Policy(running=True))
        self.audience = Audience()
        self.silent: dict[Kind, float] = {}
        self.kept: dict[str, Any] = {}
        """How long answers may be kept."""

    def preview(self, channel: str, client: str) -> Presentation | None:
        self.preview_clients.append(client)
        if self.fault is not None:
            raise self.fault
        return self.presentation if channel == "news" else None

    def located(self, locator: str, asset: str) -> Presentation | None:
        if self.fault is not None:
            raise self.fault
        return self.presentation if (locator, asset) in {("show", "show"), ("a/b", "Größe (1)")} else None

    def preview_policies(self, channel: str) -> tuple[str | None, str | None] | None:
        return (None, "<cross-domain-policy/>") if channel == "news" else None

    def silent_s(self, locator: str) -> dict[Kind, float]:
        return self.silent

    def condition(self, channel: str, client: str) -> dict[str, Any] | None:
        self.preview_clients.append(client)
        if self.fault is not None:
            raise self.fault
        return {"state": "Running", "tracks": []} if channel == "news" else None

    def room(self, channel: str) -> Room:
        return self.audience.room("default", channel, "")

    def endpoint(self) -> Endpoint:
        return self.served

    def publication(self, locator: str) -> Publication | None:
        asset = {"show": "show", "a/b": "Größe (1)"}.get(locator)
        if asset is None:
            return None
        gate, room = Gate(f"/{locator}/{asset}.ism", KEYS, **self.terms), self.audience.room("default", "news", locator)
        return Publication(asset, gate, room, **self.kept)

    def health(self) -> Health:
        return Health(self.ready, {"channels": 1})


class FakePackager:
    """A manifest, segments of every kind, and the errors; remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, str, str]] = []
        self.media: Range = ("/blob", 100, len(SEGMENT))

    def answer(self, presentation: Presentation, path: str, query: str) -> Published:
        self.asked.append((presentation.version, path, query))
        etag = f"{path}-{presentation.version}"
        source = Source(b"init", (self.media,))
        match path:
            case "manifest(format=m3u8-cmaf)" | "master.m3u8" | "manifest":
                return Published("application/vnd.apple.mpegurl", PLAYLIST, "manifest", etag)
            case "v/1.m4s":
                return Published("video/mp4", Stored((self.media, ("/blob2", 0, 10))), "immutable", "v1")
            case "v/1.ts":
                return Published("video/mp2t", TsSegment(source, None), "immutable", "ts1")
            case "QualityLevels(800)/Fragments(video=0)":
                body = SmoothFragment(source, 1, 1, 0, 20, 0, ((20, 20),), inband=False)
                return Published("video/mp4", body, "immutable", "s1", headers=(("Pragma", 'ChildTrack="ad=1"'),))
            case "early":
                raise PackagerError("TOO_EARLY", "not there yet", status=412)
            case "broken":
                raise ZeroDivisionError
        raise PackagerError("NOT_FOUND", "no such resource", status=404)

    def movie(self, presentation: Presentation, query: str) -> Movie:
        raise PackagerError("NOT_ENDED", f"version {presentation.version} goes on, whatever {query} says", status=409)

    def stream(self, path: str) -> tuple[tuple[str, ...], int] | None:
        name, _, place = path.removesuffix(".m4s").rpartition("/")
        return ((name,), int(place)) if path.endswith(".m4s") else None

    def following(self, presentation: Presentation, key: tuple[str, ...], path: str) -> list[str]:
        found = self.stream(path)
        assert found is not None
        (name,), place = found
        assert key == (name,)
        return [f"{name}/{later}.m4s" for later in range(place + 20, presentation.version * 20, 20)]


class FakeCore:
    """Counts what it executes; `gate` holds it up, `fault` is raised instead when set."""

    def __init__(self) -> None:
        self.calls: list[Body] = []
        self.fault: Exception | None = None
        self.gate: threading.Event | None = None

    def read_movie(self, pieces: list[MoviePiece]) -> bytes:
        return bytes(sum(piece[4] for piece in pieces))

    def make_body(self, body: Body) -> bytes:
        self.calls.append(body)
        if self.gate is not None:
            assert self.gate.wait(10)
        if self.fault is not None:
            raise self.fault
        match body:
            case Stored():
                stored = {"/blob": bytes(100) + SEGMENT, "/blob2": b"0123456789"}
                return b"".join(stored[path][start : start + size] for path, start, size in body.ranges)
            case TsSegment():
                return b"G" * 188 * 10
            case SmoothFragment():
                return b"smooth"
            case _:
                return b"f4f"


class FakePages:
    """One page that names its root, one script."""

    def player(self, up: str, root: str, title: str) -> Published:
        return Published("text/html; charset=utf-8", f"<title>{title}</title>{up}{root}".encode(), "manifest", "page")

    def static(self, name: str) -> Published | None:
        found = name in {"player.js", "favicon.svg"}
        return Published("text/javascript", b"// script", "manifest", "js", gzip=b"zipped") if found else None


class Notes:
    """An access log and a recorder."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []
        self.errors: list[dict[str, Any]] = []
        self.counted: list[tuple[str, int, int]] = []
        self._told = trio.Event()

    def info(self, event: str, **fields: Any) -> None:
        self.lines.append({"event": event, **fields})
        self._told.set()
        self._told = trio.Event()

    async def wait_for_lines(self, count: int) -> None:
        """Waits until so many lines are in the log."""
        while len(self.lines) < count:
            await self._told.wait()

    def error(self, event: str, **fields: Any) -> None:
        self.errors.append({"event": event, **fields})

    def exception(self, event: str, **fields: Any) -> None:
        self.error(event, **fields)

    def request(self, kind: str, status: int, seconds: float, sent: int) -> None:
        assert seconds >= 0
        self.counted.append((kind, status, sent))

    def requests_at_once(self, kind: str, status: int, count: int, seconds: float, sent: int, within: Sequence[int]) -> None:
        assert sum(within) == count
        self.counted += [(kind, status, sent // count)] * count


class Answer(msgspec.Struct, frozen=True):
    """A reply as a client sees it."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """The body, decoded."""
        return msgspec.json.decode(self.body)


class World:
    """The application with fakes all around."""

    def __init__(
        self, *, trusted_proxies: Sequence[str] = (), proxy_header: Literal["x-forwarded-for", "forwarded"] = "x-forwarded-for"
    ) -> None:
        self.catalog = FakeCatalog()
        self.packager = FakePackager()
        self.core = FakeCore()
        self.notes = Notes()
        self.app: Origin = create_app(
            self.catalog,
            self.packager,
            self.core,
            FakePages(),
            log=self.notes,
            recorder=self.notes,
            proxies=Proxies(list(trusted_proxies), proxy_header),
            utc_ns=lambda: NOW_NS,
        )

    async def ask(self, target: str, *, method: str = "GET", client: str = "192.0.2.7", **headers: str) -> Answer:
        """One request; header names are written with underscores."""
        path, _, query = target.encode().partition(b"?")
        scope: dict[str, Any] = {
            "type": "http",
            "method": method,
            "path": "not looked at",
            "raw_path": path,
            "query_string": query,
            "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()],
            "client": (client, 50_000),
        }
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        async def receive() -> Any:
            raise AssertionError("the origin reads no request bodies")

        await self.app(scope, receive, send)
        start, body = sent
        names = [name.decode() for name, _ in start["headers"]]
        assert len(set(names)) == len(names), f"a header is sent twice: {names}"
        assert all(name == name.lower() for name in names)
        received = {name.decode(): value.decode() for name, value in start["headers"]}
        if method != "HEAD" and start["status"] not in (204, 304):
            assert received["content-length"] == str(len(body["body"]))
        return Answer(start["status"], received, body["body"])
