"""A real daemon for a test: `pypackager serve` as a child process, on ports that the kernel chooses.

In: channels. Out: addresses, URLs and the log. Every exit is judged: a daemon that is stopped must end in time, with code 0, and must not
have logged a fault of its own.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import httpx

from pypackager.config.schema import Tls
from tests.helpers.judged import assert_clean, judge_urls
from tests.helpers.ports import free_port
from tests.helpers.presentation import OUTPUTS, body_of

HANGS_SECONDS = 60.0
"""Who waits for longer waits for what never comes: a limit that ends a test, by which nothing is proven, and no busy machine comes near."""
_STOP_SECONDS = 5.0
WORKERS = os.environ.get("PYPACKAGER_WORKERS", "")
"""How many workers each daemon has; empty: as the test says, else none but itself."""
INGEST = ("rtmp", "rtmps", "ingest", "ingest_tls")
"""Listeners of encoders."""


@dataclass(frozen=True)
class Channel:
    """A channel of the test's configuration, with one published program of the same name."""

    name: str
    protocol: str = "fmp4"
    window: str = "1h"
    program: str = "running"
    state: str = "running"
    settings: str = ""
    """More lines of its TOML table."""

    def toml(self) -> str:
        """Its part of the configuration file."""
        return (
            f'[[channel]]\nname = "{self.name}"\nprotocol = "{self.protocol}"\nstate = "{self.state}"\n'
            f'ingest_allow = ["127.0.0.1"]\n{self.settings}\n'
            f'[[channel.program]]\nname = "{self.name}"\nlocator = "{self.name}"\n'
            f'archive_window = "{self.window}"\nstate = "{self.program}"\n'
        )


class Table(Protocol):
    """A channel's part of the file."""

    def toml(self) -> str:
        """Its text."""
        ...


class Daemon:
    """A daemon and what a test needs to know of it."""

    def __init__(self, directory: Path, channels: Sequence[Channel], tuning: str = "", tls: Tls | None = None) -> None:
        """Nothing runs until `start`. With a certificate encoders may come over TLS too."""
        self.directory = directory
        self.data = directory / "data"
        self.log_path = directory / "daemon.log"
        self.channels = list(channels)
        self._tables: Sequence[Table] = self.channels
        self.tuning = tuning if "workers" in tuning or not WORKERS else f"workers = {WORKERS}\n{tuning}"
        self.tls = tls
        self.client_ca: Path | None = None
        """Who has to vouch for encoders over TLS."""
        self.command = [sys.executable, "-m", "pypackager.cli.main", "serve"]
        self.prune = False
        """Whether what is gone from the file is deleted."""
        self.addresses: dict[str, list[str]] = {}
        self.start_seconds = 0.0
        """What its last start took: a measure of this machine."""
        self.client = httpx.Client(timeout=30.0, trust_env=False)
        self._process: subprocess.Popen[bytes] | None = None

    # --- its life

    def start(self) -> None:
        """Starts it and waits until it is ready; a second start uses the ports of the first, so that encoders find it again."""
        config = self._write_config()
        run = self.data / "run.json"
        run.unlink(missing_ok=True)
        command = [*self.command, "--config", str(config)]
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        began = time.monotonic()
        while not (run.exists() and self._ready(run)):
            assert self._process.poll() is None, f"the daemon ended with code {self._process.returncode}:\n{self.tail()}"
            assert time.monotonic() < began + HANGS_SECONDS, f"the daemon is not ready after {HANGS_SECONDS} s:\n{self.tail()}"
            time.sleep(0.02)
        self.start_seconds = time.monotonic() - began

    def stop(self, sign: signal.Signals = signal.SIGINT) -> float:
        """Ends it as an operator does, and returns how many seconds that took."""
        process = self._running()
        began = time.monotonic()
        process.send_signal(sign)
        try:
            code = process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"the daemon did not end within {_STOP_SECONDS} s:\n{self.tail()}") from None
        self._process = None
        assert code == 0, f"the daemon ended with code {code}:\n{self.tail()}"
        assert "Traceback" not in self.log(), f"the daemon logged a fault of its own:\n{self.tail()}"
        return time.monotonic() - began

    def kill(self) -> None:
        """`kill -9`."""
        process = self._running()
        process.kill()
        process.wait()
        self._process = None

    def pause(self, seconds: float) -> None:
        """Gives it no processor for so long."""
        process = self._running()
        process.send_signal(signal.SIGSTOP)
        try:
            time.sleep(seconds)
        finally:
            process.send_signal(signal.SIGCONT)

    def wait_for_encoders(self, seconds: float = HANGS_SECONDS) -> None:
        """Waits until the daemon has seen the end of every ingest connection: what an ended process sent may still be on its way."""
        deadline = time.monotonic() + seconds
        ports = [int(address.rpartition(":")[2]) for kind in INGEST for address in self.addresses.get(kind, ())]
        # The kernel knows of a connection before the daemon does; the daemon still has its end to take when the kernel knows of none.
        while _connected(ports) or "pypackager_ingest_connections 0.0" not in self.fetch(self.control("metrics")).decode():
            assert time.monotonic() < deadline, f"encoders are still connected:\n{self.tail()}"
            time.sleep(0.02)

    def end_program(self, channel: str) -> None:
        """Stops a channel's program by its configuration, once its encoders have gone, and waits until it is video on demand."""
        self.wait_for_encoders()
        self.reload(channel, program="stopped")
        self.wait_for(self.presentation(channel, "manifest(format=mpd-time-cmaf)"), 'type="static"')

    def reload(self, channel: str, **changes: str) -> None:
        """Changes a channel's table in the file, and has it read again."""
        self.channels = [replace(entry, **changes) if entry.name == channel else entry for entry in self.channels]
        self.configure(self.channels)

    def configure(self, channels: Sequence[Table]) -> None:
        """Puts other channels into the file, and has it read again."""
        self._tables = channels
        self._write_config()
        self._running().send_signal(signal.SIGHUP)

    def running(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and self._process.poll() is None

    def close(self, *, judge: bool) -> None:
        """Ends it whatever happened; `judge` demands that it ends well."""
        self.client.close()
        if self._process is None:
            return
        if judge:
            self.stop()
        else:
            self.kill()

    # --- what it says

    def log(self) -> str:
        """Everything it wrote, over all its lives."""
        return self.log_path.read_text(errors="replace")

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._running().pid

    def probe(self, url: str) -> bool:
        """Whether a URL answers with 200."""
        return self.client.get(url).status_code == 200

    def tail(self) -> str:
        """The end of its log without the access log, for a failure's message."""
        code = self._process.poll() if self._process else None
        lines = [line for line in self.log().splitlines() if '"log":"access"' not in line]
        return "\n".join([*lines[-60:], f"exit code: {code}"])

    def memory_kib(self) -> int:
        """Anonymous memory of the process."""
        status = Path(f"/proc/{self._running().pid}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon"))

    def descriptors(self) -> list[str]:
        """What the process has open: paths, and names like `socket:[123]`."""
        found: list[str] = []
        for entry in Path(f"/proc/{self.pid}/fd").iterdir():
            # One may be closed while the others are read.
            with suppress(FileNotFoundError):
                found.append(str(entry.readlink()))
        return found

    # --- where it is

    def port(self, listener: str) -> int:
        """The port of a listener: rtmp, ingest, control, origin."""
        return int(self.addresses[listener][0].rpartition(":")[2])

    def ingest(self, channel: str, stream: str = "ladder", side: str = "", *, tls: bool = False) -> str:
        """Where fragmented MP4 is POSTed."""
        root = f"https://localhost:{self.port('ingest_tls')}" if tls else f"http://127.0.0.1:{self.port('ingest')}"
        return f"{root}/{channel}/{side and side + '/'}ingest.isml/Streams({stream})"

    def rtmp(self, channel: str, side: str = "", *, tls: bool = False) -> str:
        """Where RTMP is published, without the track's name."""
        root = f"rtmps://localhost:{self.port('rtmps')}" if tls else f"rtmp://127.0.0.1:{self.port('rtmp')}"
        return f"{root}/{channel}{side and '/' + side}"

    def origin(self, path: str = "") -> str:
        """A URL of the streaming endpoint."""
        return f"http://127.0.0.1:{self.port('origin')}/{path}"

    def presentation(self, channel: str, manifest: str = "") -> str:
        """The root of a channel's published program, or one of its manifests."""
        return self.origin(f"{channel}/{channel}.ism/{manifest}")

    def control(self, path: str = "") -> str:
        """A URL of the control listener."""
        return f"http://127.0.0.1:{self.port('control')}/{path}"

    def fetch(self, url: str) -> bytes:
        """Fetches with status 200."""
        return body_of(self.get(url))

    def get(self, url: str) -> httpx.Response:
        """Asks once, whatever the answer.

        Raises:
            AssertionError: there is none; with the daemon's last words.
        """
        try:
            return self.client.get(url)
        except httpx.TransportError as fault:
            # A daemon that dies closes its listeners first and says why a moment later.
            time.sleep(3)
            raise AssertionError(f"{url}: {fault}\n{self.tail()}") from None

    def wait_for(self, url: str, text: str = "", seconds: float = HANGS_SECONDS) -> str:
        """Waits until a URL answers 200 with `text` in its body."""
        deadline = time.monotonic() + seconds
        while True:
            answer = self.get(url)
            if answer.status_code == httpx.codes.OK and text in answer.text:
                return answer.text
            assert time.monotonic() < deadline, f"after {seconds} s {url} answers {answer.status_code}: {answer.text[:1000]}\n{self.tail()}"
            time.sleep(0.1)

    # --- inside

    def _running(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "the daemon does not run"
        return self._process

    def _ready(self, run: Path) -> bool:
        try:
            self.addresses = json.loads(run.read_text())
            return self.client.get(self.control("readyz")).status_code == httpx.codes.OK
        except (json.JSONDecodeError, httpx.TransportError):
            return False

    def _write_config(self) -> Path:
        if not self.addresses:
            listeners = ("rtmp", "ingest", "control", "origin", *(("rtmps", "ingest_tls") if self.tls else ()))
            self.addresses = {listener: [f"127.0.0.1:{free_port()}"] for listener in listeners}
        listen = "".join(f"{listener} = {json.dumps(places)}\n" for listener, places in self.addresses.items())
        listen += f"ingest_client_ca = {json.dumps(str(self.client_ca))}\n" if self.client_ca else ""
        prune = str(self.prune).lower()
        pair = f'[[tls]]\ncertificate = "{self.tls.certificate}"\nkey = "{self.tls.key}"\n\n' if self.tls else ""
        head = f'data_dir = "{self.data}"\nlog = "json"\nprune = {prune}\n\n[listen]\n{listen}\n[tuning]\n{self.tuning}\n\n'
        endpoint = '[[streaming_endpoint]]\nname = "default"\nstate = "running"\n'
        path = self.directory / "pypackager.toml"
        path.write_text(head + pair + "\n".join(table.toml() for table in self._tables) + "\n" + endpoint)
        return path


def assert_published(daemon: Daemon, breaches: Collection[str] = (), broken: str = "") -> None:
    """Has the judge look at every channel's presentation in all formats, each of which must be there, and against each other."""
    for channel in daemon.channels:
        urls = {name: daemon.presentation(channel.name, output.manifest) for name, output in OUTPUTS.items()}
        missing = [name for name, url in urls.items() if not daemon.probe(url)]
        assert not missing, f"{channel.name} is not published as {', '.join(missing)}:\n{daemon.tail()}"
        assert_clean(judge_urls(list(urls.values()), compare=True), expected=breaches, warnings=False, broken=broken)


@contextmanager
def running_daemon(
    directory: Path, *channels: Channel, tuning: str = "", breaches: Collection[str] = (), broken: str = "", unjudged: str = "",
    tls: Tls | None = None, client_ca: Path | None = None,
) -> Iterator[Daemon]:  # fmt: skip
    """A daemon that runs, and is ended and judged at the end: its exit, its log, and by the strict judge all that it publishes.

    Args:
        directory: For its data and its log.
        channels: What it has.
        tuning: More lines of its `tuning` table.
        breaches: Rules that what the test does must break, such as a GOP that is too long; no other may be broken by an error.
        broken: A pattern of the tracks that the test broke on purpose: what the judge says of these is passed over.
        unjudged: Why what it publishes at the end is not judged, if it isn't.
        tls: A certificate, with which encoders may come over TLS too.
        client_ca: Who has to vouch for these then.
    """
    directory.mkdir(parents=True, exist_ok=True)
    daemon = Daemon(directory, channels, tuning, tls)
    daemon.client_ca = client_ca
    judge = False
    try:
        daemon.start()
        yield daemon
        if daemon.running() and not unjudged:
            assert_published(daemon, breaches, broken)
        judge = True
    finally:
        if not judge and os.environ.get("PYPACKAGER_SHOW_LOG"):
            sys.stderr.write(daemon.log())
        daemon.close(judge=judge)


def _connected(ports: Sequence[int]) -> bool:
    """Whether a connection to one of these local ports is open, or waits to be accepted."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, _, state, *_ = line.split()
        # 01 established, 08 the other side closed it (include/net/tcp_states.h).
        if state in ("01", "08") and int(local.rpartition(":")[2], 16) in ports:
            return True
    return False
