"""One whole check: finds the format of each URL, walks it, judges it.

In: URLs, an origin, settings. Out: the report. Never: sockets or text layout.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable

import trio

from pypackager.check.dash import walk as dash
from pypackager.check.finding import Report
from pypackager.check.hds import walk as hds
from pypackager.check.hls import walk as hls
from pypackager.check.judge.verdict import judge, judge_together, summarise
from pypackager.check.origin import Answer, Origin
from pypackager.check.presentation import Presentation
from pypackager.check.served.verdict import check_served
from pypackager.check.session import Progress, Session, Settings
from pypackager.check.smooth import walk as smooth

Walk = Callable[[Session, str, Answer], Awaitable[Presentation]]

WALKERS: dict[str, Walk] = {"hls": hls.walk, "dash": dash.walk, "smooth": smooth.walk, "hds": hds.walk}
"""Every format, by the name that `--format` takes."""


class CannotRunError(Exception):
    """Nothing could be judged: no answer, or no format that is known."""


async def run(
    urls: list[str],
    origin: Origin,
    settings: Settings,
    *,
    form: str = "auto",
    compare: bool = False,
    watch: Callable[[list[Progress]], None] | None = None,
) -> Report:
    """Checks presentations, all at the same time.

    Args:
        urls: Their manifests.
        origin: Who is asked.
        settings: How thoroughly.
        form: Their format, or `auto`.
        compare: They must carry the same frames at the same times.
        watch: Is given the state of progress once, when it begins.

    Raises:
        CannotRunError: a URL has no answer, or not one of a known format.
    """
    report = Report()
    sessions: list[Session] = []
    walks: list[tuple[str, Answer]] = []
    names: Counter[str] = Counter()
    for url in urls:
        probe = Session(origin, report, settings, "")
        answer = await origin.ask(url)
        if answer.status != 200:
            raise CannotRunError(f"{url}: {answer.status or answer.fault}")
        name = detect(answer) if form == "auto" else form
        names[name] += 1
        probe.label = name if names[name] == 1 else f"{name} {names[name]}"
        probe.scope = report.scope(presentation=probe.label)
        probe.note(answer, "manifest")
        sessions.append(probe)
        walks.append((name, answer))
    if watch is not None:
        watch([session.progress for session in sessions])
    presentations: list[Presentation | None] = [None] * len(urls)

    async def one(n: int) -> None:
        name, answer = walks[n]
        presentations[n] = walked = await WALKERS[name](sessions[n], urls[n], answer)
        await check_served(walked, sessions[n])

    async with trio.open_nursery() as nursery:
        for n in range(len(urls)):
            nursery.start_soon(one, n)
    walked = [presentation for presentation in presentations if presentation is not None]
    for session, presentation in zip(sessions, walked, strict=True):
        judge(presentation, session)
        summarise(presentation, report)
    if compare:
        judge_together(walked, report, whole=settings.depth == "full")
    return report


def detect(answer: Answer) -> str:
    """The format of a manifest.

    Raises:
        CannotRunError: it is none that is known.
    """
    text = answer.body.lstrip(b"\xef\xbb\xbf \r\n\t")[:2000]
    if text.startswith(b"#EXTM3U") or "mpegurl" in (answer.header("content-type") or "").lower():
        return "hls"
    for mark, name in ((b"<MPD", "dash"), (b"<SmoothStreamingMedia", "smooth"), (b"<manifest", "hds")):
        if mark in text and name in WALKERS:
            return name
    raise CannotRunError(f"{answer.url}: neither {' nor '.join(WALKERS)}; it starts with {text[:40]!r}")
