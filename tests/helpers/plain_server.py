"""A plain server of files, over sockets: no ETag, no ranges, no CORS."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from os import PathLike
from pathlib import Path, PurePath

_TYPES = {".m3u8": "application/vnd.apple.mpegurl", ".mpd": "application/dash+xml", ".html": "text/html"}


class PlainServer:
    """A folder, served."""

    def __init__(self, url: str) -> None:
        """`url`: where the folder is, with a slash at the end."""
        self.url = url
        self.methods: Counter[str] = Counter()
        self.paths: Counter[str] = Counter()


class _Handler(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    served: PlainServer

    def guess_type(self, path: str | PathLike[str]) -> str:
        return _TYPES.get(PurePath(path).suffix, "video/mp4")

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        self.served.methods[self.command] += 1
        self.served.paths[self.path] += 1

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the standard library's
        """Nothing is printed."""


@contextmanager
def plain_server(folder: Path) -> Iterator[PlainServer]:
    """Serves until the end of the block."""

    class Handler(_Handler):
        pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder))) as server:
        served = Handler.served = PlainServer(f"http://127.0.0.1:{server.server_port}/")
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield served
        finally:
            server.shutdown()
            thread.join()
