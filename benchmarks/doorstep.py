"""A process with nothing but a front door: a manifest and two segments that were published to it (`python -m benchmarks.doorstep FOLDER`).

The answers have the header fields of the daemon's, the segments are ranges of files as in the DVR, and the report is fetched each second as
the daemon does. Prints its address, and serves until SIGTERM.
"""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path

from pypackager._core import FrontDoor
from pypackager.model.plan import Published, Stored
from pypackager.origin.front import wrap
from pypackager.origin.reply import Terms
from pypackager.origin.serve import address_of, open_listeners
from pypackager.runtime.allocator import keep_memory
from pypackager.runtime.descriptors import allow_descriptors, for_viewers

SIZES = {"manifest": 2_000, "segment": 90_000, "large": 1_700_000}
"""Bytes of each answer: a live playlist, two seconds at 360 kbit/s, and at 6.8 Mbit/s."""
TERMS = Terms(interval_ns=2_000_000_000)
HOUR = 3600.0
MOST = 100_000
"""Connections, where the process may have so many."""


def main() -> None:
    """Serves the files of those names."""
    folder = Path(sys.argv[1])
    allow_descriptors()
    keep_memory()
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    (listener,) = open_listeners(["127.0.0.1:0"])
    address = address_of(listener)
    door = FrontDoor([listener.detach()], str(folder / "nobody"), max_connections=for_viewers(MOST))
    for name, size in SIZES.items():
        path = folder / name
        if name == "manifest":
            text = Published("application/vnd.apple.mpegurl", path.read_bytes(), "manifest", name)
            door.add("/bench", f"/{name}", wrap(text, TERMS))
        else:
            stored = Published("video/mp4", Stored(((str(path), 0, size),)), "immutable", name)
            door.put("/bench", f"/{name}", wrap(stored, TERMS), HOUR)
    print(address, flush=True)
    while not stopping.wait(1.0):
        door.report()
    door.stop()


if __name__ == "__main__":
    main()
