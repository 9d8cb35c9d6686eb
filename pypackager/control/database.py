"""The registry's file: SQLite with a write-ahead log.

In: resources to put and to drop. Out: those that were put. Never: an answer before it is on the disk, or an event loop: every
call here blocks.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec

from pypackager.control.resources import (
    ApiToken,
    Channel,
    Key,
    Locator,
    Program,
    Resource,
    Resources,
    SigningKey,
    StreamingEndpoint,
    Webhook,
    key,
)
from pypackager.control.usage import Amount, Kind, Used
from pypackager.model.errors import PackagerError

STEPS: tuple[str, ...] = (
    # 1
    "CREATE TABLE resource (kind TEXT NOT NULL, key TEXT NOT NULL, body BLOB NOT NULL, PRIMARY KEY (kind, key)) WITHOUT ROWID",
    # 2
    (
        "CREATE TABLE usage (kind TEXT NOT NULL, name TEXT NOT NULL, hour INTEGER NOT NULL, running_ns INTEGER NOT NULL, "
        "bytes_in INTEGER NOT NULL, bytes_out INTEGER NOT NULL, PRIMARY KEY (kind, name, hour)) WITHOUT ROWID"
    ),
    # 3
    (
        "CREATE TABLE delivery (number INTEGER PRIMARY KEY AUTOINCREMENT, webhook TEXT NOT NULL, id TEXT NOT NULL, at TEXT NOT NULL, "
        "body BLOB NOT NULL, lost INTEGER NOT NULL); CREATE INDEX delivery_order ON delivery (webhook, number)"
    ),
)
"""What makes each version of the file of the one before; `user_version` counts them. A step that was released is never changed."""
_RESOURCES = 1
"""The first version whose resources are read as they are: a look at a file of an older daemon need not change it."""
_ADD = (
    "INSERT INTO usage VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET running_ns = running_ns + excluded.running_ns, "
    "bytes_in = bytes_in + excluded.bytes_in, bytes_out = bytes_out + excluded.bytes_out"
)
_KINDS: dict[str, type[Resource]] = {
    "channel": Channel,
    "program": Program,
    "locator": Locator,
    "streaming-endpoint": StreamingEndpoint,
    "signing-key": SigningKey,
    "api-token": ApiToken,
    "webhook": Webhook,
}


class Database:
    """The open file; one thread at a time.

    Args:
        path: of the file, which is made when it is not there, and brought to this version of the format.
        read_only: it is there, and is left as it is.

    Raises:
        PackagerError: REGISTRY_UNUSABLE: it can't be opened or read, or another version of this program wrote it.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self._path = path
        try:
            uri = f"{path.absolute().as_uri()}?mode={'ro' if read_only else 'rwc'}"
            self._connection = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
            self._prepare(read_only=read_only)
        except (sqlite3.Error, OSError) as error:
            raise self._unusable(str(error)) from error

    def _prepare(self, *, read_only: bool) -> None:
        connection = self._connection
        if not read_only:
            # Secrets are in it; SQLite gives its log the rights of the file.
            self._path.chmod(0o600)
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > len(STEPS) or (read_only and version < _RESOURCES):
            connection.close()
            raise self._unusable(f"it has format {version}; this program's is {len(STEPS)}")
        if read_only:
            return
        connection.execute("PRAGMA journal_mode = WAL")
        # In a write-ahead log anything less loses what was answered when the power fails.
        connection.execute("PRAGMA synchronous = FULL")
        for number, step in enumerate(STEPS[version:], version + 1):
            connection.executescript(f"BEGIN; {step}; PRAGMA user_version = {number}; COMMIT;")

    def load(self) -> Resources:
        """All resources.

        Raises:
            PackagerError: REGISTRY_UNUSABLE.
        """
        try:
            rows = self._connection.execute("SELECT kind, body FROM resource ORDER BY kind, key").fetchall()
            return Resources().changed([msgspec.json.decode(body, type=_KINDS[kind]) for kind, body in rows], [])
        except (sqlite3.Error, msgspec.MsgspecError, KeyError) as error:
            raise self._unusable(str(error)) from error

    def write(self, put: Iterable[Resource], drop: Iterable[Resource]) -> None:
        """Puts and drops all of them or, when this raises, none; on the disk when it returns.

        Raises:
            PackagerError: REGISTRY_NOT_WRITTEN (507).
        """
        gone = [_names(key(resource)) for resource in drop]
        new = [(*_names(key(resource)), msgspec.json.encode(resource)) for resource in put]
        self._write(
            ("DELETE FROM resource WHERE kind = ? AND key = ?", gone),
            ("INSERT OR REPLACE INTO resource VALUES (?, ?, ?)", new),
        )

    def add(self, used: Iterable[Used]) -> None:
        """Adds all of it to what is there or, when this raises, nothing; on the disk when it returns.

        Raises:
            PackagerError: REGISTRY_NOT_WRITTEN (507).
        """
        rows = [(each.kind, each.name, each.hour, each.amount.running_ns, each.amount.bytes_in, each.amount.bytes_out) for each in used]
        self._write((_ADD, rows))

    def used(self, first: int, behind: int) -> list[Used]:
        """What was used in the hours from `first` up to but not with `behind`."""
        found = self._connection.execute(
            "SELECT kind, name, hour, running_ns, bytes_in, bytes_out FROM usage WHERE hour >= ? AND hour < ?", (first, behind)
        )
        return [Used(kind, name, hour, Amount(*amount)) for kind, name, hour, *amount in found]

    def used_in_all(self) -> list[tuple[Kind, str, Amount]]:
        """What was ever used under each name."""
        found = self._connection.execute("SELECT kind, name, sum(running_ns), sum(bytes_in), sum(bytes_out) FROM usage GROUP BY kind, name")
        return [(kind, name, Amount(*amount)) for kind, name, *amount in found]

    def _write(self, *statements: tuple[str, list[tuple[Any, ...]]]) -> None:
        connection = self._connection
        try:
            connection.execute("BEGIN IMMEDIATE")
            for statement, rows in statements:
                connection.executemany(statement, rows)
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            detail = f"nothing was changed: {self._path.name}: {error}"
            raise PackagerError("REGISTRY_NOT_WRITTEN", detail, status=507, where=str(self._path), fault="operator") from error

    def close(self) -> None:
        """Closes the file."""
        self._connection.close()

    def _unusable(self, detail: str) -> PackagerError:
        return PackagerError("REGISTRY_UNUSABLE", detail, where=str(self._path), fault="operator")


def peek(path: Path) -> Resources:
    """What a file has, without a change to it; nothing when there is none.

    Raises:
        PackagerError: REGISTRY_UNUSABLE.
    """
    if not path.exists():
        return Resources()
    with closing(Database(path, read_only=True)) as database:
        return database.load()


def _names(named: Key) -> tuple[Any, ...]:
    # No name has a slash.
    return named[0], "/".join(named[1:])
