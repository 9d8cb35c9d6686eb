"""nginx with nginx-rtmp, Debian's libnginx-mod-rtmp: writing HLS and DASH, and taking a feed in without doing anything with it."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_MODULES = (Path("/usr/lib/nginx/modules/ngx_rtmp_module.so"), Path("/usr/share/nginx/modules/ngx_rtmp_module.so"))
_CONFIG = """\
load_module {module};
daemon off;
master_process off;
pid {work}/nginx.pid;
error_log {work}/error.log error;
events {{ }}
rtmp {{
    access_log off;
    server {{
        listen 127.0.0.1:{port};
        chunk_size 4096;
{applications}
    }}
}}
"""


_PACKAGING = """\
            hls on;
            hls_path {work}/hls/{name};
            hls_fragment 6s;
            hls_playlist_length 60s;
            dash on;
            dash_path {work}/dash/{name};
            dash_fragment 2s;
            dash_playlist_length 60s;
"""
LADDERS = 20
"""Applications: `bench1` to `bench20`, and `bench`."""


@dataclass(frozen=True)
class NginxRtmp:
    """One worker without a master: one process to measure."""

    name: str
    packaging: bool

    def missing(self) -> str:
        """What has to be installed first."""
        return "" if self._module() and shutil.which("nginx", path="/usr/sbin:/usr/bin") else "apt-get install nginx libnginx-mod-rtmp"

    @contextmanager
    def running(self, work: Path) -> Iterator[tuple[int, str]]:
        """The server while the context lasts."""
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        for folder in ("hls", "dash"):
            (work / folder).mkdir()
        config = work / "nginx.conf"
        names = ["bench", *(f"bench{n}" for n in range(1, LADDERS + 1))]
        # nginx-rtmp lets no two applications write to one folder.
        doing = {name: _PACKAGING.format(work=work, name=name) if self.packaging else "" for name in names}
        applications = "\n".join(f"        application {name} {{\n            live on;\n{doing[name]}        }}" for name in names)
        config.write_text(_CONFIG.format(module=self._module(), work=work, port=port, applications=applications))
        nginx = shutil.which("nginx", path="/usr/sbin:/usr/bin") or "nginx"
        process = subprocess.Popen([nginx, "-c", str(config), "-p", str(work)], stdin=subprocess.DEVNULL)
        try:
            wait_until_listening(process, port, work)
            yield process.pid, f"rtmp://127.0.0.1:{port}/bench"
        finally:
            process.terminate()
            process.wait(10)

    @staticmethod
    def _module() -> Path | None:
        return next((path for path in _MODULES if path.exists()), None)


def wait_until_listening(process: subprocess.Popen[bytes], port: int, work: Path) -> None:
    """Waits until nginx, whose error log is in `work`, listens; raises AssertionError when it ends instead."""
    deadline = time.monotonic() + 10
    while not _listens(port):
        assert process.poll() is None, f"nginx ended: {(work / 'error.log').read_text()[-1000:]}"
        assert time.monotonic() < deadline, "nginx does not listen"
        time.sleep(0.1)


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


NGINX_RTMP = NginxRtmp("nginx-rtmp writing HLS and DASH", packaging=True)
NGINX_INTAKE = NginxRtmp("nginx-rtmp taking in, nothing written", packaging=False)
