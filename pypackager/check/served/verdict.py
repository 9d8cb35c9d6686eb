"""Runs every rule on HTTP over a presentation that was walked."""

from __future__ import annotations

from fractions import Fraction
from urllib.parse import urlsplit, urlunsplit

from pypackager.check.finding import Scope
from pypackager.check.presentation import Presentation
from pypackager.check.rules import rule
from pypackager.check.served.asking import Asker, choose_manifests, choose_media
from pypackager.check.served.headers import check_headers
from pypackager.check.served.lifetimes import check_lifetimes
from pypackager.check.served.manifests import check_manifest
from pypackager.check.served.resources import check_resource
from pypackager.check.session import Session

MISSING = rule(
    "HTTP-MISSING", "error", "RFC 9110 15.5.5", "what does not exist is answered with an error of the client, such as 404",
    example="200 and a page that says sorry: a player decodes it",
)  # fmt: skip


async def check_served(presentation: Presentation, session: Session) -> None:
    """Asks a few questions more, and judges all answers."""
    asker, scope = Asker(session), session.scope
    live = presentation.live
    check_headers(list(session.exchanges), presentation.format, scope)
    for exchange in choose_manifests(session.exchanges):
        await check_manifest(asker, exchange, scope.at(track=exchange.track, url=exchange.url), live=live)
    media = choose_media(session.exchanges, presentation, quick=session.settings.depth == "quick")
    for exchange in media:
        await check_resource(asker, exchange, scope.at(track=exchange.track, url=exchange.url))
    if media:
        await _check_missing(asker, media[-1].url, scope)
    longest = max((listing.duration for track in presentation.tracks for listing in track.listings.values()), default=Fraction(0))
    check_lifetimes(session.exchanges, longest, scope, live=live)


async def _check_missing(asker: Asker, url: str, scope: Scope) -> None:
    parts = urlsplit(url)
    folder, _, name = parts.path.rpartition("/")
    missing = urlunsplit(parts._replace(path=f"{folder}/missing-{name}"))
    answer = await asker.ask_missing(missing)
    if not 400 <= answer.status < 500:
        scope.at(url=missing).breach(MISSING, answer.status or answer.fault, "404")
