"""HTTPS with certificates of an authority of the test's own: browsers, curl, ffprobe and the judge, over HTTP/2 and HTTP/1.1."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
from contextlib import ExitStack
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from pypackager.cli.main import main
from pypackager.config.schema import Tls
from tests.helpers.browser import assert_all_play, chromium, watch
from tests.helpers.certificates import Authority
from tests.helpers.daemon import Channel, running_daemon
from tests.helpers.encoders import program
from tests.helpers.media import SINGLE, material
from tests.helpers.ports import free_port
from tests.helpers.presentation import OUTPUTS
from tests.helpers.service import push_on_air

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("browser")]

SECONDS = 8
PROTOCOLS = """() => {
  const answered = performance.getEntriesByType("resource").filter((entry) => entry.responseStatus);
  return [...new Set(answered.map((entry) => entry.nextHopProtocol))];
}"""
"""dash.js takes back its first request when it moves away from the beginning."""


def public_key(pair: Tls) -> str:
    """SHA-256 of the public key, as Chromium takes it."""
    key = x509.load_pem_x509_certificate(Path(pair.certificate).read_bytes()).public_key()
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(der).digest()).decode()


def test_an_event_is_played_over_https(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    pair, port = authority.issue("server"), free_port()
    secure = (
        f'[[tls]]\ncertificate = "{pair.certificate}"\nkey = "{pair.key}"\n'
        f'[[streaming_endpoint]]\nname = "secure"\nlisten = ["127.0.0.1:{port}"]\ntls = true\nstate = "running"\n'
    )
    root = f"https://localhost:{port}"
    with ExitStack() as stack:
        daemon = stack.enter_context(running_daemon(tmp_path, Channel("news", settings="fragments_per_segment = 1"), tuning=secure))
        with push_on_air(daemon.ingest("news"), material(SINGLE), tmp_path / "encoder.log", loop=True):
            # As long as a player wants to be behind the newest: who comes first may have to wait for a fragment.
            daemon.wait_for(daemon.presentation("news", "manifest"), "StreamIndex")
            browser = stack.enter_context(chromium(f"--ignore-certificate-errors-spki-list={public_key(pair)}"))
            pages = {name: f"{root}/play/news?muted=1&format={name}" for name in ("hls", "dash")}
            players = {name: stack.enter_context(watch(browser, page)) for name, page in pages.items()}
            assert_all_play(players, SECONDS)
            for name, player in players.items():
                assert player.page.evaluate(PROTOCOLS) == ["h2"], name
        daemon.end_program("news")
        manifest = f"{root}/news/news.ism/manifest(format=m3u8-cmaf)"
        for option, version in (("--http2", "2"), ("--http1.1", "1.1")):
            command = [program("curl", "curl"), "-sS", option, "--cacert", str(authority.path), "-w", "\n%{http_version}", manifest]
            text = subprocess.run(command, capture_output=True, check=True, timeout=20, text=True).stdout
            assert text.startswith("#EXTM3U")
            assert text.endswith(f"\n{version}")
        command = [program("ffprobe", "ffmpeg"), "-v", "error", "-tls_verify", "1", "-ca_file", str(authority.path)]
        command += ["-show_streams", "-of", "json", manifest]
        streams = json.loads(subprocess.run(command, capture_output=True, check=True, timeout=30).stdout)["streams"]
        assert {stream["codec_type"] for stream in streams} == {"video", "audio"}
        urls = [f"{root}/news/news.ism/{output.manifest}" for output in OUTPUTS.values()]
        assert main(["check", "--compare", "--json", f"--cacert={authority.path}", *urls]) == 0
        assert main(["check", "--for=0", "--json", urls[0]]) == 2, "nobody vouches for it"
