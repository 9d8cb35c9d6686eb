"""Two data centres behind one name: nginx with `deploy/nginx-service.conf` as the traffic manager, and encoders in step.

In: ports of two origins. Out: one address, and moves of all its viewers in mid-play.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.helpers.edge import wait_for
from tests.helpers.encoders import Encoder, program, push_isml
from tests.helpers.ports import free_port

CONFIGURATION = Path(__file__).resolve().parents[2] / "deploy" / "nginx-service.conf"

ON_AIR_S = 16
"""Of fragments of two seconds there are as many then as Smooth Streaming asks for: four, and two that these announce."""


class Service:
    """A running traffic manager."""

    def __init__(self, folder: Path, ports: Sequence[int]) -> None:
        """Nothing runs until `start`."""
        self.port = free_port()
        self.folder = folder
        self.log = folder / "service.log"
        self._ports = list(ports)
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, path: str = "") -> str:
        """A URL of the service."""
        return f"http://127.0.0.1:{self.port}/{path}"

    def start(self) -> None:
        """Viewers are sent to the first."""
        self._write(0)
        command = [program("nginx", "nginx-light"), "-p", str(self.folder), "-c", str(self.folder / "nginx.conf")]
        with (self.folder / "nginx.out").open("wb") as out:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        wait_for(self._process, self.port, self.folder)

    def move(self, to: int) -> None:
        """Viewers are sent to one of the two from now on."""
        assert self._process is not None
        self._write(to)
        self._process.send_signal(signal.SIGHUP)

    def stop(self) -> None:
        """Ends it."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)

    def served_by(self, path: str) -> list[int]:
        """Which of the two answered each request for what a pattern finds, in order."""
        lines = [line.split(" ", 2) for line in self.log.read_text().splitlines()]
        # Where one did not answer both are named; the last one did.
        found = [place.rpartition(":")[2] for place, _, target in lines if re.search(path, target)]
        return [self._ports.index(int(port)) for port in found if port.isdecimal()]

    def _write(self, first: int) -> None:
        text = CONFIGURATION.read_text()
        for pattern, value in (
            (r"192\.0\.2\.10:8080", f"127.0.0.1:{self._ports[first]}"),
            (r"198\.51\.100\.10:8080", f"127.0.0.1:{self._ports[1 - first]}"),
            (r"listen 80 ", f"listen 127.0.0.1:{self.port} "),
        ):
            text, count = re.subn(pattern, value, text)
            assert count == 1, f"{CONFIGURATION.name} no longer says {pattern}"
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        temporary = "".join(f"{kind}_temp_path {self.folder}/{kind};\n" for kind in kinds)
        # Workers of root would otherwise be nobody, who may not enter a test's folder.
        user = "user root;\n" if os.geteuid() == 0 else ""
        (self.folder / "nginx.conf").write_text(
            f"daemon off;\n{user}worker_processes 1;\npid {self.folder}/nginx.pid;\nerror_log {self.folder}/error.log;\nevents {{}}\n"
            f"http {{\n{temporary}log_format service '$upstream_addr $status $request_uri';\naccess_log {self.log} service;\n{text}}}\n"
        )


@contextmanager
def running_service(folder: Path, *ports: int) -> Iterator[Service]:
    """Starts a traffic manager before two origins; ends it at the end."""
    folder.mkdir(parents=True, exist_ok=True)
    service = Service(folder, ports)
    try:
        service.start()
        yield service
    finally:
        service.stop()


def push_in_step(
    url: str, source: Path, log: Path, began: int, *,
    start: int = 0, rate: float = 1.0, maps: Sequence[str] = ("0",), extra: Sequence[str] = (),
) -> Encoder:  # fmt: skip
    """An encoder whose times are UTC: the material's second `start` has the time `began + start`, whichever encoder sends it."""
    return push_isml(url, source, log, rate=rate, start=start, maps=maps, extra=("-output_ts_offset", str(began + start), *extra))


def on_air_since(seconds: int = ON_AIR_S) -> int:
    """The UTC second, so many seconds ago or a few more, at which segments of 2, 3 and 6 seconds begin."""
    return (int(time.time()) - seconds) // 6 * 6


def push_on_air(
    url: str, source: Path, log: Path, *, began: int | None = None, start: int = 0, loop: bool = False, extra: Sequence[str] = ()
) -> Encoder:
    """An encoder whose times are UTC, and that has been on the air for a while: what it would have sent by now comes at once.

    So a player finds at once what it would have had to wait for. The material's second `start` has the time `began + start`.
    """
    began = on_air_since() if began is None else began
    burst = time.time() - began - start
    return push_isml(url, source, log, start=start, loop=loop, burst=burst, extra=("-output_ts_offset", str(began + start), *extra))
