"""Where each channel is, and the way there for a connection.

In: channels, connections that were given away. Out: their worker. Never: a channel that moves from one worker to another.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pypackager._core import Given
from pypackager.control.resources import Resources
from pypackager.model.errors import PackagerError
from pypackager.runtime.workers.post import Post
from pypackager.runtime.workers.words import Status, Taken, Wanted, parcel, socket_name


class Places:
    """The posts of a daemon and which channels each has; implements ingest.ports.Elsewhere.

    Args:
        folder: where the Unix sockets of applications are.
        log: a structured logger.
    """

    def __init__(self, folder: Path, log: Any) -> None:
        self.posts: Sequence[Post] = ()
        self._folder = folder
        self._log = log
        self._places: dict[str, Post] = {}
        """For as long as the daemon lives."""

    def of(self, channel: str) -> Post | None:
        """The post that has a channel."""
        return self._places.get(channel)

    def at(self, post: Post) -> list[str]:
        """The channels of a post."""
        return [name for name, place in self._places.items() if place is post]

    def place(self, channel: str) -> bool:
        """Gives a channel to the worker that has the fewest; whether it was new."""
        if channel in self._places:
            return False
        places = list(self._places.values())
        self._places[channel] = min(self.posts, key=lambda each: (places.count(each), each.number))
        return True

    def forget(self, channel: str, post: Post) -> None:
        """A channel was deleted."""
        if self._places.get(channel) is post:
            del self._places[channel]

    def said(self) -> dict[str, Status]:
        """How the channels are that workers have open."""
        return {name: each for post in self.posts for name, each in post.says.channels.items()}

    def failed(self) -> dict[str, str]:
        """Why workers could not open channels."""
        return {name: why for post in self.posts for name, why in post.says.failed.items()}

    def wanted(self, post: Post, resources: Resources) -> Wanted:
        """What a worker is to be."""
        own = set(self.at(post))
        return Wanted(
            [each for each in resources.channels.values() if each.name in own],
            [each for each in resources.programs.values() if each.channel in own],
            list(resources.locators.values()),
            list(resources.endpoints.values()),
            list(resources.signing_keys.values()),
            frozenset(self._places.keys() - own),
            {host: each.name for each in resources.channels.values() for host in each.settings.ingest_hosts},
        )

    def routes(self, endpoint: str, resources: Resources) -> dict[str, str]:
        """The applications of an endpoint by what they serve."""
        found = {f"preview/{name}": self._socket(post, endpoint) for name, post in self._places.items()}
        for path, locator in resources.locators.items():
            program = resources.user(locator.asset)
            if program is not None and (post := self._places.get(program.channel)) is not None:
                found[path] = self._socket(post, endpoint)
        return found

    def health(self) -> Sequence[Mapping[str, Any]]:
        """What people are shown of the workers."""
        return [{"number": post.number, "state": post.state, "channels": len(self.at(post)), "lost": post.lost} for post in self.posts]

    # --- ingest.ports.Elsewhere

    def has(self, channel: str) -> bool:
        """Whether a worker has a channel.

        Raises:
            PackagerError: WORKER_DOWN (503).
        """
        post = self._places.get(channel)
        if post is None or channel in post.says.failed:
            return False
        if post.link is None or channel not in post.says.channels:
            raise PackagerError("WORKER_DOWN", f"channel {channel}: its worker is being started", status=503, fault="us")
        return True

    def send(self, given: Given, channel: str, peer: str) -> None:
        """Sends a connection to the worker of its channel."""
        self._hand(parcel(given, channel, peer), given.fileno())

    def forward(self, taken: Taken, fd: int) -> None:
        """A request on a connection of one worker is for a channel of another."""
        try:
            self._hand(taken, fd)
        finally:
            os.close(fd)

    def _hand(self, taken: Taken, fd: int) -> None:
        """Sends a connection on; one that can't be sent ends with its descriptor here, and its encoder comes back."""
        post = self._places.get(taken.channel)
        if post is None or post.link is None:
            return
        try:
            post.link.say("take", taken, fd)
        except OSError as error:
            self._log.error("connection not handed over", channel=taken.channel, peer=taken.peer, detail=str(error))

    def _socket(self, post: Post, endpoint: str) -> str:
        return str(self._folder / socket_name(post.number, endpoint))
