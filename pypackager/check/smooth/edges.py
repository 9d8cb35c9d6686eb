"""Asks a live origin for what it can't have: a fragment past the edge is 412, one that is long gone 404.

Clients tell by the status whether to ask again. MS-SSTR leaves the numbers to the server; these are those of IIS and of every server since.
"""

from __future__ import annotations

from pypackager.check.finding import Scope
from pypackager.check.references import resolve_reference
from pypackager.check.rules import Rule, rule
from pypackager.check.session import Session
from pypackager.check.smooth.manifest import Level, Manifest, Stream

EARLY = rule(
    "SMOOTH-TOO-EARLY", "error", "MS-SSTR 2.2.6", "a fragment past the live edge is answered with 412: come again",
    example="404 for the fragment after the next: its client takes it for gone",
)  # fmt: skip
GONE = rule(
    "SMOOTH-GONE", "error", "MS-SSTR 2.2.6", "a fragment that has left the window is answered with 404 or 410: do not come again",
    example="412 for a fragment of yesterday: its client asks for ever",
)  # fmt: skip

_PAST = 3
"""Fragments further than the look-ahead, so that none may appear between the manifest and the question."""
_AGO_SECONDS = 36 * 3600


async def check_edges(session: Session, manifest: Manifest, asked: float, scope: Scope) -> None:
    """Asks for one fragment past the edge and for one long gone, of the first stream that has fragments.

    `asked` is when the manifest was asked for.
    """
    stream = next((stream for stream in manifest.streams if stream.chunks and stream.levels and not stream.sparse), None)
    if stream is None:
        return
    level, last = stream.levels[0], stream.chunks[-1]
    # What came since the manifest was asked for is past its edge, and there.
    age = int((session.origin.utc() - asked) * stream.timescale)
    future = last.end + age + (manifest.ahead + _PAST) * last.duration
    await _ask(session, manifest, stream, level, future, (412,), EARLY, scope)
    past = stream.chunks[0].start - _AGO_SECONDS * stream.timescale
    # A presentation that began at zero has no past; what never was is answered like what is gone.
    past = past if past >= 0 else stream.chunks[0].start // 2
    if past < stream.chunks[0].start:
        await _ask(session, manifest, stream, level, past, (404, 410), GONE, scope)


async def _ask(
    session: Session, manifest: Manifest, stream: Stream, level: Level, time: int, wanted: tuple[int, ...], broken: Rule, scope: Scope
) -> None:
    url = fragment_url(manifest, stream, level, time)
    answer = await session.origin.ask(url)
    session.note(answer, "other")
    # A server that keeps more than it lists does no harm.
    if answer.status not in wanted and not (broken is GONE and answer.status == 200):
        here = scope.at(track=stream.name, url=url, segment=str(time))
        here.breach(broken, answer.status or answer.fault, " or ".join(map(str, wanted)))


def fragment_url(manifest: Manifest, stream: Stream, level: Level, time: int) -> str:
    """The URL of a fragment ([MS-SSTR] 2.2.3)."""
    path = stream.url.replace("{bitrate}", str(level.bitrate)).replace("{Bitrate}", str(level.bitrate))
    for mark in ("{start time}", "{start_time}"):
        path = path.replace(mark, str(time))
    return resolve_reference(manifest.url, path.replace("{CustomAttributes}", ""))
