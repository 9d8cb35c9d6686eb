"""The native core through its Python face: every class and function of the stub works on real files and sockets."""

import errno
import select
import subprocess
import sys
from pathlib import Path

import pytest

from pypackager import _core
from pypackager.model.plan import Stored


def wait(writer: _core.Writer, last: int) -> dict[int, int]:
    """Results of all tickets up to `last`."""
    done: dict[int, int] = {}
    while last not in done:
        assert select.select([writer.fileno()], [], [], 10)[0], f"ticket {last} never finished: {done}"
        done.update(writer.done())
    return done


def test_crc32c_is_castagnoli() -> None:
    assert _core.crc32c(b"123456789") == 0xE3069283


def test_writer_appends_and_reports(tmp_path: Path) -> None:
    writer = _core.Writer()
    handle = writer.open(str(tmp_path / "journal"))
    tickets = [writer.append(handle, bytes([number]) * 10) for number in range(5)]
    last = writer.sync([handle])
    done = wait(writer, last)
    assert done == dict.fromkeys([*tickets, last], 0)
    assert writer.queued_bytes() == 0
    writer.close_file(handle)
    writer.stop()
    assert (tmp_path / "journal").read_bytes() == b"".join(bytes([number]) * 10 for number in range(5))


def test_writer_refuses_a_path_with_errno_and_name(tmp_path: Path) -> None:
    writer = _core.Writer()
    with pytest.raises(FileNotFoundError) as caught:
        writer.open(str(tmp_path / "gone" / "journal"))
    assert caught.value.errno == errno.ENOENT
    assert caught.value.filename == str(tmp_path / "gone" / "journal")


SHORT_WRITE = """
import resource, select, sys
from pypackager import _core
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
writer = _core.Writer()
handle = writer.open(sys.argv[1])
tickets = [writer.append(handle, b"a" * 900), writer.append(handle, b"b" * 200), writer.append(handle, b"c" * 50)]
writer.stop()
print([code for _, code in writer.done()])
"""


def test_a_short_write_is_undone_and_the_next_one_follows_the_last_good_byte(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    run = subprocess.run([sys.executable, "-c", SHORT_WRITE, path], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == str([0, errno.EFBIG, 0])
    assert path.read_bytes() == b"a" * 900 + b"c" * 50


def test_ranges_are_read_in_order(tmp_path: Path) -> None:
    path = tmp_path / "blob"
    path.write_bytes(b"0123456789")
    assert _core.make_body(Stored(((str(path), 7, 3), (str(path), 0, 2)))) == b"78901"
    assert _core.make_body(Stored(())) == b""
    with pytest.raises(OSError, match="ends at byte 10"):
        _core.make_body(Stored(((str(path), 8, 3),)))
    with pytest.raises(FileNotFoundError):
        _core.make_body(Stored(((str(tmp_path / "gone"), 0, 1),)))
