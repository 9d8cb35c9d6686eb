"""Events over the API: an event's whole life as those see it who watch."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import trio

from tests.component.test_locators import Both, both


class Watcher:
    """A client on a socket of its own, for as long as it is open."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream = stream
        self._got = b""

    async def next(self) -> tuple[str, str, Any]:
        """(event, id, data), without comments."""
        while True:
            block = (await self._until(b"\n\n")).decode()
            # The sizes of chunks are lines as well.
            fields = dict(line.split(": ", 1) for line in block.splitlines() if re.match(r"[a-z]+: ", line))
            if fields:
                return fields["event"], fields["id"], json.loads(fields["data"])

    async def _until(self, text: bytes) -> bytes:
        while text not in self._got:
            got = await self._stream.receive_some()
            assert got, "the daemon ended it"
            self._got += got
        found, _, self._got = self._got.partition(text)
        return found


@asynccontextmanager
async def watching(life: Both, last: str = "") -> AsyncIterator[Watcher]:
    address = life.daemon.addresses["control"][0]
    host, _, port = address.rpartition(":")
    async with await trio.open_tcp_stream(host, int(port)) as stream:
        watcher = Watcher(stream)
        again = f"last-event-id: {last}\r\n" if last else ""
        await stream.send_all(f"GET /v1/events HTTP/1.1\r\nhost: {address}\r\n{again}\r\n".encode())
        head = await watcher._until(b"\r\n\r\n")
        assert b"200" in head
        assert b"content-type: text/event-stream" in head.lower()
        await watcher._until(b": following\n\n")
        yield watcher


async def test_an_event_is_watched(tmp_path: Path) -> None:
    life = both(tmp_path)
    async with life.running():
        async with watching(life) as watcher:
            await life.publish()
            seen: list[tuple[str, str, str]] = []
            name = ""
            while not seen or seen[-1] != ("publish", "channels/ch", "ended"):
                kind, name, data = await watcher.next()
                seen.append((kind, data["subject"], data.get("change") or data.get("state") or data.get("status")))
        for expected in (
            ("resource", "channels/ch", "created"),
            ("resource", "channels/ch/programs/show", "created"),
            ("resource", "channels/ch", "changed"),
            ("operation", "channels/ch", "running"),
            ("state", "channels/ch", "Starting"),
            ("state", "channels/ch", "Running"),
            ("operation", "channels/ch", "done"),
            ("state", "channels/ch/programs/show", "Running"),
            ("resource", "locators/tv", "created"),
            ("publish", "channels/ch", "begun"),
        ):
            assert expected in seen, expected
        assert seen.index(("state", "channels/ch", "Starting")) < seen.index(("state", "channels/ch", "Running"))
        await life.fine("DELETE", "locators/tv", status=204)
        life.daemon.fleet.channels["ch"].alert("GOPS_MISALIGNED", "as a test says")
        async with watching(life, name) as watcher:
            kinds: list[tuple[str, str]] = []
            while len(kinds) < 2:
                kind, _, data = await watcher.next()
                # What was pushed has fragments of less than two seconds.
                if data.get("code") != "FRAGMENT_DURATION":
                    kinds.append((kind, data["subject"]))
        assert kinds == [("resource", "locators/tv"), ("alert", "channels/ch")], "who comes back goes on behind the last it saw"


async def test_who_reads_nothing_holds_up_nobody(tmp_path: Path) -> None:
    life = both(tmp_path)
    async with life.running():
        async with watching(life):
            await life.fine("POST", "channels", {"name": "ch"}, 201)
            for number in range(40):
                await life.fine("PATCH", "channels/ch", {"description": f"{number}"})
            assert (await life.fine("GET", "channels/ch"))["description"] == "39"
