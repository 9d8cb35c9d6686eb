"""nginx with `deploy/nginx-edge.conf` in front of a test's origin."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.helpers.encoders import program
from tests.helpers.ports import free_port

CONFIGURATION = Path(__file__).resolve().parents[2] / "deploy" / "nginx-edge.conf"
_FROM_ORIGIN = {"MISS", "EXPIRED", "BYPASS", "STALE", "-"}


@dataclass(frozen=True)
class Edge:
    """A running edge cache."""

    port: int
    log: Path

    def url(self, path: str = "") -> str:
        """A URL of the edge."""
        return f"http://127.0.0.1:{self.port}/{path}"

    def asked_of_origin(self) -> Counter[str]:
        """How often each URL went on to the origin and was answered with 200."""
        lines = [line.split(" ", 2) for line in self.log.read_text().splitlines()]
        return Counter(path for cache, status, path in lines if cache in _FROM_ORIGIN and status == "200")


@contextmanager
def running_edge(folder: Path, origin_port: int) -> Iterator[Edge]:
    """Starts nginx on a free port with a cache of its own; ends it at the end."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    edge = CONFIGURATION.read_text()
    for pattern, value in (
        (r"/var/cache/nginx/pypackager", str(folder / "cache")),
        (r"server 127\.0\.0\.1:8080;", f"server 127.0.0.1:{origin_port};"),
        (r"listen 80 ", f"listen 127.0.0.1:{port} "),
    ):
        edge, count = re.subn(pattern, value, edge)
        assert count == 1, f"{CONFIGURATION.name} no longer says {pattern}"
    log = folder / "edge.log"
    temporary = "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    # Workers of root would otherwise be nobody, who may not enter a test's folder.
    user = "user root;\n" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(
        f"daemon off;\n{user}worker_processes 1;\npid {folder}/nginx.pid;\nerror_log {folder}/error.log;\nevents {{}}\n"
        f"http {{\n{temporary}log_format cache '$upstream_cache_status $status $request_uri';\naccess_log {log} cache;\n{edge}}}\n"
    )
    command = [program("nginx", "nginx-light"), "-p", str(folder), "-c", str(folder / "nginx.conf")]
    with (folder / "nginx.out").open("wb") as out:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    try:
        wait_for(process, port, folder)
        yield Edge(port, log)
    finally:
        process.terminate()
        process.wait(10)


def wait_for(process: subprocess.Popen[bytes], port: int, folder: Path) -> None:
    """Waits until nginx, whose output is `nginx.out` in a folder, answers."""
    deadline = time.monotonic() + 30
    while True:
        assert process.poll() is None, (folder / "nginx.out").read_text()
        try:
            httpx.get(f"http://127.0.0.1:{port}/healthz", trust_env=False, timeout=20)
        except httpx.TransportError:
            assert time.monotonic() < deadline, "nginx does not listen"
            time.sleep(0.05)
        else:
            return
