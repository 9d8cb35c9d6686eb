"""HDS out: bootstrap, numbering, and yt-dlp, the last client that reads it."""

from __future__ import annotations

import base64
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urljoin

import pytest
from lxml import etree

from tests.helpers.daemon import Channel, Daemon, running_daemon
from tests.helpers.encoders import push_isml
from tests.helpers.frames import read_file
from tests.helpers.media import LADDER_SHORT, SINGLE, ffmpeg, material
from tests.helpers.presentation import F4M
from tests.helpers.read_flv import Bootstrap, read_bootstrap

pytestmark = pytest.mark.e2e

MANIFEST = "manifest(format=f4m-f4f)"


def bootstrap_of(daemon: Daemon) -> tuple[etree._Element, Bootstrap, str]:
    """The manifest, the bootstrap of its first media, and the URL prefix of its fragments."""
    url = daemon.presentation("news", MANIFEST)
    manifest = etree.fromstring(daemon.fetch(url))
    media = next(manifest.iter(f"{F4M}media"))
    info = next(info for info in manifest.iter(f"{F4M}bootstrapInfo") if info.get("id") == media.get("bootstrapInfoId"))
    data = daemon.fetch(urljoin(url, str(info.get("url")))) if info.get("url") else base64.b64decode(info.text or "")
    return manifest, read_bootstrap(data), urljoin(url, str(media.get("url")))


def test_live_bootstrap_grows_and_numbers_stay(tmp_path: Path) -> None:
    source = material(LADDER_SHORT)
    with (
        running_daemon(tmp_path, Channel("news")) as daemon,
        push_isml(daemon.ingest("news"), source, tmp_path / "encoder.log", loop=True),
    ):
        daemon.wait_for(daemon.presentation("news", MANIFEST), "<media")
        manifest, early, prefix = bootstrap_of(daemon)
        assert manifest.findtext(f"{F4M}streamType") == "live"
        assert early.live
        first = early.fragments()[0]
        assert first >= 1
        body = daemon.fetch(f"{prefix}Seg1-Frag{first}")
        deadline = early.fragments()[-1] + 2
        later = early
        for _ in range(150):
            if later.fragments()[-1] >= deadline:
                break
            time.sleep(0.1)
            _, later, _ = bootstrap_of(daemon)
        assert later.current_media_time > early.current_media_time
        assert later.version != early.version
        assert later.fragments()[: len(early.fragments())] == early.fragments()
        assert daemon.fetch(f"{prefix}Seg1-Frag{first}") == body
        assert daemon.client.get(f"{prefix}Seg1-Frag{later.fragments()[-1] + 1000}").status_code in {404, 412, 503}
        # All formats are judged at the end, and Smooth comes last.
        daemon.wait_for(daemon.presentation("news", "manifest"))


def test_yt_dlp_downloads_it_after_the_end(tmp_path: Path) -> None:
    source = material(SINGLE)
    with running_daemon(tmp_path, Channel("news")) as daemon:
        push_isml(daemon.ingest("news"), source, tmp_path / "encoder.log", rate=0).finish()
        daemon.end_program("news")
        manifest, bootstrap, _ = bootstrap_of(daemon)
        assert manifest.findtext(f"{F4M}streamType") == "recorded"
        assert not bootstrap.live
        (info,) = list(manifest.iter(f"{F4M}bootstrapInfo"))[:1]
        assert info.text, "inline, for video on demand"
        out = tmp_path / "download.flv"
        # The plain .f4m name is what yt-dlp's generic extractor tells HDS by, besides the content type.
        command = [sys.executable, "-m", "yt_dlp", "--no-cache-dir", "--proxy", "", "-f", "best", "--fixup", "never", "-o", str(out)]
        done = subprocess.run([*command, daemon.presentation("news", MANIFEST)], capture_output=True, timeout=50, check=False)
        assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
        copy = tmp_path / "download.mp4"
        subprocess.run([ffmpeg(), "-v", "error", "-i", str(out), "-c", "copy", str(copy)], check=True, timeout=20)
        got, sent = read_file(copy), read_file(source)
        for before, after in zip(sent, got, strict=True):
            assert after.digests() == before.digests()
