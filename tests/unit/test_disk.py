"""Low space: the longest window gives first, and somebody is told."""

from __future__ import annotations

from pathlib import Path

import msgspec

from pypackager.runtime.disk import free_bytes, make_room


class Kept(msgspec.Struct):
    """A channel with some hours on disk."""

    depth: int
    files: int
    alerts: list[str] = msgspec.field(default_factory=list)

    def alert(self, code: str, detail: str) -> None:
        self.alerts.append(code)

    def depth_ns(self) -> int:
        return self.depth

    def trim_oldest(self) -> bool:
        self.files -= self.files > 1
        return self.files > 0 and bool(self.files)


def test_enough_space_changes_nothing() -> None:
    channel = Kept(100, 5)
    assert not make_room(1000, 1000, {"a": channel})
    assert (channel.files, channel.alerts) == (5, [])


def test_the_longest_window_gives_up_its_oldest_files() -> None:
    short, long = Kept(100, 5), Kept(900, 5)
    assert make_room(999, 1000, {"a": short, "b": long})
    assert (short.files, long.files) == (5, 4)
    assert (short.alerts, long.alerts) == ([], ["DISK_LOW"])


def test_free_bytes_asks_the_file_system(tmp_path: Path) -> None:
    assert free_bytes(tmp_path) > 0
