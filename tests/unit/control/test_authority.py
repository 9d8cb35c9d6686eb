"""Who may ask the control listener what."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from pypackager.control.authority import Asked, authorize, digest, needed
from pypackager.control.resources import ApiToken, Role
from pypackager.model.errors import PackagerError

NOW = datetime(2026, 11, 22, 2, 0, tzinfo=UTC)
FAR = "192.0.2.1"


def token(role: Role, expires: datetime | None = None) -> ApiToken:
    return ApiToken(name=role, role=role, digest=digest(f"secret of the {role}"), expires=expires, created=NOW, modified=NOW)


TOKENS = [token("viewer"), token("operator"), token("admin")]


def judged(method: str = "GET", path: str = "/v1/channels", peer: str = FAR, **headers: str) -> str:
    asked = Asked(method, path, {name.replace("_", "-"): value for name, value in headers.items()}, peer)
    try:
        authorize(asked, TOKENS, NOW)
    except PackagerError as error:
        return f"{error.status} {error.code}"
    return ""


@pytest.mark.parametrize(
    ("peer", "headers", "code"),
    [
        ("127.0.0.1", {"host": "127.0.0.1:8090"}, ""),
        ("::1", {"host": "[::1]:8090", "origin": "http://[::1]:8090"}, ""),
        ("::ffff:127.0.0.1", {"host": "localhost"}, ""),
        (FAR, {"host": "localhost"}, "401 API_TOKEN_MISSING"),
        ("", {"host": "localhost"}, "401 API_TOKEN_MISSING"),
        ("127.0.0.1", {"host": "localhost", "x_forwarded_for": FAR}, "401 API_TOKEN_MISSING"),
        ("127.0.0.1", {"host": "localhost", "forwarded": "for=127.0.0.1"}, "401 API_TOKEN_MISSING"),
        ("127.0.0.1", {"host": "localhost", "via": "1.1 proxy"}, "401 API_TOKEN_MISSING"),
        ("127.0.0.1", {"host": "evil.example"}, "403 CONTROL_CROSS_SITE"),
        ("127.0.0.1", {"host": "localhost", "origin": "https://evil.example"}, "403 CONTROL_CROSS_SITE"),
        ("127.0.0.1", {"host": "localhost", "authorization": "Basic YTpi"}, ""),
        ("127.0.0.1", {"host": "localhost", "authorization": "Bearer guess"}, "401 API_TOKEN_INVALID"),
        (FAR, {"authorization": "Bearer"}, "401 API_TOKEN_INVALID"),
        (FAR, {"authorization": "bearer secret of the viewer", "origin": "https://console.example"}, ""),
    ],
)
def test_without_a_token_only_an_operator_on_this_machine(peer: str, headers: dict[str, str], code: str) -> None:
    assert judged(peer=peer, **headers) == code


@pytest.mark.parametrize(
    ("method", "path", "role"),
    [
        ("GET", "/v1/channels", "viewer"),
        ("HEAD", "/metrics", "viewer"),
        ("GET", "/schema/openapi.json", "viewer"),
        ("GET", "/v1/events", "viewer"),
        ("POST", "/v1/channels", "operator"),
        ("PATCH", "/v1/channels/tokens", "operator"),
        ("DELETE", "/v1/locators/tv", "operator"),
        ("POST", "/v1/locators/tv/sign", "operator"),
        ("GET", "/v1/tokens", "admin"),
        ("POST", "/v1//tokens/", "admin"),
        ("DELETE", "/v1/signing-keys/k1", "admin"),
    ],
)
def test_roles(method: str, path: str, role: Role) -> None:
    assert needed(method, path) == role
    ranks: list[Role] = ["viewer", "operator", "admin"]
    for each in ranks:
        expected = "" if ranks.index(each) >= ranks.index(role) else "403 ROLE_FORBIDDEN"
        assert judged(method, path, authorization=f"Bearer secret of the {each}") == expected


def test_a_token_ends() -> None:
    asked = Asked("GET", "/v1/channels", {"authorization": "Bearer secret of the viewer"}, FAR)
    authorize(asked, [token("viewer", NOW + timedelta(microseconds=1))], NOW)
    with pytest.raises(PackagerError, match="API_TOKEN_INVALID"):
        authorize(asked, [token("viewer", NOW)], NOW)
