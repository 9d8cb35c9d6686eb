"""TLS on the streaming endpoints and the control listener: what clients get, what is refused, what a reload exchanges."""

from __future__ import annotations

import json
import os
import signal
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog
import trio
from msgspec.structs import replace

from pypackager.cli.main import main
from pypackager.config.schema import Listen, StreamingEndpoint, Tls, Tuning
from pypackager.model.errors import PackagerError
from tests.component.test_daemon_life import LOOPBACK
from tests.component.test_rest import Api
from tests.helpers.certificates import OVER, Authority

ONE = "streaming-endpoints/default"
LISTEN = Listen(rtmp=[], ingest=LOOPBACK, control=LOOPBACK, control_tls=LOOPBACK, origin=LOOPBACK)
SECURE = StreamingEndpoint(state="running", tls=True)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def secured(tmp_path: Path, *pairs: Tls, **changes: Any) -> Api:
    """A daemon whose default endpoint and control listener speak TLS."""
    return Api(tmp_path, **{"listen": LISTEN, "tls": list(pairs), "streaming_endpoint": [SECURE]} | changes)


async def shake(address: str, context: ssl.SSLContext, host: str | None = "localhost") -> trio.SSLStream[trio.SocketStream]:
    name, _, port = address.rpartition(":")
    context.check_hostname = host is not None
    stream = trio.SSLStream(await trio.open_tcp_stream(name, int(port)), context, server_hostname=host)
    try:
        await stream.do_handshake()
    except trio.BrokenResourceError:
        await trio.aclose_forcefully(stream)
        raise
    return stream


async def serial(address: str, authority: Authority, host: str | None = "localhost") -> str:
    """The serial number of the certificate that a client gets that names a host."""
    stream = await shake(address, authority.trusted(), host)
    number = str(stream.getpeercert()["serialNumber"])
    await stream.aclose()
    return number


def of(pair: Tls) -> str:
    """The serial number of the certificate of a pair."""
    return str(ssl._ssl._test_decode_cert(pair.certificate)["serialNumber"])  # type: ignore[attr-defined]


@pytest.mark.parametrize("threads", [1, 0])
@pytest.mark.parametrize("http2", [True, False])
async def test_https_is_spoken_by_an_endpoint_and_by_control(tmp_path: Path, authority: Authority, threads: int, http2: bool) -> None:
    life = secured(tmp_path, authority.issue("one"), tuning=Tuning(front_threads=threads))
    async with life.running(), httpx.AsyncClient(http2=http2, verify=authority.trusted(), trust_env=False, timeout=20) as client:
        origin, control = (life.daemon.addresses[kind][0] for kind in ("origin", "control_tls"))
        assert (await life.push()).startswith(b"HTTP/1.1 200")
        for _ in range(2):
            manifest = await client.get(f"https://{origin}/show/show.ism/manifest.mpd")
            assert (manifest.status_code, manifest.http_version) == (200, "HTTP/2" if http2 else "HTTP/1.1")
            assert "<MPD" in manifest.text
        refused = await client.get(f"https://{origin}/show/show.ism/nothing")
        assert (refused.status_code, refused.json()["code"]) == (404, "NO_SUCH_URL")
        told = await client.post(f"https://{control}/v1/locators", json={"asset": "show", "path": "tv"})
        assert (told.status_code, told.http_version) == (201, "HTTP/2" if http2 else "HTTP/1.1")
        assert told.json()["urls"] == [f"https://{origin}/tv/show.ism/manifest"]
        assert (await client.get(f"https://{control}/v1/{ONE}")).json()["urls"] == [f"https://{origin}"]
        assert (await client.get(f"https://{control}/v1/channels/ch")).json()["preview"] == [f"https://{origin}/preview/ch.isml/manifest"]
        assert (await client.get(f"https://{control}/healthz")).status_code == 200
        assert (await life.ask("control", "healthz")).status_code == 200, "beside it"
    written = json.loads((tmp_path / "data" / "run.json").read_text())
    assert written["control_tls"] == [control]


async def test_clients_get_the_certificate_of_the_host_that_they_name(tmp_path: Path, authority: Authority) -> None:
    one, two = authority.issue("one"), authority.issue("two", "live.example", "*.tv.example")
    async with (life := secured(tmp_path, one, two)).running():
        for kind in ("origin", "control_tls"):
            address = life.daemon.addresses[kind][0]
            for host, pair in (("localhost", one), ("live.example", two), ("a.tv.example", two), (None, one)):
                assert await serial(address, authority, host) == of(pair), (kind, host)


async def test_a_reload_exchanges_certificates_under_open_connections(tmp_path: Path, authority: Authority) -> None:
    old = authority.issue("one")
    life = secured(tmp_path, old)
    async with life.running():
        origin, control = (life.daemon.addresses[kind][0] for kind in ("origin", "control_tls"))
        was = of(old)
        held = [await shake(address, authority.trusted()) for address in (origin, control)]
        async with httpx.AsyncClient(http2=True, verify=authority.trusted(), trust_env=False, timeout=20) as client:
            await client.get(f"https://{origin}/healthz")
            renewed = authority.issue("one")
            assert await serial(origin, authority) == was, "files are read when we are told"
            os.kill(os.getpid(), signal.SIGHUP)
            with trio.fail_after(5):
                while await serial(origin, authority) == was:  # noqa: ASYNC110
                    await trio.sleep(0.01)
            assert await serial(origin, authority) == await serial(control, authority) == of(renewed) != was
            for stream in held:
                await stream.send_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n")
                assert (await stream.receive_some()).startswith(b"HTTP/1.1 200")
                await trio.aclose_forcefully(stream)
            assert (await client.get(f"https://{origin}/healthz")).http_version == "HTTP/2"
        # Another pair in the file, then one that is no pair, then none at all.
        other = authority.issue("two")
        life.fresh = replace(life.config, tls=[other])
        await life.daemon._load_again()
        assert await serial(origin, authority) == of(other)
        torn = tmp_path / "torn.pem"
        torn.write_text("-----BEGIN")
        with structlog.testing.capture_logs() as logs:
            life.fresh = replace(life.config, tls=[old, Tls(certificate=str(torn), key=old.key)])
            await life.daemon._load_again()
        (said,) = [line for line in logs if line["log_level"] == "error"]
        assert (said["event"], said["code"]) == ("configuration not loaded", "TLS_UNUSABLE")
        assert str(torn) in said["detail"]
        assert await serial(origin, authority) == await serial(control, authority) == of(other)
        life.fresh = replace(life.config, tls=[], streaming_endpoint=[])
        await life.daemon._load_again()
        assert await serial(origin, authority) == of(other), "what speaks TLS goes on with what it has"


async def test_when_certificates_end_is_told(tmp_path: Path, authority: Authority) -> None:
    soon = datetime.now(UTC).replace(microsecond=0) + timedelta(days=3)
    pairs = authority.issue("over", end=OVER), authority.issue("soon", end=soon), authority.issue("long")
    with structlog.testing.capture_logs() as logs:
        async with (life := secured(tmp_path, *pairs)).running():
            metrics = (await life.ask("control", "metrics")).text
    said = {line["file"]: (line["log_level"], line.get("code")) for line in logs if line["event"].startswith("certificate")}
    assert [said[pair.certificate] for pair in pairs] == [
        ("error", "CERTIFICATE_EXPIRED"), ("warning", "CERTIFICATE_EXPIRES"), ("info", None)
    ]  # fmt: skip
    for pair, end in zip(pairs, (OVER, soon), strict=False):
        lines = [line for line in metrics.splitlines() if f'certificate="{pair.certificate}"' in line]
        assert [float(line.split()[1]) for line in lines] == [end.timestamp()]


async def test_an_endpoint_speaks_tls_when_it_was_told_to_while_stopped(tmp_path: Path, authority: Authority) -> None:
    life = secured(tmp_path, authority.issue("one"), streaming_endpoint=[])
    async with life.running():
        (address,) = life.daemon.addresses["origin"]
        port = address.rpartition(":")[2]
        await life.fine("POST", "streaming-endpoints", {"name": "door", "listen": ["127.0.0.1:0"]}, 201)
        await life.carried_out("POST", "streaming-endpoints/door/start")
        assert (await life.refused("PATCH", "streaming-endpoints/door", {"tls": True})) == (409, "ENDPOINT_STATE")
        await life.carried_out("POST", "streaming-endpoints/door/stop")
        (url,) = (await life.fine("PATCH", "streaming-endpoints/door", {"tls": True}))["urls"]
        assert url.startswith("https://127.0.0.1:")
        assert url.rpartition(":")[2] != port
        await life.carried_out("POST", "streaming-endpoints/door/start")
        context = authority.trusted()
        async with httpx.AsyncClient(verify=context, trust_env=False, timeout=20) as client:
            assert (await client.get(f"{url}/healthz")).status_code == 200
            (clear,) = (await life.fine("GET", ONE))["urls"]
            assert clear == f"http://{address}"
            assert (await client.get(f"{clear}/healthz")).status_code == 200, "each on its own"
        tell = [f"--control=https://{life.daemon.addresses['control_tls'][0]}", f"--cacert={authority.path}"]
        assert await trio.to_thread.run_sync(main, ["endpoint", "stop", "door", "--wait", *tell]) == 0
        assert await trio.to_thread.run_sync(main, ["endpoint", "stop", "door", *tell[:1]]) == 1, "nobody vouches for it"


async def test_tls_without_a_certificate_is_refused_with_the_next_step(tmp_path: Path, authority: Authority) -> None:
    listen = replace(LISTEN, control_tls=[])
    life = Api(tmp_path, listen=listen, streaming_endpoint=[])
    async with life.running():
        made = await life.fine("POST", "streaming-endpoints", {"name": "door", "listen": ["127.0.0.1:0"], "tls": True}, 201)
        assert (made["state"], made["urls"]) == ("Stopped", [])
        assert "add a [[tls]] table" in made["trouble"]
        assert await life.refused("POST", "streaming-endpoints/door/start") == (409, "TLS_UNCONFIGURED")
        life.fresh = replace(life.config, tls=[authority.issue("one")])
        await life.daemon._load_again()
        await life.carried_out("POST", "streaming-endpoints/door/start")
        (url,) = (await life.fine("GET", "streaming-endpoints/door"))["urls"]
        assert url.startswith("https://")
    life = Api(tmp_path, listen=listen, streaming_endpoint=[replace(SECURE, state="stopped")])
    with pytest.RaisesGroup(pytest.RaisesExc(PackagerError, match="add a \\[\\[tls\\]\\] table"), flatten_subgroups=True):
        async with life.running():
            pass


async def test_a_handshake_with_control_that_does_not_end_is_ended(
    tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pypackager.origin.serve.HANDSHAKE_S", 0.1)
    async with (life := secured(tmp_path, authority.issue("one"))).running():
        host, _, port = life.daemon.addresses["control_tls"][0].rpartition(":")
        for begin in (b"", b"\x16\x03\x01\x02\x00\x01", b"GET /healthz HTTP/1.1\r\n\r\n"):
            async with await trio.open_tcp_stream(host, int(port)) as stream:
                if begin:
                    await stream.send_all(begin)
                with trio.fail_after(5):
                    assert not (await stream.receive_some()).startswith(b"HTTP")


async def test_from_elsewhere_https_takes_a_token_too(tmp_path: Path, authority: Authority) -> None:
    async with (life := secured(tmp_path, authority.issue("one"))).running():
        url = f"https://{life.daemon.addresses['control_tls'][0]}/v1/channels"
        async with httpx.AsyncClient(verify=authority.trusted(), trust_env=False, timeout=20) as client:
            assert (await client.get(url)).status_code == 200
            through = await client.get(url, headers={"x-forwarded-for": "192.0.2.1"})
            assert (through.status_code, through.json()["code"]) == (401, "API_TOKEN_MISSING")
            foreign = await client.get(url, headers={"origin": "https://evil.example"})
            assert (foreign.status_code, foreign.json()["code"]) == (403, "CONTROL_CROSS_SITE")
