"""The one error that crosses stage borders, with a stable code."""

from __future__ import annotations

from typing import Literal

Fault = Literal["peer", "operator", "us"]


class PackagerError(Exception):
    """Something is wrong, and we can say what, where and whose fault it is.

    Args:
        code: stable SCREAMING_SNAKE code, documented in docs/reference/codes.md.
        detail: what was found and what was expected, for a person.
        status: HTTP status that fits when the fault is answered over HTTP.
        where: place of the fault: a URL path, a file and line, a box path.
        fault: who has to act: the peer that sent it, the operator, or this program.
    """

    def __init__(self, code: str, detail: str, *, status: int = 400, where: str = "", fault: Fault = "peer") -> None:
        super().__init__(f"{code}: {detail}" + (f" ({where})" if where else ""))
        self.code = code
        self.detail = detail
        self.status = status
        self.where = where
        self.fault: Fault = fault
