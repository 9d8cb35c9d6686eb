"""The console's files as answers: the player page, its scripts and styles.

In: names. Out: Published answers, read and deflated once. Never: a path that a request chose.
"""

from __future__ import annotations

import hashlib
import html
import zlib
from importlib import resources
from importlib.resources.abc import Traversable

from pypackager.model.plan import Published

POLICY = (
    "default-src 'self'; connect-src 'self' blob: data:; img-src 'self' data:; media-src 'self' blob:; worker-src 'self' blob:; "
    "object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
"""Content-Security-Policy of every page: no outside host is ever asked; blob: is for Media Source Extensions and the players' workers."""

_TYPES = {
    "css": "text/css; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "json": "application/json",
    "svg": "image/svg+xml",
    "txt": "text/plain; charset=utf-8",
}
_SECURITY = (("Content-Security-Policy", POLICY), ("X-Content-Type-Options", "nosniff"), ("Referrer-Policy", "no-referrer"))


class Pages:
    """The web pages; every file is found by name in a list made at the start, so no request can name another."""

    def __init__(self) -> None:
        here = resources.files("pypackager.console")
        self._files = dict(_walk(here / "static", ""))
        self._player = (here / "player.html").read_text(encoding="utf-8")
        self._answers: dict[str, Published] = {}

    def static(self, name: str) -> Published | None:
        """A file below /static/, or None."""
        known = self._answers.get(name)
        if known is None and name in self._files:
            suffix = name.rpartition(".")[2]
            known = self._answers[name] = _page(self._files[name].read_bytes(), _TYPES.get(suffix, "application/octet-stream"))
        return known

    def player(self, up: str, root: str, title: str) -> Published:
        """The player page.

        Args:
            up: what leads from the page's URL to the site's root ("../"), so that the page works behind any CDN path.
            root: the presentation's root, relative to the site's root.
            title: what it is called.
        """
        text = self._player
        for name, value in (("up", up), ("root", up + root), ("title", title)):
            text = text.replace("{{" + name + "}}", html.escape(value))
        return _page(text.encode(), _TYPES["html"])


def _page(body: bytes, content_type: str) -> Published:
    deflate = zlib.compressobj(level=6, wbits=31)
    return Published(
        content_type,
        body,
        "manifest",
        hashlib.sha256(body).hexdigest()[:16],
        gzip=deflate.compress(body) + deflate.flush(),
        headers=_SECURITY,
    )


def _walk(folder: Traversable, prefix: str) -> list[tuple[str, Traversable]]:
    found: list[tuple[str, Traversable]] = []
    for entry in folder.iterdir():
        if entry.is_dir():
            found += _walk(entry, f"{prefix}{entry.name}/")
        else:
            found.append((prefix + entry.name, entry))
    return found
