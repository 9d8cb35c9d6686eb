"""What those who watch are told, declared once for all who tell."""

from __future__ import annotations

from typing import Any, Literal, Protocol

NewsKind = Literal["state", "alert", "publish", "operation", "resource"]
"""A channel or program has another state; something was raised; an encoder began or ended; a command is carried out; what there is to
be was made, changed or deleted."""


class Tell(Protocol):
    """Tells those who watch; at once, from any thread."""

    def __call__(self, kind: NewsKind, subject: str, /, **data: Any) -> None:
        """Tells of a subject: a path of the API, below /v1."""
        ...


def silent(kind: NewsKind, subject: str, /, **data: Any) -> None:
    """Nobody watches."""
