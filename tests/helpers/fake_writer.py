"""A writer for tests: does the native writer's work in Python, step by step, with faults on request."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from errno import EIO, ENOSPC


class FakeFragment:
    """Bytes that pass for a muxed fragment."""

    def __init__(self, time: int, duration: int, data: bytes, crc: int, samples: int = 1) -> None:
        self.time = time
        self.duration = duration
        self.size = len(data)
        self.crc = crc
        self.samples = samples
        self._data = data

    def __bytes__(self) -> bytes:
        return self._data


class FakeWriter:
    """Queues every call and does it in `step`, so that a test decides what was written when the process died.

    `room` is what the disk still takes in bytes: a write beyond it is short, undone and answered with ENOSPC.
    """

    def __init__(self) -> None:
        self.room = 1 << 60
        self.sync_errno = 0
        self.synced: list[list[str]] = []
        self._files: dict[int, tuple[int, str]] = {}
        self._queue: deque[tuple[int, list[Callable[[], int]]]] = deque()
        self._done: list[tuple[int, int]] = []
        self._ticket = 0
        self._handle = 0

    def open(self, path: str) -> int:
        self._handle += 1
        self._files[self._handle] = (os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644), path)
        return self._handle

    def append(self, handle: int, data: bytes) -> int:
        return self._put([lambda: self._append(handle, data)])

    def write_fragment(self, blob: int, offset: int, fragment: FakeFragment, journal: int, record: bytes) -> int:
        return self._put([lambda: self._write(blob, offset, bytes(fragment)), lambda: self._append(journal, record)])

    def sync(self, handles: list[int]) -> int:
        return self._put([lambda: self._sync(handles)])

    def close_file(self, handle: int) -> int:
        return self._put([lambda: self._close(handle)])

    def open_files(self) -> int:
        """Files that nobody has closed."""
        return len(self._files)

    def done(self) -> list[tuple[int, int]]:
        done, self._done = self._done, []
        return done

    def step(self, count: int = 1 << 30) -> None:
        """Does the next `count` calls."""
        while self._queue and count:
            count -= 1
            ticket, parts = self._queue.popleft()
            error = 0
            for part in parts:
                error = error or part()
            self._done.append((ticket, error))

    def die(self, parts: int, torn: int) -> None:
        """kill -9: the next `parts` writes happen, then `torn` bytes of the one after; the rest never does. All files close."""
        for _, steps in self._queue:
            parts = self._last(steps, parts, torn)
            if parts < 0:
                break
        self._queue.clear()
        for fd, _ in self._files.values():
            os.close(fd)
        self._files.clear()

    _keep_torn = False

    def _last(self, steps: list[Callable[[], int]], parts: int, torn: int) -> int:
        """A call while the process dies; returns how many more writes happen, less than none when it is dead."""
        for step in steps:
            if not parts:
                if torn:
                    self.room = torn
                    self._keep_torn = True
                    step()
                return -1
            parts -= 1
            if step():
                # As ever: a failed first write skips the second.
                break
        return parts

    def _put(self, parts: list[Callable[[], int]]) -> int:
        self._ticket += 1
        self._queue.append((self._ticket, parts))
        return self._ticket

    def _append(self, handle: int, data: bytes) -> int:
        fd, _ = self._files[handle]
        return self._write(handle, os.fstat(fd).st_size, data)

    def _write(self, handle: int, offset: int, data: bytes) -> int:
        fd, _ = self._files[handle]
        size = os.fstat(fd).st_size
        taken = data[: self.room]
        os.pwrite(fd, taken, offset)
        self.room -= len(taken)
        if len(taken) == len(data):
            return 0
        if not self._keep_torn:
            os.ftruncate(fd, size)
            self.room += len(taken)
        return ENOSPC

    def _sync(self, handles: list[int]) -> int:
        self.synced.append([self._files[handle][1] for handle in handles])
        return EIO if self.sync_errno else 0

    def _close(self, handle: int) -> int:
        fd, _ = self._files.pop(handle)
        os.close(fd)
        return 0
