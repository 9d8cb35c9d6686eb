"""How long a start takes: the daemon until it says that it is there, a feed until its first segment can be fetched (`make bench-start`).

The first segment is timed by the media itself: the pusher's frames carry the UTC at which they are sent (`push --sync`), so the time of the
first listed fragment is when its key frame was sent.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import time

import httpx

from benchmarks.processes import pin
from benchmarks.report import finish, table
from benchmarks.system import CLIENT_CPU, SERVER_CPU, WORK, config, daemon, end, pushing, spread
from tests.helpers.ports import free_port

HEALTH_S = 0.9
FRAGMENT_S = 2.0
"""Of the ladder."""
AFTER_S = 0.3
POLL_S = 0.005


def health() -> float:
    """Seconds from the command to the first answer of /healthz."""
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    port = free_port()
    text = config(1, WORK / "data").replace('control = ["127.0.0.1:0"]', f'control = ["127.0.0.1:{port}"]')
    (WORK / "pypackager.toml").write_text(text)
    command = [sys.executable, "-m", "pypackager.cli.main", "serve", "--config", str(WORK / "pypackager.toml")]
    with (WORK / "daemon.log").open("wb") as log, httpx.Client(trust_env=False) as client:
        began = time.monotonic()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            pin(process.pid, SERVER_CPU)
            while time.monotonic() < began + 30:
                try:
                    client.get(f"http://127.0.0.1:{port}/healthz").raise_for_status()
                except httpx.TransportError:
                    time.sleep(POLL_S)
                else:
                    return time.monotonic() - began
        finally:
            end(process)
    raise AssertionError((WORK / "daemon.log").read_text()[-2000:])


def first_segment(protocol: str) -> float:
    """Seconds from the first listed key frame to the first answer of its segment."""
    with daemon(1, protocol) as served, httpx.Client(trust_env=False, timeout=5) as client:
        root = f"http://{served.origin}/bench1/bench1.ism"
        with pushing(served.url(protocol), 1, "--sync") as push:
            deadline = time.monotonic() + 60
            while (manifest := client.get(f"{root}/manifest.mpd")).status_code != httpx.codes.OK:
                assert time.monotonic() < deadline, (WORK / "push.log").read_text()[-2000:]
                assert push.poll() is None, (WORK / "push.log").read_text()[-2000:]
                time.sleep(POLL_S)
            text = manifest.text
            template = find(r'<SegmentTemplate [^>]*timescale="(\d+)"[^>]*media="([^"]+)"', text)
            start = int(find(r'<S t="(\d+)"', text)[0])
            name = template[1].replace("$RepresentationID$", find(r'<Representation id="([^"]+)"', text)[0]).replace("$Time$", str(start))
            client.get(f"{root}/{name}").raise_for_status()
            return time.time() - sent_at(protocol, start / int(template[0]))


def sent_at(protocol: str, listed: float) -> float:
    """UTC at which a frame was sent, by the UTC that is listed.

    RTMP says times modulo 2**32 ms, and a clock that arrives is placed by whole seconds, rounded down (docs/design/time.md): what the
    listed time lacks is what the turns of the counter since 1970 have over whole seconds.
    """
    return listed + (int(listed * 1000) >> 32 << 32) % 1000 / 1000 if protocol == "rtmp" else listed


def find(pattern: str, text: str) -> tuple[str, ...]:
    """The groups of the first match."""
    match = re.search(pattern, text)
    assert match, (pattern, text)
    return match.groups()


def main() -> None:
    """Measures and writes RESULTS.md."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.start", description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="of each")
    parser.add_argument("--dry", action="store_true", help="print, and leave RESULTS.md alone")
    options = parser.parse_args()
    pin(0, CLIENT_CPU)
    rows = [["from the command to /healthz, s", f"≤ {HEALTH_S}", spread([health() for _ in range(options.runs)])]]
    for protocol, name in (("rtmp", "RTMP"), ("fmp4", "fragmented MP4")):
        took = [first_segment(protocol) for _ in range(options.runs)]
        rows.append([f"from the first key frame to its DASH segment, {name}, s", f"≤ {FRAGMENT_S + AFTER_S}", spread(took)])
    shutil.rmtree(WORK, ignore_errors=True)
    body = f"The full ladder; {options.runs} runs; minimum / median. A fragment has {FRAGMENT_S:g} s.\n\n" + table(
        ["figure", "target", "measured"], rows
    )
    finish("start", "Start", body, dry=options.dry)


if __name__ == "__main__":
    main()
