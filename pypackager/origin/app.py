"""The ASGI application.

In: requests of players and caches. Out: replies, access log lines, counts. Never: a framework, or anything of the ingest side.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, MutableMapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, TypeVar
from zlib import crc32

import msgspec

from pypackager._core import Proxies, Room, split_cmcd
from pypackager.model.errors import PackagerError
from pypackager.model.plan import Published
from pypackager.model.presentation import Presentation
from pypackager.origin.admission import admit, enter, let_read, shown, streams, without_token
from pypackager.origin.ahead import Ahead, Front, terms_of
from pypackager.origin.answers import Answers
from pypackager.origin.bodies import Bodies
from pypackager.origin.downloads import DOWNLOAD, Downloads, send_parts
from pypackager.origin.liveness import liveness
from pypackager.origin.ports import AccessLog, Catalog, Core, Packager, Pages, Publication, Recorder
from pypackager.origin.proxies import client
from pypackager.origin.reply import METHODS, Reply, Terms, answer, preflight, problem
from pypackager.origin.target import Route, parse_target, presentation_root, preview_root

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
_T = TypeVar("_T")
F = TypeVar("F")
Report = tuple[list[tuple[str, str, str, int, str, int, float, str]], int, list[tuple[str, int, int, int, float, list[int]]]]
"""Of a front: a line for each answer, how many have none, sums by kind and status; see _core.FrontDoor.report."""

_POLICIES = ("clientaccesspolicy.xml", "crossdomain.xml")
_KINDS = {"locator": "presentation", "preview": "presentation", "play": "page", "play-preview": "page", "static": "page", "time": "time"}
"""What a request is counted as when it finds nothing."""
_PAGE = Terms(120 * 1_000_000_000)
"""A page or a policy file may be kept for half of it."""
_CROSSDOMAIN = (
    b'<?xml version="1.0"?>\n<cross-domain-policy><allow-access-from domain="*" secure="false"/>'
    b'<allow-http-request-headers-from domain="*" headers="*" secure="false"/></cross-domain-policy>\n'
)
_CLIENTACCESS = (
    b'<?xml version="1.0" encoding="utf-8"?>\n<access-policy><cross-domain-access><policy>'
    b'<allow-from http-methods="*" http-request-headers="*"><domain uri="*"/></allow-from>'
    b'<grant-to><resource path="/" include-subpaths="true"/></grant-to></policy></cross-domain-access></access-policy>\n'
)


class _Found(msgspec.Struct, frozen=True):
    published: Published
    kind: str
    terms: Terms = _PAGE
    room: Room | None = None
    """Where who is given it is counted."""


class _Request(msgspec.Struct, frozen=True):
    method: str
    path: str
    shown: str
    """The path without its token."""
    query: str
    """Without what the player tells of itself."""
    headers: dict[str, str]
    client: str


class Origin:
    """The application; see create_app."""

    def __init__(
        self,
        catalog: Catalog,
        packager: Packager,
        core: Core,
        pages: Pages,
        *,
        log: AccessLog,
        recorder: Recorder,
        proxies: Proxies,
        utc_ns: Callable[[], int],
        cache_bytes: int,
    ) -> None:
        self._catalog = catalog
        self._answers = Answers(packager, capacity=cache_bytes // 2)
        self._bodies = Bodies(core, capacity=cache_bytes)
        self._downloads = Downloads(core)
        self._pages = pages
        self._log = log
        self._recorder = recorder
        self._proxies = proxies
        self._utc_ns = utc_ns
        self._packager = packager
        self._ahead: Ahead[Any] | None = None

    @property
    def proxies(self) -> Proxies:
        """Those that are believed about a viewer's address."""
        return self._proxies

    def stand_behind(self, front: Front[F], wrap: Callable[[Published, Terms], F]) -> None:
        """Gives what it answers, and what will be asked for next, to a native front as well."""
        self._ahead = Ahead(front, wrap, self._answers, self._packager, self._catalog, time.monotonic_ns)
        # What came by here once would stay for ever: the next who ask are answered by the front.
        self._bodies.only_share()

    def turn(self) -> None:
        """Something may have been published: the front gets it before it is asked for."""
        if self._ahead is not None:
            self._ahead.turn()

    def take_report(self, report: Report) -> None:
        """Logs and counts what a front answered by itself."""
        lines, unsaid, sums = report
        for kind, status, count, sent, seconds, within in sums:
            self._recorder.requests_at_once(kind, status, count, seconds, sent, within)
        for viewer, method, target, status, _, sent, seconds, agent in lines:
            self._log.info(
                "request",
                client=viewer,
                method=method,
                path=target,
                query="",
                status=status,
                code="",
                bytes=sent,
                ms=round(seconds * 1000, 2),
                agent=agent,
            )
        if unsaid:
            self._log.info("requests without a line", count=unsaid)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI entry."""
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close"})
        else:
            await self._http(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = time.perf_counter()
        raw_path: bytes = scope.get("raw_path") or scope["path"].encode()
        fields = [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in scope["headers"]]
        headers, path = dict(fields), raw_path.decode("latin-1")
        query, session = split_cmcd(scope["query_string"].decode("latin-1"), headers.get("cmcd-session", ""))
        request = _Request(scope["method"], path, shown(path), query, headers, client(self._proxies, _peer(scope), fields))
        kind, reply, room = await self._reply(request)
        took = time.perf_counter() - begun
        shown_fields = let_read(self._catalog.endpoint(), headers.get("origin", ""), reply.headers)
        await send({"type": "http.response.start", "status": reply.status, "headers": list(shown_fields)})
        gave = None if room is None or reply.status >= HTTPStatus.BAD_REQUEST else room.gave
        who = (request.client, headers.get("user-agent", ""), session)
        sent = 0 if request.method == "HEAD" else len(reply.body)
        # As in the front: who has an answer was counted.
        if gave is not None:
            gave(*who, sent)
        if reply.parts is not None:
            sent = await send_parts(reply.parts, receive, send)
            if gave is not None:
                gave(*who, sent)
        else:
            await send({"type": "http.response.body", "body": reply.body})
        self._recorder.request(kind, reply.status, took, sent)
        self._log.info(
            "request",
            client=request.client,
            method=request.method,
            path=request.shown,
            query=request.query,
            status=reply.status,
            code=reply.code,
            bytes=sent,
            ms=round(took * 1000, 2),
            total_ms=round((time.perf_counter() - begun) * 1000, 2),
            agent=headers.get("user-agent", ""),
        )

    async def _reply(self, request: _Request) -> tuple[str, Reply, Room | None]:
        kind, shared = "other", True
        try:
            if request.method == "OPTIONS":
                return kind, preflight(), None
            if request.method not in ("GET", "HEAD"):
                error = PackagerError("METHOD_NOT_ALLOWED", f"this resource knows {METHODS}", status=405)
                return kind, problem(error, request.shown, shared=True), None
            route = parse_target(request.path.encode("latin-1"), request.query.encode("latin-1"))
            shared = route.place != "preview" and route.token is None
            kind = _KINDS.get(route.place, "other")
            if route.place == "locator" and route.rest == DOWNLOAD:
                publication, presentation = self._located(route, request)
                movie = self._packager.movie(presentation, request.query)
                head, shared = request.method == "HEAD", not publication.signed
                return "download", await self._downloads.answer(movie, request.headers, head=head, shared=shared), publication.room
            found = self._find(route, request)
            kind = found.kind
            reply = await answer(found.published, self._bodies, request.headers, head=request.method == "HEAD", terms=found.terms)
        except PackagerError as error:
            if error.fault == "us":
                self._log.error("answer_failed", path=request.shown, code=error.code, detail=error.detail)
            return kind, problem(error, request.shown, shared=shared), None
        except Exception as error:  # noqa: BLE001 - the border of one request: see below
            # A failure is logged with its traceback and ends nobody else's stream.
            self._log.exception("answer_failed", path=request.shown, code="INTERNAL", detail=repr(error))
            fault = PackagerError("INTERNAL", "the origin failed on this request", status=500, fault="us")
            return kind, problem(fault, request.shown, shared=False), None
        else:
            return kind, reply, found.room

    def _find(self, route: Route, request: _Request) -> _Found:
        match route.place:
            case "locator":
                publication, presentation = self._located(route, request)
                root = presentation_root(route.name, route.asset)
                published = self._answers.ask(root, presentation, route.rest, request.query)
                if self._ahead is not None and not request.query and published.status == HTTPStatus.OK:
                    target = without_token(request.path)
                    self._ahead.offer(root, route.name, publication, target, route.rest, presentation, published)
                return _Found(published, _kind(published), terms_of(self._catalog.endpoint(), publication, presentation), publication.room)
            case "preview" if route.rest in _POLICIES:
                texts = _present(self._catalog.preview_policies(route.name), f"no channel {route.name!r}")
                return _policy(route.rest, texts[_POLICIES.index(route.rest)])
            case "preview" if route.rest == "health.json":
                condition = _present(self._catalog.condition(route.name, request.client), f"no channel {route.name!r}")
                return _Found(Published("application/json", msgspec.json.encode(condition), "none", "condition"), "health")
            case "preview":
                presentation = _present(self._catalog.preview(route.name, request.client), f"no channel {route.name!r}")
                published = self._answers.ask(preview_root(route.name), presentation, route.rest, request.query)
                terms = Terms(presentation.interval_ns, shared=False)
                return _Found(published, _kind(published), terms, self._catalog.room(route.name))
            case "play":
                publication = self._admitted(route, request)
                # The page and the presentation inherit the token alike.
                name = route.name if route.token is None else f"{route.name}/~{route.token}"
                page = self._player(presentation_root(name, publication.asset), publication.asset, folders=name.count("/") + 1)
                return msgspec.structs.replace(page, terms=msgspec.structs.replace(_PAGE, shared=not publication.signed))
            case "play-preview":
                return self._player(preview_root(route.name), f"{route.name} (preview)", folders=2)
            case "static":
                return _Found(_present(self._pages.static(route.name), "no such file"), "page")
            case "time":
                return _Found(Published("text/plain; charset=utf-8", _xs_date_time(self._utc_ns()), "none", "time"), "time")
            case "health" if route.name:
                return self._live(route.name)
            case "health" | "ready":
                return self._health(ready=route.place == "ready")
            case "crossdomain":
                return _policy("crossdomain.xml", self._catalog.endpoint().cross_domain)
            case "clientaccess":
                return _policy("clientaccesspolicy.xml", self._catalog.endpoint().client_access)
            case "none":
                raise _missing("nothing lives at this path")

    def _admitted(self, route: Route, request: _Request) -> Publication:
        enter(self._catalog.endpoint(), request.client, request.headers)
        publication = _present(self._catalog.publication(route.name), f"no locator {route.name!r}")
        admit(publication, route.token, request.client, self._utc_ns() // 1000)
        return publication

    def _located(self, route: Route, request: _Request) -> tuple[Publication, Presentation]:
        publication = self._admitted(route, request)
        found = self._catalog.located(route.name, route.asset)
        return publication, _present(found, f"no presentation {route.asset!r} under {route.name!r}")

    def _player(self, root: str, title: str, *, folders: int) -> _Found:
        # Relative, so that the page works below any path that a CDN puts in front of ours.
        return _Found(self._pages.player("../" * folders, root.removeprefix("/"), title), "page")

    def _live(self, locator: str) -> _Found:
        publication = _present(self._catalog.publication(locator), f"no locator {locator!r}")
        streams(self._catalog.endpoint(), publication, self._utc_ns() // 1000)
        presentation = _present(self._catalog.located(locator, publication.asset), f"nothing under {locator!r}")
        body = msgspec.json.encode(liveness(presentation, self._catalog.silent_s(locator)))
        return _Found(Published("application/json", body, "none", "health"), "health")

    def _health(self, *, ready: bool) -> _Found:
        health = self._catalog.health()
        status = 503 if ready and not health.ready else 200
        body = msgspec.json.encode({"status": "ready" if health.ready else "starting", **health.detail})
        return _Found(Published("application/json", body, "none", "health", status=status), "health")


def create_app(
    catalog: Catalog,
    packager: Packager,
    core: Core,
    pages: Pages,
    *,
    log: AccessLog,
    recorder: Recorder,
    proxies: Proxies | None = None,
    utc_ns: Callable[[], int] = time.time_ns,
    cache_bytes: int = 16 * 2**20,
) -> Origin:
    """The origin as an ASGI application.

    Args:
        catalog: finds presentations.
        packager: renders what is asked for below them.
        core: executes plans.
        pages: the web pages.
        log: takes one line per request.
        recorder: counts requests.
        proxies: those that are believed about a viewer's address; None: nobody.
        utc_ns: the clock behind /time, and of what is published from or until an instant.
        cache_bytes: media that is kept for viewers of the same segment; half as much is kept of manifests.
    """
    return Origin(
        catalog,
        packager,
        core,
        pages,
        log=log,
        recorder=recorder,
        proxies=proxies or Proxies([]),
        utc_ns=utc_ns,
        cache_bytes=cache_bytes,
    )


def _peer(scope: Scope) -> str | None:
    # On a Unix socket, which nobody but our own front reaches, there is none.
    peer = scope.get("client")
    return None if peer is None else str(peer[0])


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


def _policy(name: str, text: str | None) -> _Found:
    """A cross-site policy: the operator's, or the usual one, which lets everybody."""
    if text == "":
        raise _missing("there is no such policy")
    content_type, usual = ("text/x-cross-domain-policy", _CROSSDOMAIN) if name == "crossdomain.xml" else ("text/xml", _CLIENTACCESS)
    body = usual if text is None else text.encode()
    return _Found(Published(content_type, body, "manifest", f"policy-{crc32(body):x}"), "other")


def _kind(published: Published) -> str:
    return "segment" if published.lifetime == "immutable" else "manifest"


def _present(value: _T | None, detail: str) -> _T:
    if value is None:
        raise _missing(detail)
    return value


def _missing(detail: str) -> PackagerError:
    return PackagerError("NOT_FOUND", detail, status=404)


def _xs_date_time(utc_ns: int) -> bytes:
    """ISO 8601 and xs:dateTime at once (ISO 23009-1 5.8.4.11): UTC with milliseconds."""
    seconds, nanos = divmod(utc_ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{nanos // 1_000_000:03d}Z".encode()
