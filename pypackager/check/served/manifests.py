"""A manifest asked for again: in gzip and without, by HEAD, by condition, from another site (RFC 9110).

It may change between two questions; only what cannot be explained by that is a breach.
"""

from __future__ import annotations

from pypackager.check.finding import Scope
from pypackager.check.rules import rule
from pypackager.check.served.asking import PLAYER, Asker, expect_status
from pypackager.check.served.resources import CODING, check_condition, check_cors, check_head, check_identity
from pypackager.check.session import Exchange

CODING_ETAG = rule(
    "HTTP-ETAG-CODING", "warning", "RFC 9110 8.8.3.3", "the gzip of a body has another strong ETag than the body",
    example='both have ETag: "7-1": a cache answers one with the other',
)  # fmt: skip
COMPRESSION = rule(
    "HTTP-COMPRESSION", "note", "RFC 9110 8.4", "manifests of more than 10 kB are compressed for who can read that",
    example="an MPD of 400 kB, every two seconds, to every viewer",
)  # fmt: skip

_WORTH_BYTES = 10_000


async def check_manifest(asker: Asker, exchange: Exchange, scope: Scope, *, live: bool) -> None:
    """Checks a manifest; `live`: it may change at any moment."""
    url = exchange.url
    coded = await asker.ask(url, accept_encoding="gzip", origin=PLAYER)
    plain = await asker.ask(url, accept_encoding="identity", origin=PLAYER)
    if not expect_status(coded, 200, scope) or not expect_status(plain, 200, scope):
        return
    after = await asker.ask(url, accept_encoding="gzip") if live else coded
    check_identity(plain, scope)
    if coded.body == after.body != plain.body:
        scope.breach(CODING, f"{len(plain.body)} bytes without coding", f"the {len(coded.body)} bytes that gzip has")
    coding, etag = coded.header("content-encoding"), coded.header("etag")
    if coding and etag and etag == plain.header("etag") and not etag.startswith("W/") and coded.body == plain.body:
        scope.breach(CODING_ETAG, f"{etag} in {coding} and without", "two ETags, or a weak one")
    if not coding and len(coded.body) > _WORTH_BYTES:
        scope.breach(COMPRESSION, f"{len(coded.body)} bytes without coding", "gzip")
    check_cors(plain, scope)
    check_head(plain, await asker.ask(url, method="HEAD", accept_encoding="identity"), scope, fixed=not live)
    await check_condition(asker, after, scope, coding="gzip")
