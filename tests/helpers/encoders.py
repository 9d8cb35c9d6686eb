"""Real encoders as child processes: ffmpeg in two generations, and GStreamer. They send recorded material; none of them encodes.

In: material and a URL. Out: a process that is always ended properly, and its log. GStreamer needs SIGINT to finish its stream.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.helpers.media import ffmpeg

NEW_FFMPEG = ffmpeg()
"""The binary of the imageio-ffmpeg wheel."""


def program(name: str, package: str) -> str:
    """The path of a system program.

    Raises:
        AssertionError: it is not installed; the message says what to install.
    """
    path = shutil.which(name, path="/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin")
    assert path, f"{name} is missing: apt-get install {package}"
    return path


def old_ffmpeg() -> str:
    """The distribution's ffmpeg."""
    return program("ffmpeg", "ffmpeg")


class Encoder:
    """A running encoder; a context manager that ends it."""

    def __init__(self, command: Sequence[str], log: Path) -> None:
        """Starts it."""
        self.command = list(command)
        self.log_path = log
        with log.open("wb") as out:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True)

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Ends it."""
        self.stop()

    def log(self) -> str:
        """What it said."""
        return self.log_path.read_text(errors="replace")

    def running(self) -> bool:
        """Whether it still sends."""
        return self.process.poll() is None

    def finish(self, seconds: float = 120.0) -> None:
        """Waits until it has sent everything, and demands that it was content."""
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{Path(self.command[0]).name} still sends after {seconds} s:\n{self.log()[-3000:]}") from None
        assert code == 0, f"{Path(self.command[0]).name} ended with code {code}:\n{self.log()[-3000:]}"

    def stop(self) -> None:
        """Interrupts it as a person would, so that it ends its stream; kills it when that does not help."""
        for sign, patience in ((signal.SIGINT, 4.0), (signal.SIGTERM, 2.0), (signal.SIGKILL, 2.0)):
            if not self.running():
                return
            self.process.send_signal(sign)
            try:
                self.process.wait(patience)
            except subprocess.TimeoutExpired:
                continue

    def kill(self) -> None:
        """Ends it at once, in the middle of whatever it sends; the kernel closes its sockets."""
        self.process.kill()
        self.process.wait()

    def freeze(self) -> None:
        """Lets it hang with its connections open, as an encoder behind a dead network."""
        self.process.send_signal(signal.SIGSTOP)


# --- ffmpeg


def _input(binary: str, source: Path, *, rate: float, loop: bool, start: float, burst: float = 0.0) -> list[str]:
    command = [binary, "-hide_banner", "-loglevel", "warning", "-nostats"]
    if rate:
        command += ["-readrate", str(rate)]
    if burst:
        command += ["-readrate_initial_burst", str(burst)]
    if loop:
        command += ["-stream_loop", "-1"]
    if start:
        command += ["-ss", str(start)]
    return [*command, "-i", str(source)]


def push_isml(
    url: str, source: Path, log: Path, *, binary: str = NEW_FFMPEG, rate: float = 1.0, loop: bool = False, start: float = 0.0,
    maps: Sequence[str] = ("0",), flags: str = "isml+frag_keyframe", burst: float = 0.0, extra: Sequence[str] = (),
) -> Encoder:  # fmt: skip
    """Fragmented MP4 with a live manifest in one long POST, as the ingest specification says.

    Args:
        url: Where to POST.
        source: Recorded material.
        log: File for what it says.
        binary: Which ffmpeg.
        rate: Speed against real time; 0 is as fast as it goes.
        loop: Send it again and again, times going on.
        start: Second of the material to begin at.
        maps: Which tracks.
        flags: `-movflags`.
        burst: So many seconds of the material come at once, before the pace begins; the old ffmpeg can't.
        extra: More output options.
    """
    command = _input(binary, source, rate=rate, loop=loop, start=start, burst=burst)
    for stream in maps:
        command += ["-map", stream]
    return Encoder([*command, "-c", "copy", "-movflags", flags, *extra, "-f", "ismv", url], log)


def push_cmaf(url: str, source: Path, log: Path, *, binary: str = NEW_FFMPEG, rate: float = 1.0, maps: Sequence[str] = ("0",)) -> Encoder:
    """Fragmented MP4 with `tfdt` and several `traf` in a `moof`, without a live manifest."""
    command = _input(binary, source, rate=rate, loop=False, start=0.0)
    for stream in maps:
        command += ["-map", stream]
    flags = "frag_keyframe+empty_moov+default_base_moof+cmaf"
    method = ["-method", "POST"] if url.startswith("http") else []
    return Encoder([*command, "-c", "copy", "-movflags", flags, *method, "-f", "mp4", url], log)


def push_with_recovery(url: str, source: Path, log: Path, *, binary: str = NEW_FFMPEG, loop: bool = True) -> Encoder:
    """What comes back after a broken connection, as a hardware encoder does: ffmpeg's fifo before the muxer that the URL asks for."""
    # It says by the way when its queue was full and it has thrown all of it away.
    command = [*_input(binary, source, rate=1.0, loop=loop, start=0.0), "-loglevel", "info"]
    command += ["-map", "0", "-c", "copy", "-flags", "+global_header"]
    # Its own 60 packets are a third of a second of the ladder: a busy machine keeps its sender waiting for longer.
    command += ["-queue_size", "600"]
    if url.startswith("rtmp"):
        # The fifo hands on the tags of the MP4 file, which FLV does not know: its own are 7 and 10.
        command += ["-tag:v", "7", "-tag:a", "10", "-output_ts_offset", "1", "-f", "fifo", "-fifo_format", "flv"]
    else:
        command += ["-f", "fifo", "-fifo_format", "ismv", "-format_opts", "movflags=isml+frag_keyframe"]
    command += ["-drop_pkts_on_overflow", "1", "-attempt_recovery", "1", "-recovery_wait_time", "1", "-max_recovery_attempts", "0", url]
    return Encoder(command, log)


def push_rtmp(
    base: str, source: Path, log: Path, publishes: Mapping[str, Sequence[str]], *,
    binary: str = NEW_FFMPEG, rate: float = 1.0, loop: bool = False, start: float = 0.0, extra: Sequence[str] = (),
) -> Encoder:  # fmt: skip
    """RTMP from one process: a publish per name, each with the tracks mapped to it; `extra` are more output options."""
    command = _input(binary, source, rate=rate, loop=loop, start=start)
    for name, maps in publishes.items():
        for stream in maps:
            command += ["-map", stream]
        # Without the offset each connection that carries AAC would start at its priming, before zero, and ffmpeg would move that
        # connection alone.
        command += ["-c", "copy", "-output_ts_offset", "1", *extra, "-f", "flv", f"{base}/{name}"]
    return Encoder(command, log)


LADDER_PUBLISHES = {"v1": ["0:0"], "v2": ["0:1"], "v3": ["0:2"], "v4": ["0:3", "0:4"], "audio2": ["0:5"]}
"""The ladder over RTMP: a publish per layer, the first language muxed with the top layer, the second one alone."""


# --- GStreamer


def gst_isml(url: str, source: Path, log: Path, *, audio: bool = True, paced: bool = False) -> Encoder:
    """`ismlmux ! curlhttpsink`: Expect: 100-continue, no live manifest, no tfxd."""
    return Encoder([*_gst(source, audio=audio, paced=paced), "ismlmux", "name=mux", "streamable=true", "fragment-duration=2000",
                    "!", "curlhttpsink", f"location={url}"], log)  # fmt: skip


def gst_rtmp(url: str, source: Path, log: Path, *, paced: bool = False) -> Encoder:
    """`flvmux ! rtmp2sink`."""
    return Encoder(
        [*_gst(source, audio=True, paced=paced), "flvmux", "name=mux", "streamable=true", "!", "rtmp2sink", f"location={url}"], log
    )


def _gst(source: Path, *, audio: bool, paced: bool) -> list[str]:
    command = [program("gst-launch-1.0", "gstreamer1.0-tools"), "-e", "filesrc", f"location={source}", "!", "qtdemux", "name=demux"]
    kinds = {"video": "h264parse", "audio": "aacparse"} if audio else {"video": "h264parse"}
    # In real time only where a test is about that: a live muxer that misses its deadlines on a busy machine changes times.
    pace = ["clocksync", "!"] if paced else []
    for kind, parser in kinds.items():
        command += [f"demux.{kind}_0", "!", "queue", "max-size-time=0", "max-size-bytes=0", "!", parser, "!", "queue", "!", *pace, "mux."]
    return command


def wait_until(condition: Callable[[], bool], message: str, seconds: float = 60.0) -> None:
    """Waits until `condition()` is true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"after {seconds} s: {message}"
        time.sleep(0.05)
