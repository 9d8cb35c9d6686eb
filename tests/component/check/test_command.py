"""`pypackager check` as a user runs it: options, exit codes, and what it prints, over sockets."""

from __future__ import annotations

import json
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trio
from lxml import etree

from pypackager.cli import check
from pypackager.cli.main import main
from tests.helpers.live_dash import live_copies, mux_dash
from tests.helpers.media import LADDER_SHORT
from tests.helpers.plain_server import PlainServer, plain_server


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PlainServer]:
    """A good presentation `vod.mpd`, the same with a segment that is not there, one that is live, and a page."""
    folder = tmp_path_factory.mktemp("served")
    mux_dash(LADDER_SHORT, folder)
    good = (folder / "vod.mpd").read_text()
    (folder / "broken.mpd").write_text(good.replace("chunk-stream$RepresentationID$-", "lost-stream$RepresentationID$-", 1))
    (folder / "live.mpd").write_text(live_copies(good)[1])
    (folder / "page.html").write_text("<html>nothing to play</html>")
    with plain_server(folder) as server:
        yield server


def segments(capsys: pytest.CaptureFixture[str], *options: str) -> list[int]:
    """How many segments of each track the report in JSON says were judged."""
    assert main(["check", "--json", *options]) == 0
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    return [track["segments"] for track in document["tracks"]]


def refused() -> str:
    """A URL on a port where nobody listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{listener.getsockname()[1]}/vod.mpd"


def test_what_is_good_ends_with_0(served: PlainServer, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", f"{served.url}vod.mpd"]) == 0
    out = capsys.readouterr().out
    assert "HTTP-CORS" in out
    assert "0 errors" in out


def test_an_error_ends_with_1(served: PlainServer, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--depth", "quick", f"{served.url}broken.mpd"]) == 1
    assert "HTTP-STATUS" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("url", "told"),
    [("{served}nowhere.mpd", "404"), ("{served}page.html", "neither hls nor dash"), ("ftp://127.0.0.1/vod.mpd", "UnsupportedProtocol"),
     ("{refused}", "ConnectError"), ("vod.mpd", "UnsupportedProtocol")],
)  # fmt: skip
def test_what_cannot_be_judged_ends_with_2(url: str, told: str, served: PlainServer, capsys: pytest.CaptureFixture[str]) -> None:
    url = url.format(served=served.url, refused=refused())
    assert main(["check", f"{served.url}vod.mpd", url]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"pypackager check: {url}: ")
    assert told in err
    assert err.count("\n") == 1


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Ctrl-C interrupts, also where the tests were started in the background of a shell, which ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_ends_with_130(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    async def interrupted(*_: object, **__: object) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(check, "run_check", interrupted)
    assert main(["check", "http://127.0.0.1/"]) == 130
    assert capsys.readouterr() == ("", "")


def test_a_fault_of_the_judge_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(check, "run_check", broken)
    with pytest.raises(ExceptionGroup) as raised:
        main(["check", "http://127.0.0.1/"])
    assert raised.group_contains(ZeroDivisionError)


def test_junit_is_written(served: PlainServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "report.xml"
    path.write_text("an old and longer report" * 1000)
    assert main(["check", "--depth", "quick", "--junit", str(path), f"{served.url}broken.mpd"]) == 1
    suite = etree.fromstring(path.read_bytes())
    assert suite.xpath("//failure[contains(@message, 'HTTP-STATUS')]")
    assert "HTTP-STATUS" in capsys.readouterr().out


def test_where_junit_cannot_be_written_nothing_is_asked(served: PlainServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    served.paths.clear()
    assert main(["check", "--junit", str(tmp_path / "nowhere" / "report.xml"), f"{served.url}vod.mpd"]) == 2
    out, err = capsys.readouterr()
    assert not served.paths
    assert out == ""
    assert "report.xml" in err
    assert err.count("\n") == 1


def test_a_report_from_before_stays_where_none_could_be_made(tmp_path: Path) -> None:
    old, new = tmp_path / "old.xml", tmp_path / "new.xml"
    old.write_text("<testsuites/>")
    for path in (old, new):
        assert main(["check", "--junit", str(path), refused()]) == 2
    assert old.read_text() == "<testsuites/>"
    assert not new.exists()


def test_depth_and_most(served: PlainServer, capsys: pytest.CaptureFixture[str]) -> None:
    url = f"{served.url}vod.mpd"
    assert segments(capsys, url) == [6, 6, 6, 6]
    assert segments(capsys, "--depth", "quick", url) == [5, 5, 5, 5]
    assert segments(capsys, "--most", "2", url) == [2, 2, 2, 2]


def test_presentations_are_compared(served: PlainServer, capsys: pytest.CaptureFixture[str]) -> None:
    assert segments(capsys, "--compare", f"{served.url}vod.mpd", f"{served.url}vod.mpd") == [6, 6, 6, 6] * 2


def test_a_format_that_is_named_is_believed(served: PlainServer, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--for", "0", "--format", "hls", f"{served.url}vod.mpd"]) == 1
    assert "HLS-EXTM3U" in capsys.readouterr().out


def test_it_watches_for_as_long_as_told(served: PlainServer) -> None:
    looks = {}
    # The second look is a second after the first, which takes a busy machine some time.
    for seconds in ("0", "5s"):
        served.paths.clear()
        main(["check", "--depth", "quick", "--for", seconds, f"{served.url}live.mpd"])
        looks[seconds] = served.paths["/live.mpd"]
    assert looks["5s"] > looks["0"]


def test_the_rate_is_kept(served: PlainServer) -> None:
    served.methods.clear()
    began = time.monotonic()
    assert main(["check", "--depth", "quick", "--rate", "50", f"{served.url}vod.mpd"]) == 0
    assert served.methods.total() > 20
    assert time.monotonic() - began >= (served.methods.total() - 1) / 50 - 0.05


@pytest.mark.parametrize(
    "option",
    ["--most=0", "--most=-3", "--most=many", "--rate=nan", "--rate=inf", "--rate=-1", "--for=soon", "--format=rtsp", "--depth=deep"],
)
def test_options_that_mean_nothing_are_refused(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["check", option, "http://127.0.0.1/"])
    assert ended.value.code == 2
    assert option.partition("=")[2] in capsys.readouterr().err
