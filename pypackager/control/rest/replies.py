"""Answers that are alike everywhere: with an ETag, created, accepted, refused."""

from __future__ import annotations

from typing import Any, Protocol, TypeVar, cast

from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException

from pypackager.control.operations import Operation
from pypackager.model.errors import PackagerError


class Tagged(Protocol):
    """A view of a resource."""

    @property
    def etag(self) -> str:
        """Of its version."""
        ...


View = TypeVar("View", bound=Tagged)
_CODES = {404: "NOT_FOUND", 405: "METHOD_NOT_ALLOWED", 413: "BODY_TOO_LARGE", 415: "MEDIA_TYPE"}


def tagged(view: View) -> Response[View]:
    """A resource, with its version."""
    return Response(view, headers={"ETag": f'"{view.etag}"', "Cache-Control": "no-store"})


def made(view: View, path: str) -> Response[View]:
    """A resource that is new at a path."""
    return Response(view, status_code=201, headers={"ETag": f'"{view.etag}"', "Location": path})


def accepted(operation: Operation) -> Response[Operation]:
    """A command that is durable and under way."""
    return Response(operation, status_code=202, headers={"Location": f"/v1/operations/{operation.id}"})


def refused(_: Request[Any, Any, Any], error: PackagerError) -> Response[dict[str, Any]]:
    """A problem with its code (RFC 9457)."""
    return _problem(error.status, error.code, error.detail, {"Retry-After": "1"} if error.code == "OPERATION_PENDING" else {})


def misunderstood(_: Request[Any, Any, Any], error: HTTPException) -> Response[dict[str, Any]]:
    """A request that the framework could not bring to a handler."""
    detail = error.detail
    if isinstance(error, ValidationException) and isinstance(error.extra, list):
        # As the framework words them; not all have a key.
        faults = cast("list[dict[str, str]]", error.extra)
        detail = "; ".join(f"{fault.get('key', 'body')}: {fault['message']}" for fault in faults) or detail
    code = _CODES.get(error.status_code, "INVALID" if error.status_code < 500 else "INTERNAL")
    return _problem(error.status_code, code, detail, dict(error.headers or {}))


def _problem(status: int, code: str, detail: str, headers: dict[str, str]) -> Response[dict[str, Any]]:
    body = {"type": "about:blank", "title": code, "status": status, "code": code, "detail": detail}
    return Response(body, status_code=status, headers=headers, media_type="application/problem+json")
