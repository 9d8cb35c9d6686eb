"""Who is let through: instants, tokens, and what is kept of either."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypackager._core import Gate, sign_token, split_token
from pypackager.origin.admission import shown, without_token
from pypackager.origin.target import Route, parse_target
from tests.component.origin.fakes import KEYS, NOW_NS, World

ROOT = "/show/show.ism"
NOW_US, NOW_S = NOW_NS // 1000, NOW_NS // 1_000_000_000
GOOD = sign_token(KEYS[0], ROOT, NOW_S + 60)


def world(kept: dict[str, Any] | None = None, **terms: Any) -> World:
    made = World()
    made.catalog.terms, made.catalog.kept = terms, kept or {}
    return made


@pytest.mark.parametrize(
    ("terms", "code"),
    [
        ({"starts": NOW_US, "expires": NOW_US + 1}, None),
        ({"starts": NOW_US + 1}, "LOCATOR_EARLY"),
        ({"expires": NOW_US}, "LOCATOR_EXPIRED"),
    ],
)
async def test_a_locator_holds_from_its_start_until_its_end(terms: dict[str, Any], code: str | None) -> None:
    origin = world(**terms)
    for path in (f"{ROOT}/manifest", f"{ROOT}/v/1.m4s", f"{ROOT}/download.mp4", "/play/show"):
        answer = await origin.ask(path)
        if code is None:
            assert answer.status == (409 if "download" in path else 200), path
        else:
            assert (answer.status, answer.json()["code"], answer.headers["cache-control"]) == (404, code, "max-age=1"), path


async def test_no_cache_keeps_a_segment_beyond_the_end() -> None:
    origin = world({"expires": NOW_S + 3600}, expires=(NOW_S + 3600) * 1_000_000)
    segment = await origin.ask(f"{ROOT}/v/1.m4s")
    assert segment.headers["cache-control"] == "public, immutable"
    assert segment.headers["expires"] == "Tue, 14 Nov 2023 23:13:20 GMT"
    assert "expires" not in (await origin.ask(f"{ROOT}/manifest")).headers, "it is kept for seconds"


@pytest.mark.parametrize(
    ("token", "code"),
    [
        (GOOD, None),
        (sign_token(KEYS[0], ROOT, NOW_S + 1), None),
        (sign_token(KEYS[0], ROOT, NOW_S), "TOKEN_EXPIRED"),
        (sign_token(("k2", b"secret"), ROOT, NOW_S + 60), "TOKEN_INVALID"),
        (sign_token(KEYS[0], "/show/other.ism", NOW_S + 60), "TOKEN_INVALID"),
        ("", "TOKEN_INVALID"),
        (None, "TOKEN_MISSING"),
    ],
)
async def test_a_signed_locator_is_for_those_with_a_token(token: str | None, code: str | None) -> None:
    origin = world({"signed": True}, signed=True)
    inside = "" if token is None else f"/~{token}"
    for path in (f"/show{inside}/show.ism/manifest", f"/show{inside}/show.ism/v/1.m4s", f"/play/show{inside}"):
        answer = await origin.ask(path)
        if code is None:
            assert answer.status == 200
            assert answer.headers["cache-control"].startswith("private, "), "a cache may not give it to who has no token"
        else:
            assert (answer.status, answer.json()["code"]) == (403, code)
        assert not token or token not in str(origin.notes.lines + origin.notes.errors), "no token is logged"
    assert len(origin.packager.asked) == (2 if code is None else 0)


async def test_all_tokens_share_what_was_rendered() -> None:
    origin = world({"signed": True}, signed=True)
    first, second = (sign_token(KEYS[0], ROOT, NOW_S + later) for later in (60, 61))
    bodies = {(await origin.ask(f"/show/~{token}/show.ism/manifest")).body for token in (first, second)}
    assert (len(bodies), len(origin.packager.asked)) == (1, 1)


async def test_a_page_hands_its_token_to_the_player() -> None:
    page = await world({"signed": True}, signed=True).ask(f"/play/show/~{GOOD}")
    assert page.body == f"<title>show</title>../../show/~{GOOD}/show.ism".encode()


async def test_a_token_may_be_bound_to_an_address() -> None:
    origin = world({"signed": True}, signed=True)
    token = sign_token(KEYS[0], ROOT, NOW_S + 60, ip_address("192.0.2.7"))
    path = f"/show/~{token}/show.ism/manifest"
    assert (await origin.ask(path, client="192.0.2.7")).status == 200
    for client in ("192.0.2.8", "no address"):
        answer = await origin.ask(path, client=client)
        assert (answer.status, answer.json()["code"], answer.headers["cache-control"]) == (403, "TOKEN_INVALID", "no-store")


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/show/~t/show.ism/Manifest", Route("locator", "show", "show", "manifest", "t")),
        ("/a/b/~t/c.ism/x/y", Route("locator", "a/b", "c", "x/y", "t")),
        ("/show/%7Et/show.ism/x", Route("locator", "show", "show", "x", "t")),
        ("/show/~t/show.ism/time", Route("time", "", "", "", "t")),
        ("/play/show/~t", Route("play", "show", "", "", "t")),
        ("/show/show.ism/~t/x", Route("locator", "show", "show", "~t/x")),
        ("/~t/show.ism/x", Route("locator", "~t", "show", "x")),
        ("/play/~t", Route("play", "~t")),
        ("/preview/~t/news.isml/x", Route("locator", "preview/~t", "news", "x")),
        ("/static/~t", Route("static", "~t")),
    ],
)
def test_a_token_has_one_place(path: str, route: Route) -> None:
    assert parse_target(path.encode(), b"") == route


NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,20}", fullmatch=True)
TOKENS = st.text(st.characters(codec="ascii", exclude_categories=["Cc"], exclude_characters="/\\%?#"), max_size=90)


LOCATORS = NAMES.filter(lambda name: name not in ("play", "static", "preview"))


@given(LOCATORS, NAMES, TOKENS, st.sampled_from(["v/1.m4s", "manifest", "x/~y"]))
def test_whatever_the_token_the_path_without_it_is_the_same(locator: str, asset: str, token: str, rest: str) -> None:
    plain, inside = f"/{locator}/{asset}.ism/{rest}", f"/{locator}/~{token}/{asset}.ism/{rest}"
    with_token, without = parse_target(inside.encode(), b""), parse_target(plain.encode(), b"")
    assert (with_token.place, with_token.name, with_token.asset, with_token.rest) == ("locator", without.name, without.asset, without.rest)
    assert (with_token.token, without.token) == (token, None)
    assert without_token(inside) == plain
    assert shown(inside) == f"/{locator}/~/{asset}.ism/{rest}"
    assert Gate(f"/{locator}/{asset}.ism", KEYS).judge(NOW_US, token, "") == "TOKEN_INVALID"


@given(st.text(max_size=60))
def test_any_path_splits_or_does_not(path: str) -> None:
    found = split_token(path)
    assert found is None or f"{found[0]}/~{found[1]}{found[2]}" == path


def test_the_page_that_tells_how_to_sign_is_right() -> None:
    page = (Path(__file__).parents[3] / "docs/howto/access.md").read_text()
    names: dict[str, Any] = {}
    exec(page.partition("```python\n")[2].partition("```")[0], names)  # noqa: S102 (our own page)
    for address in ("", "192.0.2.7"):
        url = names["signed"]("show", "show", 60, "k1", KEYS[0][1].hex(), address)
        found = split_token(url)
        assert found is not None
        assert found[0] + found[2] == f"{ROOT}/master.m3u8"
        assert Gate(ROOT, KEYS, signed=True).judge(NOW_US, found[1], "192.0.2.7") is None
