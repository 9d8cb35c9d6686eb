"""Locators over the API and by commands: instants, tokens, keys; what is changed holds at once."""

from __future__ import annotations

import json
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pypackager.config.load import parse_config
from tests.component.test_operate import Capture, Operator
from tests.component.test_rest import Api


class Both(Api, Operator):
    """Told by its API and by commands."""

    async def publish(self, **settings: Any) -> Any:
        """A channel with a program that has media, under the locator `tv`."""
        await self.fine("POST", "channels", {"name": "ch", "ingest_allow": ["127.0.0.1"]}, 201)
        await self.fine("POST", "channels/ch/programs", {"name": "show"}, 201)
        await self.carried_out("POST", "channels/ch/start")
        await self.carried_out("POST", "channels/ch/programs/show/start")
        locator = await self.fine("POST", "locators", {"asset": "show", "path": "tv", **settings}, 201)
        assert (await self.push()).startswith(b"HTTP/1.1 200")
        return locator

    async def sign(self, **body: Any) -> str:
        return str((await self.fine("POST", "locators/tv/sign", body))["urls"][0])

    async def seen(self, url: str) -> str:
        """The code of a refusal, or nothing: of the MPD beside a URL, since what was pushed is too little for a live Smooth manifest."""
        answer = await self.client.get(f"{url}.mpd")
        return "" if answer.status_code == 200 else str(answer.json()["code"])


def both(tmp_path: Path) -> Both:
    return Both(tmp_path, channel=[])


async def test_instants_hold_at_once_when_they_are_changed(tmp_path: Path) -> None:
    life = both(tmp_path)
    now = datetime.now(UTC)
    earlier, later = ((now + timedelta(hours=hours)).isoformat() for hours in (-1, 1))
    async with life.running():
        url = (await life.publish(starts=later))["urls"][0]
        for changes, code in (
            ({"starts": earlier}, ""),
            ({"expires": later}, ""),
            ({"starts": None, "expires": earlier}, "LOCATOR_EXPIRED"),
            ({"expires": None}, ""),
            ({"starts": later}, "LOCATOR_EARLY"),
            ({"starts": None, "signed": True}, "TOKEN_MISSING"),
        ):
            shown = await life.fine("PATCH", "locators/tv", changes)
            for name, value in changes.items():
                assert shown[name] == value or datetime.fromisoformat(shown[name]) == datetime.fromisoformat(str(value))
            assert await life.seen(url) == code, changes
        etag = (await life.call("GET", "locators/tv")).headers["etag"]
        await life.fine("PATCH", "locators/tv", {"signed": False})
        assert await life.refused("PATCH", "locators/tv", {"signed": True}, if_match=etag) == (412, "ETAG_MISMATCH")
    life = both(tmp_path)
    async with life.running():
        await life.fine("PATCH", "locators/tv", {"expires": earlier})
        assert await life.seen((await life.fine("GET", "locators/tv"))["urls"][0]) == "LOCATOR_EXPIRED", "after a restart"


async def test_keys_are_changed_without_a_break(tmp_path: Path) -> None:
    life = both(tmp_path)
    async with life.running():
        plain = (await life.publish(signed=True))["urls"][0]
        assert await life.refused("POST", "locators/tv/sign", {}) == (409, "NO_SIGNING_KEY")
        first = await life.fine("POST", "signing-keys", {}, 201)
        by_first = await life.sign(lifetime="2h")
        await life.fine("POST", "signing-keys", {"id": "mine", "secret": "ab" * 32}, 201)
        by_second, by_name = await life.sign(), await life.sign(key=first["id"], expires="2099-01-01T00:00:00Z")
        for url in (by_first, by_second, by_name):
            assert await life.seen(url) == "", url
        assert await life.seen(await life.sign(viewer="127.0.0.1")) == ""
        assert await life.seen(await life.sign(viewer="192.0.2.1")) == "TOKEN_INVALID"
        assert await life.seen(await life.sign(expires="2020-01-01T00:00:00Z")) == "TOKEN_EXPIRED"
        assert await life.seen(plain) == "TOKEN_MISSING"
        assert (await life.client.get(by_first.replace("/show.ism/manifest", "").replace("/tv/", "/play/tv/"))).status_code == 200
        listed = await life.fine("GET", "signing-keys")
        assert [set(each) for each in listed["items"]] == [{"id", "created", "etag"}] * 2, "no secret is shown again"
        await life.fine("DELETE", f"signing-keys/{first['id']}", status=204)
        assert [await life.seen(url) for url in (by_first, by_second, by_name)] == ["TOKEN_INVALID", "", "TOKEN_INVALID"]
    rights = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "data").glob("control.db*")}
    assert set(rights.values()) == {0o600}, rights


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("POST", "locators", {"asset": "show", "starts": "2027-01-02T00:00:00Z", "expires": "2027-01-01T00:00:00Z"}, 400, "INVALID"),
        ("POST", "locators", {"asset": "show", "expires": "2027-01-01T00:00:00"}, 400, "INVALID"),
        ("PATCH", "locators/tv", {"expires": "soon"}, 400, "INVALID"),
        ("PATCH", "locators/tv", {"asset": "other"}, 400, "INVALID"),
        ("PATCH", "locators/x", {"signed": True}, 404, "LOCATOR_UNKNOWN"),
        ("POST", "locators/x/sign", {}, 404, "LOCATOR_UNKNOWN"),
        ("POST", "locators/tv/sign", {"key": "k9"}, 404, "SIGNING_KEY_UNKNOWN"),
        ("POST", "locators/tv/sign", {"lifetime": "soon"}, 400, "INVALID"),
        ("POST", "locators/tv/sign", {"lifetime": "99999999999h"}, 400, "INVALID"),
        ("POST", "locators/tv/sign", {"viewer": "nobody"}, 400, "INVALID"),
        ("POST", "signing-keys", {"id": "k1"}, 409, "SIGNING_KEY_EXISTS"),
        ("POST", "signing-keys", {"id": "K.1"}, 400, "INVALID"),
        ("POST", "signing-keys", {"secret": "abc"}, 400, "INVALID"),
        ("GET", "signing-keys/k9", None, 404, "SIGNING_KEY_UNKNOWN"),
        ("DELETE", "signing-keys/k9", None, 404, "SIGNING_KEY_UNKNOWN"),
    ],
)
async def test_what_cannot_be_is_said(tmp_path: Path, method: str, path: str, body: Any, status: int, code: str) -> None:
    life = both(tmp_path)
    async with life.running():
        await life.fine("POST", "channels", {"name": "ch"}, 201)
        await life.fine("POST", "channels/ch/programs", {"name": "show"}, 201)
        await life.fine("POST", "locators", {"asset": "show", "path": "tv"}, 201)
        await life.fine("POST", "signing-keys", {}, 201)
        assert await life.refused(method, path, body) == (status, code)


async def test_a_url_is_signed_by_a_command(tmp_path: Path, capsys: Capture) -> None:
    life = both(tmp_path)
    async with life.running():
        await life.publish()
        for command in ("locator set tv signed=true", "key create", "key create second", "locator list", "key delete k1"):
            assert await life.tell(command) == 0, command
        capsys.readouterr()
        assert await life.tell("locator sign tv --for 2h --viewer 127.0.0.1 --key second", "--json") == 0
        signed = json.loads(capsys.readouterr().out)
        assert (signed["key"], signed["viewer"]) == ("second", "127.0.0.1")
        assert await life.seen(signed["urls"][0]) == ""
        assert await life.tell("locator sign tv --until 2099-01-01T00:00:00Z") == 0
        assert "/tv/~second.4070908800." in capsys.readouterr().out
        assert await life.tell("locator create show signed=true expires=2099-01-01T00:00:00Z --path two") == 0
        assert (await life.fine("GET", "locators/two"))["expires"] == "2099-01-01T00:00:00Z"


async def test_the_file_says_on_which_terms(tmp_path: Path) -> None:
    text = """
        [[channel]]
        name = "ch"
        [[channel.program]]
        name = "show"
        locator = { path = "tv", starts = 2027-01-01T00:00:00Z, expires = 2027-02-01T00:00:00+01:00, signed = true }
        """
    life = both(tmp_path)
    async with life.running():
        await life.daemon.fleet.reconcile(parse_config(text))
        shown = await life.fine("GET", "locators/tv")
        assert (shown["signed"], shown["starts"]) == (True, "2027-01-01T00:00:00Z")
        await life.daemon.fleet.reconcile(parse_config(text.partition("{")[0] + '"tv"'))
        shown = await life.fine("GET", "locators/tv")
        assert (shown["signed"], shown["starts"], shown["expires"]) == (False, None, None)
