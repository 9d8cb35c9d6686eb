"""Asks once more about what a walk has seen: the few requests that the rules on HTTP need, through the origin and its rate."""

from __future__ import annotations

from pypackager.check.finding import Scope
from pypackager.check.origin import Answer
from pypackager.check.presentation import Presentation, Track
from pypackager.check.session import STATUS, Exchange, Role, Session

PLAYER = "https://player.invalid"
"""The origin of a page that plays; the name is reserved (RFC 6761 6.4)."""


class Asker:
    """Asks, one question after the other."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def ask(self, url: str, *, method: str = "GET", **headers: str) -> Answer:
        """Asks with these headers, `_` standing for `-`."""
        answer = await self._session.origin.ask(
            url, method=method, headers=tuple((name.replace("_", "-"), value) for name, value in headers.items())
        )
        self._session.progress.requests += 1
        self._session.progress.bytes += len(answer.body)
        return answer

    async def ask_missing(self, url: str) -> Answer:
        """Asks for what should not be there; the answer's lifetime is judged with all others."""
        answer = await self.ask(url)
        self._session.note(answer, "other")
        return answer


def expect_status(answer: Answer, wanted: int, scope: Scope) -> bool:
    """Whether what was there is there again."""
    if answer.status != wanted:
        scope.breach(STATUS, f"{answer.status or answer.fault}, asked again", wanted)
    return answer.status == wanted


def choose_manifests(exchanges: list[Exchange]) -> list[Exchange]:
    """The newest answer of each kind of manifest."""
    kinds: tuple[Role, ...] = ("manifest", "playlist", "bootstrap")
    return [exchange for kind in kinds if (exchange := _newest(exchanges, kind)) is not None]


def choose_media(exchanges: list[Exchange], presentation: Presentation, *, quick: bool) -> list[Exchange]:
    """A header, and two segments that are still listed, of different tracks where there are several; when quick, one segment."""
    by_url: dict[str, Exchange] = {}
    for exchange in exchanges:
        if exchange.role == "segment" and exchange.status in (200, 206):
            by_url.setdefault(exchange.url, exchange)
    listed = [urls for track in presentation.tracks if (urls := _listed(track, by_url))]
    if not listed:
        return []
    newest = by_url[listed[0][-1]]
    # Behind the middle of the window: what is at its head may be gone when it is asked for.
    older = by_url[listed[-1][len(listed[-1]) * 2 // 3]]
    header = _newest(exchanges, "init")
    return [newest] if quick else [*([header] if header else []), newest, *([older] if older is not newest else [])]


def _listed(track: Track, by_url: dict[str, Exchange]) -> list[str]:
    first = track.looks[-1].start if track.looks else None
    return [listing.url for listing in track.listings.values() if listing.url in by_url and (first is None or listing.start >= first)]


def _newest(exchanges: list[Exchange], role: Role) -> Exchange | None:
    return next((each for each in reversed(exchanges) if each.role == role and each.status in (200, 206)), None)
