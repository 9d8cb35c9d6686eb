"""Tokens for the API: made once, kept as digests, good for their role until they are deleted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.component.test_locators import both
from tests.component.test_operate import Capture

FAR = {"x_forwarded_for": "192.0.2.1"}


async def test_a_token_lets_in_from_elsewhere(tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    life = both(tmp_path)
    async with life.running():
        told = await life.call("GET", "channels", **FAR)
        assert (told.status_code, told.json()["code"]) == (401, "API_TOKEN_MISSING")
        assert told.headers["www-authenticate"] == 'Bearer realm="pypackager"'
        texts: dict[str, str] = {}
        for role in ("viewer", "operator", "admin"):
            capsys.readouterr()
            assert await life.tell(f"token create {role}s role={role}", "--json") == 0
            texts[role] = json.loads(capsys.readouterr().out)["token"]
        bearer = {role: FAR | {"authorization": f"Bearer {text}"} for role, text in texts.items()}
        assert (await life.call("GET", "channels", **bearer["viewer"])).status_code == 200
        assert await life.refused("POST", "channels", {"name": "ch"}, **bearer["viewer"]) == (403, "ROLE_FORBIDDEN")
        assert (await life.call("POST", "channels", {"name": "ch"}, **bearer["operator"])).status_code == 201
        for path in ("tokens", "/tokens/", "signing-keys"):
            assert await life.refused("GET", path, **bearer["operator"]) == (403, "ROLE_FORBIDDEN")
        listed = (await life.call("GET", "tokens", **bearer["admin"])).json()["items"]
        assert [(each["name"], each["role"]) for each in listed] == [("admins", "admin"), ("operators", "operator"), ("viewers", "viewer")]
        assert all(set(each) == {"name", "role", "expires", "created", "etag"} for each in listed)
        control = f"http://{life.daemon.addresses['control'][0]}"
        far = {"x-forwarded-for": "192.0.2.1"}
        assert (await life.client.get(f"{control}/metrics", headers=far)).status_code == 401
        assert (await life.client.get(f"{control}/readyz", headers=far)).status_code == 200, "for who balances load"
        monkeypatch.setenv("PYPACKAGER_TOKEN", texts["viewer"])
        assert await life.tell("channel list") == 0
        assert await life.tell("channel delete ch") == 1
        assert "ROLE_FORBIDDEN" in capsys.readouterr().err
        monkeypatch.delenv("PYPACKAGER_TOKEN")
        assert await life.tell("token delete operators") == 0
        assert await life.refused("GET", "channels", **bearer["operator"]) == (401, "API_TOKEN_INVALID")
    written = b"".join(path.read_bytes() for path in (tmp_path / "data").glob("control.db*"))
    assert not any(text.encode() in written for text in texts.values()), "what is kept is a digest"
    life = both(tmp_path)
    async with life.running():
        assert (await life.call("GET", "channels", **bearer["viewer"])).status_code == 200, "after a restart"


async def test_what_cannot_be_is_said(tmp_path: Path) -> None:
    life = both(tmp_path)
    async with life.running():
        await life.fine("POST", "tokens", {"name": "a", "expires": "2020-01-01T00:00:00Z"}, 201)
        assert await life.refused("POST", "tokens", {"name": "a"}) == (409, "API_TOKEN_EXISTS")
        assert await life.refused("POST", "tokens", {"name": "b", "role": "king"}) == (400, "INVALID")
        for method in ("GET", "DELETE"):
            assert await life.refused(method, "tokens/x") == (404, "API_TOKEN_UNKNOWN")
