"""nginx giving files, Debian's nginx-light: the measure of delivery."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peers.nginx_rtmp import wait_until_listening

_CONFIG = """\
daemon off;
master_process off;
worker_rlimit_nofile {descriptors};
pid {work}/nginx.pid;
error_log {work}/error.log error;
events {{ worker_connections {connections}; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    open_file_cache max=100 inactive=1h;
    open_file_cache_valid 1h;
    keepalive_timeout 1h;
    keepalive_requests 1000000000;
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        root {root};
    }}
    client_body_temp_path {work}/body;
    proxy_temp_path {work}/proxy;
    fastcgi_temp_path {work}/fastcgi;
    uwsgi_temp_path {work}/uwsgi;
    scgi_temp_path {work}/scgi;
}}
"""


@dataclass(frozen=True)
class NginxStatic:
    """One worker without a master: one process to measure. Files are kept open, nothing is logged: as fast as it is."""

    name: str = "nginx giving files"

    def missing(self) -> str:
        """What has to be installed first."""
        return "" if shutil.which("nginx", path="/usr/sbin:/usr/bin") else "apt-get install nginx-light"

    @contextmanager
    def running(self, work: Path, root: Path, descriptors: int) -> Iterator[tuple[int, str]]:
        """The server while the context lasts: its process, and its address."""
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        config = work / "nginx.conf"
        # When fewer than a sixteenth of its connections are free it closes those that are idle.
        config.write_text(_CONFIG.format(work=work, port=port, root=root, descriptors=descriptors, connections=2 * descriptors))
        nginx = shutil.which("nginx", path="/usr/sbin:/usr/bin") or "nginx"
        process = subprocess.Popen([nginx, "-c", str(config), "-p", str(work)], stdin=subprocess.DEVNULL)
        try:
            wait_until_listening(process, port, work)
            yield process.pid, f"127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(10)


NGINX_STATIC = NginxStatic()
