"""Three ways to run the same event: the API, the commands, the configuration file.

In: what is to be done. Out: it is done. What a file can't say, such as a reset, or what becomes of an asset that no program has, is told
with commands by who otherwise writes the file.
"""

from __future__ import annotations

import time
from typing import Any, Protocol

import msgspec

from pypackager.cli.main import main
from tests.helpers.daemon import Daemon


def call(daemon: Daemon, method: str, path: str, body: Any = None) -> Any:
    """One request of the API that has to succeed."""
    answer = daemon.client.request(method, daemon.control(f"v1/{path}"), json=body)
    assert answer.is_success, answer.text
    return answer.json() if answer.content else None


def carry_out(daemon: Daemon, method: str, path: str) -> None:
    """A command of the API, until it is done."""
    operation = call(daemon, method, path)
    deadline = time.monotonic() + 20
    while operation["status"] == "running":
        assert time.monotonic() < deadline, f"{path} does not end"
        time.sleep(0.05)
        operation = call(daemon, "GET", f"operations/{operation['id']}")
    assert operation["status"] == "done", operation


class Hand(Protocol):
    """Whoever runs the event; a channel has the name `news`, an asset that of its program, and so has its locator."""

    def create_channel(self) -> None:
        """Makes the channel, stopped."""
        ...

    def tell_channel(self, command: str) -> None:
        """`start`, `stop`, `reset` or `delete`."""
        ...

    def create_program(self, name: str, window: str, *, publish: bool) -> None:
        """Makes a program, stopped."""
        ...

    def tell_program(self, name: str, command: str) -> None:
        """`start`, `stop` or `delete`."""
        ...

    def publish(self, asset: str) -> None:
        """Sees to it that an asset has its locator."""
        ...

    def delete(self, kind: str, name: str) -> None:
        """Deletes a `locator` or an `asset`."""
        ...


class Api:
    """Over REST."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon

    def create_channel(self) -> None:
        call(self._daemon, "POST", "channels", {"name": "news", "ingest_allow": ["127.0.0.1"], "fragments_per_segment": 1})

    def tell_channel(self, command: str) -> None:
        if command == "delete":
            carry_out(self._daemon, "DELETE", "channels/news")
        else:
            carry_out(self._daemon, "POST", f"channels/news/{command}")

    def create_program(self, name: str, window: str, *, publish: bool) -> None:
        call(self._daemon, "POST", "channels/news/programs", {"name": name, "archive_window": window})
        if publish:
            self.publish(name)

    def tell_program(self, name: str, command: str) -> None:
        if command == "delete":
            call(self._daemon, "DELETE", f"channels/news/programs/{name}")
        else:
            carry_out(self._daemon, "POST", f"channels/news/programs/{name}/{command}")

    def publish(self, asset: str) -> None:
        known = call(self._daemon, "GET", "locators")["items"]
        if asset not in [locator["path"] for locator in known]:
            call(self._daemon, "POST", "locators", {"asset": asset, "path": asset})

    def delete(self, kind: str, name: str) -> None:
        call(self._daemon, "DELETE", f"{kind}s/{name}")


class Commands:
    """`pypackager channel …`."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon

    def create_channel(self) -> None:
        self._tell("channel", "create", "news", 'ingest_allow=["127.0.0.1"]', "fragments_per_segment=1")

    def tell_channel(self, command: str) -> None:
        self._tell("channel", command, "news", "--wait")

    def create_program(self, name: str, window: str, *, publish: bool) -> None:
        self._tell("program", "create", f"news/{name}", f"archive_window={window}")
        if publish:
            self.publish(name)

    def tell_program(self, name: str, command: str) -> None:
        self._tell("program", command, f"news/{name}", *([] if command == "delete" else ["--wait"]))

    def publish(self, asset: str) -> None:
        if not self._daemon.probe(self._daemon.control(f"v1/locators/{asset}")):
            self._tell("locator", "create", asset, "--path", asset)

    def delete(self, kind: str, name: str) -> None:
        self._tell(kind, "delete", name)

    def _tell(self, *command: str) -> None:
        assert main([*command, f"--control={self._daemon.control().rstrip('/')}"]) == 0, command


class _Table(msgspec.Struct):
    """The channel's part of the file."""

    state: str = "stopped"
    programs: dict[str, dict[str, str]] = {}
    name: str = "news"

    def toml(self) -> str:
        head = f'[[channel]]\nname = "{self.name}"\nstate = "{self.state}"\ningest_allow = ["127.0.0.1"]\nfragments_per_segment = 1\n'
        return head + "".join(
            "[[channel.program]]\n" + "".join(f'{key} = "{value}"\n' for key, value in [("name", name), *values.items()])
            for name, values in self.programs.items()
        )


class File:
    """The configuration file, which is read again."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._commands = Commands(daemon)
        self._table = _Table()
        daemon.prune = True

    def create_channel(self) -> None:
        self._apply("channels/news", "Stopped")

    def tell_channel(self, command: str) -> None:
        if command == "reset":
            self._commands.tell_channel(command)
            return
        if command == "delete":
            self._daemon.configure([])
            self._wait("channels/news", None)
            return
        self._table.state = {"start": "running", "stop": "stopped"}[command]
        self._apply("channels/news", {"start": "Running", "stop": "Stopped"}[command])

    def create_program(self, name: str, window: str, *, publish: bool) -> None:
        locator = {"locator": name} if publish else {}
        self._table.programs[name] = {"archive_window": window, "state": "stopped", **locator}
        self._apply(f"channels/news/programs/{name}", "Stopped")

    def tell_program(self, name: str, command: str) -> None:
        if command == "delete":
            del self._table.programs[name]
            self._apply(f"channels/news/programs/{name}", None)
            return
        self._table.programs[name]["state"] = {"start": "running", "stop": "stopped"}[command]
        self._apply(f"channels/news/programs/{name}", {"start": "Running", "stop": "Stopped"}[command])

    def publish(self, asset: str) -> None:
        self._commands.publish(asset)

    def delete(self, kind: str, name: str) -> None:
        self._commands.delete(kind, name)

    def _apply(self, path: str, state: str | None) -> None:
        self._daemon.configure([self._table])
        self._wait(path, state)

    def _wait(self, path: str, state: str | None) -> None:
        deadline = time.monotonic() + 20
        while True:
            answer = self._daemon.get(self._daemon.control(f"v1/{path}"))
            if (answer.json()["state"] == state) if answer.is_success else state is None:
                return
            assert time.monotonic() < deadline, f"{path} does not become {state}: {answer.text}\n{self._daemon.tail()}"
            time.sleep(0.05)
