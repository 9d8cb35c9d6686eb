"""Encoders that come over TLS: what they get, what they have to show, and what a reload exchanges while they push."""

from __future__ import annotations

import gzip
import ssl
from pathlib import Path
from typing import Any

import pytest
import structlog
import trio
from msgspec.structs import replace

from pypackager.config.schema import Channel, Listen, Program
from pypackager.model.errors import PackagerError
from tests.component.test_daemon_life import CAPTURE, CHANNEL, LOOPBACK
from tests.component.test_rest import Api
from tests.component.test_tls import of, serial, shake
from tests.helpers.certificates import Authority

LISTEN = Listen(rtmp=LOOPBACK, rtmps=LOOPBACK, ingest=LOOPBACK, ingest_tls=LOOPBACK, control=LOOPBACK, origin=LOOPBACK)
TV = Channel(name="tv", protocol="rtmp", ingest_allow=["127.0.0.1"], program=[Program(name="tv")])
_, _, BODY = CAPTURE.read_bytes().partition(b"\r\n\r\n")


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def secured(tmp_path: Path, authority: Authority, **changes: Any) -> Api:
    """A daemon that takes what encoders push in the clear and over TLS, by both protocols."""
    return Api(tmp_path, **{"listen": LISTEN, "tls": [authority.issue("one")], "channel": [CHANNEL, TV]} | changes)


async def push(life: Api, context: ssl.SSLContext, data: bytes = CAPTURE.read_bytes()) -> bytes:
    """Sends a request and reads its answer, with the farewell of both sides."""
    stream = await shake(life.daemon.addresses["ingest_tls"][0], context)
    try:
        await stream.send_all(data)
        answer = await stream.receive_some()
        await stream.aclose()
    finally:
        await trio.aclose_forcefully(stream)
    return bytes(answer)


async def test_a_push_over_https_is_published_as_one_in_the_clear(tmp_path: Path, authority: Authority) -> None:
    async with (life := secured(tmp_path, authority)).running():
        here = (await life.fine("GET", "channels/ch"))["ingest"]
        places = {kind: life.daemon.addresses[kind][0] for kind in ("ingest", "ingest_tls", "rtmp", "rtmps")}
        for side, path in ("primary", "ch"), ("secondary", "ch/secondary"):
            assert here[side] == [
                f"http://{places['ingest']}/{path}/ingest.isml/Streams({{stream}})",
                f"https://{places['ingest_tls']}/{path}/ingest.isml/Streams({{stream}})",
            ]
        tv = await life.fine("GET", "channels/tv")
        assert tv["ingest"]["primary"] == [f"rtmp://{places['rtmp']}/tv/{{stream}}", f"rtmps://{places['rtmps']}/tv/{{stream}}"]
        own = (await life.fine("POST", "channels", {"name": "own", "protocol": "rtmp", "ingest_hosts": ["in.test"]}, 201))["ingest"]
        ports = {kind: place.rpartition(":")[2] for kind, place in places.items()}
        assert own["secondary"] == [f"{kind}://in.test:{ports[kind]}/live/secondary/{{stream}}" for kind in ("rtmp", "rtmps")]
        assert (await push(life, authority.trusted("http/1.1"))).startswith(b"HTTP/1.1 200")
        await life.until(life.listed)
        assert (await life.ask("origin", "show/show.ism/manifest.mpd")).status_code == 200
        stray = b"POST /no/ingest.isml/Streams(x) HTTP/1.1\r\nHost: h\r\n\r\n"
        assert (await push(life, authority.trusted(), stray)).startswith(b"HTTP/1.1 404")


async def test_what_http_can_do_https_can(tmp_path: Path, authority: Authority) -> None:
    """Asking first, gzip, several requests on a connection, each with its answer."""
    async with (life := secured(tmp_path, authority)).running():
        plain = b"".join(piece for piece in chunks(BODY))
        body = gzip.compress(plain)
        stream = await shake(life.daemon.addresses["ingest_tls"][0], authority.trusted())
        url = b"/ch/ingest.isml/Streams(x) HTTP/1.1\r\nHost: h\r\n"
        await stream.send_all(b"POST " + url + b"Content-Length: 0\r\n\r\n")
        assert (await stream.receive_some()).startswith(b"HTTP/1.1 200"), "the probe"
        head = b"Expect: 100-continue\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body)
        await stream.send_all(b"POST " + url + head)
        assert (await stream.receive_some()).startswith(b"HTTP/1.1 100")
        await stream.send_all(body)
        assert (await stream.receive_some()).startswith(b"HTTP/1.1 200")
        await stream.aclose()
        await life.until(life.listed)


def chunks(body: bytes) -> list[bytes]:
    """What the chunks of a chunked body hold."""
    found: list[bytes] = []
    while size := int(body.partition(b"\r\n")[0], 16):
        start = body.index(b"\r\n") + 2
        found.append(body[start : start + size])
        body = body[start + size + 2 :]
    return found


async def test_a_reload_exchanges_what_handshakes_take_while_a_post_goes_on(tmp_path: Path, authority: Authority) -> None:
    encoders = authority.another("encoders")
    life = secured(tmp_path, authority, tls=[authority.issue("one"), authority.issue("two", "live.example")])
    async with life.running():
        for kind in ("rtmps", "ingest_tls"):
            for host, pair in (("localhost", life.config.tls[0]), ("live.example", life.config.tls[1]), (None, life.config.tls[0])):
                assert await serial(life.daemon.addresses[kind][0], authority, host) == of(pair), (kind, host)
        stream = await shake(life.daemon.addresses["ingest_tls"][0], authority.trusted())
        half = len(CAPTURE.read_bytes()) // 2
        await stream.send_all(CAPTURE.read_bytes()[:half])
        renewed = authority.issue("three")
        life.fresh = replace(life.config, tls=[renewed], listen=replace(LISTEN, ingest_client_ca=str(encoders.path)))
        await life.daemon._load_again()
        context = encoders.shown(authority.trusted(), "encoder")
        seen = await shake(life.daemon.addresses["rtmps"][0], context)
        assert seen.getpeercert()["serialNumber"] == of(renewed)
        await trio.aclose_forcefully(seen)
        assert await refused(life, authority.trusted()), "from now on one shows a certificate"
        # The file is gone: nothing of the reload is done.
        with structlog.testing.capture_logs() as logs:
            life.fresh = replace(life.config, listen=replace(LISTEN, ingest_client_ca=str(tmp_path / "gone.pem")))
            await life.daemon._load_again()
        assert [line["code"] for line in logs if line["log_level"] == "error"] == ["TLS_UNUSABLE"]
        assert await refused(life, authority.trusted())
        await stream.send_all(CAPTURE.read_bytes()[half:])
        assert (await stream.receive_some()).startswith(b"HTTP/1.1 200"), "who was there goes on"
        await stream.aclose()


async def refused(life: Api, context: ssl.SSLContext) -> bool:
    """Whether an encoder is refused in its handshake; in TLS 1.3 it learns of it with what it reads next."""
    try:
        return not await push(life, context)
    except (trio.BrokenResourceError, ssl.SSLError):
        return True


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_an_encoder_shows_a_certificate_where_one_is_demanded(tmp_path: Path, authority: Authority, version: ssl.TLSVersion) -> None:
    encoders, strange = authority.another("encoders"), authority.another("strange")
    life = secured(tmp_path, authority, listen=replace(LISTEN, ingest_client_ca=str(encoders.path)))

    def trusting() -> ssl.SSLContext:
        context = authority.trusted()
        context.maximum_version = context.minimum_version = version
        return context

    with structlog.testing.capture_logs() as logs:
        async with life.running():
            assert await refused(life, trusting())
            assert await refused(life, strange.shown(trusting(), "impostor"))
            assert (await push(life, encoders.shown(trusting(), "encoder"))).startswith(b"HTTP/1.1 200")
            assert (await life.push()).startswith(b"HTTP/1.1 200"), "in the clear nobody is asked"
    said = [line["detail"] for line in logs if line.get("code") == "TLS_CLIENT_CERTIFICATE"]
    assert ["shows no certificate" in said[0], "vouches for" in said[1], len(said)] == [True, True, 2]


async def test_what_is_wrong_with_a_handshake_is_in_the_log_and_harms_nobody(tmp_path: Path, authority: Authority) -> None:
    life = secured(tmp_path, authority)
    with structlog.testing.capture_logs() as logs:
        async with life.running():
            post, publish, torn = CAPTURE.read_bytes(), b"\x03" + bytes(1536), b"\x16\x03\x01\x00\x05hello"
            for kind, data in (("ingest_tls", post), ("rtmps", publish), ("ingest_tls", torn)):
                host, _, port = life.daemon.addresses[kind][0].rpartition(":")
                async with await trio.open_tcp_stream(host, int(port)) as stream:
                    await stream.send_all(data)
                    answer = b"".join([part async for part in stream])
                assert answer.startswith(b"HTTP/1.1 400") == (data == post)
            with pytest.raises(trio.BrokenResourceError):
                await shake(life.daemon.addresses["ingest_tls"][0], ssl.create_default_context())
            for kind in ("ingest", "rtmp"):
                with pytest.raises(trio.BrokenResourceError):
                    await shake(life.daemon.addresses[kind][0], authority.trusted())
            assert (await push(life, authority.trusted())).startswith(b"HTTP/1.1 200")
    said = [(line["code"], line["detail"]) for line in logs if line["event"] == "closed" and line.get("code")]
    expected = [
        ("TLS_HANDSHAKE", "HTTP in the clear"),
        ("TLS_HANDSHAKE", "RTMP in the clear"),
        ("TLS_HANDSHAKE", ""),
        ("TLS_HANDSHAKE", "does the encoder accept our certificate"),
        ("HTTP_HEAD", "is it TLS?"),
        ("RTMP_VERSION", "is it TLS?"),
    ]
    assert [code for code, _ in said] == [code for code, _ in expected], said
    assert all(words in detail for (_, words), (_, detail) in zip(expected, said, strict=True)), said


async def test_a_peer_in_no_list_gets_no_byte_in_over_rtmps(tmp_path: Path, authority: Authority) -> None:
    async with (life := secured(tmp_path, authority, channel=[CHANNEL, replace(TV, ingest_allow=["192.0.2.1"])])).running():
        with pytest.raises(trio.BrokenResourceError):
            await shake(life.daemon.addresses["rtmps"][0], authority.trusted())


async def test_encoders_over_tls_need_a_certificate_to_be_there(tmp_path: Path) -> None:
    life = Api(tmp_path, listen=LISTEN)
    with pytest.RaisesGroup(pytest.RaisesExc(PackagerError, match="listen.rtmps is to speak TLS"), flatten_subgroups=True):
        async with life.running():
            pass
