"""Basic and Digest: who shows the right thing gets in, once; everybody else gets an answer that tells nothing."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypackager.ingest import adobe, nonces
from pypackager.ingest.credentials import ALGORITHMS, CredentialsError, Gate, answer
from pypackager.ingest.nonces import LIFETIME_NS, WINDOW, Nonces
from pypackager.model.errors import PackagerError

USERS = {"studio": "a-password", "truck": "another-secret"}
TARGET = "/news/ingest.isml/Streams(v)"


class Head:
    """A request head."""

    def __init__(self, *shown: str, method: str = "POST", target: str = TARGET) -> None:
        self.method, self.target = method, target
        self.headers = [("host", "h"), *(("authorization", each) for each in shown)]


class World:
    """A gate, and a clock that the test moves."""

    def __init__(self) -> None:
        self.now_ns = 0
        self.gate = Gate(lambda: self.now_ns)

    def code(self, *shown: str, target: str = TARGET) -> str:
        """The code of a refusal; empty: it got in."""
        try:
            seal = self.gate.identify("news", USERS, Head(*shown, target=target))
        except PackagerError as error:
            refusal = error
        else:
            assert self.gate.holds(seal, "news", USERS)
            return ""
        assert not any(password in str(refusal) for password in USERS.values())
        assert refusal.status == {"CREDENTIALS_MISSING": 401, "CREDENTIALS_WRONG": 403, "CREDENTIALS_MALFORMED": 400}[refusal.code]
        return refusal.code

    def challenges(self, *shown: str) -> list[str]:
        """What a 401 asks for."""
        with pytest.raises(CredentialsError) as caught:
            self.gate.identify("news", USERS, Head(*shown))
        return list(caught.value.challenges)

    def nonce(self) -> str:
        """A new one."""
        return self.challenges()[0].partition('nonce="')[2].partition('"')[0]


def basic(text: str) -> str:
    return f"Basic {b64encode(text.encode()).decode()}"


def digested(nonce: str, password: str = USERS["studio"], method: str = "POST", drop: str = "", **changes: str) -> str:
    """What a client answers a challenge."""
    fields = {
        "username": "studio", "realm": "news", "nonce": nonce, "uri": TARGET, "algorithm": "SHA-256",
        "qop": "auth", "nc": "00000001", "cnonce": 'c,"n=o',
    } | changes  # fmt: skip
    known = fields["algorithm"].lower() in ALGORITHMS
    fields = {**fields, "response": answer(fields, password, method) if known else "0"} | changes
    fields.pop(drop, None)
    bare = ("algorithm", "qop", "nc")
    escaped = {name: value.replace("\\", "\\\\").replace('"', '\\"') for name, value in fields.items()}
    return "Digest " + ", ".join(f"{name}={value}" if name in bare else f'{name}="{value}"' for name, value in escaped.items())


@pytest.mark.parametrize(
    ("algorithm", "response"),
    [("MD5", "8ca523f5e9506fed4657c9700eebdbec"), ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1")],
)
def test_the_examples_of_rfc_7616(algorithm: str, response: str) -> None:
    fields = {
        "username": "Mufasa", "realm": "http-auth@example.org", "uri": "/dir/index.html", "algorithm": algorithm, "nc": "00000001",
        "nonce": "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", "cnonce": "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", "qop": "auth",
    }  # fmt: skip
    assert answer(fields, "Circle of Life", "GET") == response


def test_a_challenge_names_what_may_be_answered_the_strongest_first() -> None:
    first, second, third = World().challenges()
    assert first.startswith('Digest realm="news", qop="auth", algorithm=SHA-256, nonce="')
    assert second.startswith('Digest realm="news", qop="auth", algorithm=MD5, nonce="')
    assert third == 'Basic realm="news", charset="UTF-8"'


@pytest.mark.parametrize(
    ("shown", "code"),
    [
        ((), "CREDENTIALS_MISSING"),
        (("",), "CREDENTIALS_MISSING"),
        (("Bearer abc",), "CREDENTIALS_MISSING"),
        ((basic("studio:a-password"),), ""),
        ((basic("truck:another-secret").replace("Basic", "bAsIc"),), ""),
        ((basic("studio:a-passwor"),), "CREDENTIALS_WRONG"),
        ((basic("studio:"),), "CREDENTIALS_WRONG"),
        ((basic("truck:a-password"),), "CREDENTIALS_WRONG"),
        ((basic("nobody:a-password"),), "CREDENTIALS_WRONG"),
        ((basic("nobody:"),), "CREDENTIALS_WRONG"),
        ((basic("studio"),), "CREDENTIALS_MALFORMED"),
        (("Basic !!!",), "CREDENTIALS_MALFORMED"),
        (("Basic",), "CREDENTIALS_MALFORMED"),
        ((f"Basic {b64encode(b'studio:' + bytes([255])).decode()}",), "CREDENTIALS_MALFORMED"),
        (("Digest",), "CREDENTIALS_MALFORMED"),
        (('Digest username="x',), "CREDENTIALS_MALFORMED"),
        ((basic("studio:a-password"), basic("studio:a-password")), "CREDENTIALS_MALFORMED"),
    ],
)
def test_what_is_shown(shown: tuple[str, ...], code: str) -> None:
    assert World().code(*shown) == code


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, ""),
        ({"algorithm": "MD5"}, ""),
        ({"algorithm": "md5", "drop": "algorithm"}, ""),
        ({"uri": "/news/ingest.isml/Streams%28v%29"}, ""),
        ({"password": "a-passwore"}, "CREDENTIALS_WRONG"),
        ({"username": "truck"}, "CREDENTIALS_WRONG"),
        ({"username": "nobody", "password": ""}, "CREDENTIALS_WRONG"),
        ({"method": "GET"}, "CREDENTIALS_WRONG"),
        ({"response": "0" * 64}, "CREDENTIALS_WRONG"),
        ({"response": "é"}, "CREDENTIALS_WRONG"),
        ({"realm": "sport"}, "CREDENTIALS_MISSING"),
        ({"uri": "/sport/ingest.isml/Streams(v)"}, "CREDENTIALS_MALFORMED"),
        ({"qop": "auth-int"}, "CREDENTIALS_MALFORMED"),
        ({"nc": "1"}, "CREDENTIALS_MALFORMED"),
        ({"nc": "0000000g"}, "CREDENTIALS_MALFORMED"),
        ({"nc": "00000000"}, "CREDENTIALS_MISSING"),
        ({"algorithm": "SHA-512"}, "CREDENTIALS_MALFORMED"),
        *(({"drop": name}, "CREDENTIALS_MALFORMED") for name in ("username", "realm", "nonce", "uri", "response", "qop", "nc", "cnonce")),
    ],
)
def test_answers_to_a_challenge(changes: dict[str, str], code: str) -> None:
    world = World()
    assert world.code(digested(world.nonce(), **changes)) == code


def test_a_nonce_goes_stale_and_an_answer_is_good_once() -> None:
    world = World()
    nonce = world.nonce()
    assert world.code(digested(nonce)) == ""
    assert world.code(digested(nonce, nc="00000002")) == ""
    assert all("stale=true" in each for each in world.challenges(digested(nonce))[:2]), "it was used"
    world.now_ns += LIFETIME_NS
    assert all("stale=true" in each for each in world.challenges(digested(nonce, nc="00000003"))[:2])
    assert all("stale=true" in each for each in world.challenges(digested("0" * 64))[:2]), "of a daemon that ran before"
    assert not any("stale" in each for each in world.challenges())
    assert world.code(digested("0" * 64, "a-guess!")) == "CREDENTIALS_WRONG", "who does not know the password is told nothing of nonces"


def test_a_seal_holds_while_the_password_does() -> None:
    world = World()
    seal = world.gate.identify("news", USERS, Head(basic("studio:a-password")))
    assert world.gate.holds(seal, "news", {"studio": "a-password"})
    assert not world.gate.holds(seal, "news", {"studio": "a-new-password", "truck": "a-password"})
    assert not world.gate.holds(seal, "sport", USERS)
    assert not world.gate.holds(b"", "news", USERS)
    assert b"studio" not in seal


def adobe_answer(text: str, password: str, **changes: str) -> str:
    """What an encoder makes of a challenge, as ffmpeg's rtmpproto.c does it."""
    asked = {name: value for name, _, value in (part.partition("=") for part in text.partition("?")[2].split("&"))}
    shown = {"user": asked["user"], "challenge": "0badcafe", "opaque": asked["opaque"]} | changes
    hashed = adobe.response(adobe.Answer(**shown), asked["salt"], password)
    return "authmod=adobe&" + "&".join(f"{name}={value}" for name, value in {**shown, "response": hashed}.items())


def connected(world: World, query: str) -> str:
    """What a connect is told; empty: it got in."""
    try:
        seal = world.gate.identify_connect("news", USERS, query)
    except CredentialsError as error:
        refusal = error
    else:
        assert world.gate.holds(seal, "news", USERS)
        return ""
    (text,) = refusal.challenges
    assert len(text.encode()) < 256, "ffmpeg keeps no more of it"
    return text


def test_adobes_challenge_in_three_steps() -> None:
    world = World()
    assert connected(world, "") == "[ AccessManager.Reject ] : [ code=403 need auth; authmod=adobe ] : "
    second = connected(world, "authmod=adobe&user=studio")
    assert second.startswith("[ AccessManager.Reject ] : [ authmod=adobe ] : ?reason=needauth&user=studio&salt=")
    third = adobe_answer(second, "a-password")
    assert connected(world, f"key=x&{third}") == ""
    assert "reason=needauth" in connected(world, third), "an answer is good once"
    for spoilt in (
        adobe_answer(second, "a-passwore"),
        third.replace("response=", "response=x"),
        third.replace("user=studio", "user=truck"),
    ):
        assert connected(world, spoilt) == adobe.FAILED
    nobody = connected(world, "authmod=adobe&user=nobody")
    assert "reason=needauth&user=nobody&salt=" in nobody, "who there is, is not told"
    assert connected(world, adobe_answer(nobody, "")) == adobe.FAILED
    assert "&opaque=" in connected(world, f"authmod=adobe&user={'u' * 64}")
    assert connected(world, f"authmod=adobe&user={'u' * 65}") == adobe.NEEDED
    late = adobe_answer(connected(world, "authmod=adobe&user=truck"), "another-secret")
    world.now_ns += LIFETIME_NS
    assert "reason=needauth" in connected(world, late)
    assert "reason=needauth" in connected(world, adobe_answer(second, "a-password", opaque="0" * 64))


def test_the_digest_of_adobes_challenge() -> None:
    shown = adobe.Answer("u", challenge="00000001", opaque="o")
    inner = b64encode(hashlib.md5(b"usp").digest())  # noqa: S324
    assert adobe.response(shown, "s", "p").encode() == b64encode(hashlib.md5(inner + b"o00000001").digest())  # noqa: S324


@given(st.text() | st.builds("authmod=adobe&user={}&response={}".format, st.text(max_size=70), st.text()))
def test_any_query_is_refused(query: str) -> None:
    assert connected(World(), query) != ""


@given(st.text() | st.builds("{} {}".format, st.sampled_from(["Basic", "Digest"]), st.text()))
def test_any_text_is_refused(text: str) -> None:
    assert World().code(text) != ""


@given(st.lists(st.integers(0, 3 * WINDOW), max_size=80))
def test_a_count_is_good_once(counts: list[int]) -> None:
    held = Nonces(lambda: 0, b"secret")
    nonce = held.make("news")
    spent: set[int] = set()
    for count in counts:
        good = held.spend(nonce, "news", count)
        fresh = count > 0 and count not in spent
        assert not good or fresh
        if fresh and count > max(spent, default=0) - WINDOW:
            assert good
        if good:
            spent.add(count)


@pytest.mark.parametrize(
    "spoil", [lambda text: text[:-1], lambda text: text + "0", lambda text: "f" + text[1:], lambda _: "", lambda _: "é"]
)
def test_what_was_not_given_out_is_no_nonce(spoil: Callable[[str], str]) -> None:
    held = Nonces(lambda: 0, b"secret")
    assert not held.spend(spoil(held.make("news")), "news")
    assert not held.spend(held.make("news"), "sport")
    assert len(held) == 0


def test_memory_is_bounded_and_what_is_forgotten_is_not_good_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nonces, "KEPT", 8)
    clock = iter(range(1000))
    now = 0
    held = Nonces(lambda: now, b"secret")
    made: list[str] = []
    for now in clock:
        if now == 20:
            break
        made.append(held.make("news"))
        assert held.spend(made[-1], "news")
        assert len(held) <= 8
    assert not any(held.spend(nonce, "news") for nonce in made)
    unused = held.make("news")
    assert len(held) == 8, "to ask for one takes nothing"
    assert held.spend(unused, "news")
