"""Runs the judge on a recording or on a daemon, and demands verdicts."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from pathlib import Path

import trio
from trio.testing import MockClock

from pypackager.check.finding import Finding, Report
from pypackager.check.http_origin import open_http_origin
from pypackager.check.run import run
from pypackager.check.session import Settings
from pypackager.check.tables import describe
from tests.helpers.recorded import RecordedOrigin, Recording

_TYPES = {
    ".m3u8": "application/vnd.apple.mpegurl",
    ".mpd": "application/dash+xml",
    ".mp4": "video/mp4",
    ".m4s": "video/mp4",
    ".ts": "video/mp2t",
}
BASE = "http://origin.test/"


def record_folder(folder: Path) -> Recording:
    """The files of a folder as an origin's answers."""
    recording = Recording()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            recording.add(BASE + path.relative_to(folder).as_posix(), path.read_bytes(), _TYPES.get(path.suffix, ""))
    return recording


def judge_recording(recording: Recording, *urls: str, seconds: float = 0.0, compare: bool = False) -> Report:
    """The report on presentations of a recording; time passes as fast as the judge lets it."""

    async def main() -> Report:
        return await run(list(urls), RecordedOrigin(recording), Settings(seconds=seconds), compare=compare)

    return trio.run(main, clock=MockClock(autojump_threshold=0))


def judge_urls(urls: Sequence[str], *, seconds: float = 0.0, compare: bool = False) -> Report:
    """The report on what is served at this moment."""

    async def main() -> Report:
        async with open_http_origin() as origin:
            return await run(list(urls), origin, Settings(seconds=seconds), compare=compare)

    return trio.run(main)


def assert_clean(report: Report, *, expected: Collection[str] = (), warnings: bool = True, broken: str = "") -> None:
    """No error, and no warning unless these are left out, but those of `expected` rules, each of which must be there.

    What is found on the tracks, or in the media, that the pattern `broken` names is passed over.
    """

    def counts(each: Finding) -> bool:
        severe = each.rule.severity in (("error", "warning") if warnings else ("error",))
        passed_over = bool(broken and re.search(broken, f"{each.place.track} {each.place.url}"))
        return severe and each.rule.id not in expected and not passed_over

    told = [
        f"{each.rule.id} at {describe(each.place)}: {each.found}, expected {each.expected}" for each in report.findings() if counts(each)
    ]
    assert not told, "\n".join(told)
    assert set(expected) <= report.broken()
