"""A webhook over the API, with a receiver on a socket."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import trio

from tests.component.test_locators import both


async def test_a_receiver_is_told(tmp_path: Path) -> None:
    life = both(tmp_path)
    got: list[dict[str, Any]] = []

    async def receive(stream: trio.SocketStream) -> None:
        text = b""
        while b"\r\n\r\n" not in text or not text.endswith(b"}"):
            text += await stream.receive_some()
        head, _, body = text.partition(b"\r\n\r\n")
        assert head.startswith(b"POST /hook HTTP/1.1")
        assert b"\r\nwebhook-signature: v1," in head.lower()
        # The first is not taken, and comes again.
        got.append(json.loads(body))
        await stream.send_all(b"HTTP/1.1 %d X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n" % (500 if len(got) == 1 else 200))
        await stream.aclose()

    async with life.running(), trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, receive, [listener])
        url = f"http://127.0.0.1:{listener.socket.getsockname()[1]}/hook"
        made = await life.fine("POST", "webhooks", {"name": "ops", "url": url, "kinds": ["resource"]}, 201)
        assert made["secret"].startswith("whsec_")
        shown = await life.fine("GET", "webhooks/ops")
        assert set(shown.keys()) == {"name", "url", "kinds", "last", "waiting", "created", "modified", "etag"}
        await life.fine("POST", "channels", {"name": "ch"}, 201)
        await life.until(lambda: sum(body["subject"] == "channels/ch" for body in got) >= 1 and len(got) >= 2)
        assert got[0] == got[1], "what was not taken comes again"
        assert await life.tell("webhook list") == 0
        changed = await life.fine("PATCH", "webhooks/ops", {"kinds": ["alert"]})
        assert (changed["kinds"], changed["url"]) == (["alert"], url)
        assert await life.refused("PATCH", "webhooks/ops", {"kinds": ["x"]}) == (400, "INVALID")
        rotated = await life.fine("POST", "webhooks/ops/rotate")
        assert rotated["secret"].startswith("whsec_")
        assert rotated["secret"] != made["secret"]
        assert await life.tell("webhook set ops kinds=null") == 0
        assert await life.tell("webhook rotate ops") == 0
        assert await life.refused("POST", "webhooks", {"name": "ops", "url": url}) == (409, "WEBHOOK_EXISTS")
        assert await life.refused("POST", "webhooks", {"name": "b", "url": "x"}) == (400, "INVALID")
        assert await life.tell("webhook delete ops") == 0
        assert await life.refused("GET", "webhooks/ops") == (404, "WEBHOOK_UNKNOWN")
        nursery.cancel_scope.cancel()


async def test_what_was_not_taken_is_sent_by_the_next_process(tmp_path: Path) -> None:
    got: list[tuple[str, dict[str, Any]]] = []
    status = 503

    async def receive(stream: trio.SocketStream) -> None:
        text = b""
        while b"\r\n\r\n" not in text or not text.endswith(b"}"):
            text += await stream.receive_some()
        head, _, body = text.partition(b"\r\n\r\n")
        fields = dict(line.lower().split(": ", 1) for line in head.decode().split("\r\n")[1:])
        got.append((fields["webhook-id"], json.loads(body)))
        await stream.send_all(b"HTTP/1.1 %d X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n" % status)
        await stream.aclose()

    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, receive, [listener])
        url = f"http://127.0.0.1:{listener.socket.getsockname()[1]}/hook"
        life = both(tmp_path)
        async with life.running():
            await life.fine("POST", "webhooks", {"name": "ops", "url": url, "kinds": ["resource"]}, 201)
            for name in ("a", "b"):
                await life.fine("POST", "channels", {"name": name}, 201)
            await life.until(lambda: len(got) >= 1)
            # What became of it is told a moment later.
            while (last := (await life.fine("GET", "webhooks/ops"))["last"]) is None:
                pass
            assert (last["id"], last["status"], last["detail"]) == (got[0][0], 503, "HTTP 503")
        refused, status = len(got), 200
        life = both(tmp_path)
        async with life.running():
            await life.until(lambda: {body["subject"] for _, body in got[refused:]} >= {"channels/a", "channels/b"})
            assert got[refused][0] == got[0][0], "by its id a receiver knows what it has"
            while (shown := await life.fine("GET", "webhooks/ops"))["waiting"] or shown["last"]["detail"]:
                pass
            names = [name for name, _ in got[refused:]]
            assert len(set(names)) == len(names)
        nursery.cancel_scope.cancel()
