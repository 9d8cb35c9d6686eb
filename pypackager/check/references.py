"""References in manifests (RFC 3986 5): a base and a reference in, the URL that is asked for out."""

from __future__ import annotations

from urllib.parse import quote, urljoin


def resolve_reference(base: str, reference: str) -> str:
    """The URL that a reference stands for; one that is none (`//[::1`) is escaped: a name that the origin does not know."""
    try:
        return urljoin(base, reference)
    except ValueError:
        return urljoin(base, quote(reference, safe="", errors="replace"))
