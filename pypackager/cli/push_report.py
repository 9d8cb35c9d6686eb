"""What `pypackager push` says: one line while it runs, a table or JSON at its end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from pypackager._core import StreamStats

_FIELDS = (
    "url",
    "phase",
    "bytes",
    "samples",
    "units",
    "resent",
    "media_seconds",
    "late_ms",
    "reconnects",
    "away_seconds",
    "longest_away_seconds",
    "code",
    "detail",
)
_NUMBERS = ("media", "data", "rate", "late", "sent", "again", "reconnects", "away", "longest", "faults")
_SHOWN = 20
"""Lines of faults and of answers that a person reads; JSON has them all."""


def status_line(stats: Sequence[StreamStats]) -> Text:
    """What goes on, in one line."""
    playing, away, failed = (sum(one.phase == phase for one in stats) for phase in ("playing", "away", "failed"))
    media = max((one.media_seconds for one in stats), default=0.0)
    megabytes, late = sum(one.bytes for one in stats) / 1e6, max((one.late_ms for one in stats), default=0.0)
    line = Text(f"{playing} of {len(stats)} streams playing · {media:.1f} s · {megabytes:.1f} MB · at most {late:.0f} ms late")
    reconnects = sum(one.reconnects for one in stats)
    if reconnects:
        line.append(f" · {reconnects} reconnects")
    if away:
        line.append(f" · {away} away", style="bold yellow")
    if failed:
        line.append(f" · {failed} failed", style="bold red")
    return line


def as_table(stats: Sequence[StreamStats], seed: int) -> RenderableType:
    """What became of every stream, the faults it had, and what the other side answered."""
    table = Table(box=None, pad_edge=False)
    for heading in ("stream", "state"):
        table.add_column(heading, overflow="fold")
    for heading in _NUMBERS:
        table.add_column(heading, justify="right")
    for one in stats:
        rate = one.bytes * 8 / one.media_seconds / 1000 if one.media_seconds > 0 else 0.0
        state = Text(one.phase) if not one.code else Text(f"{one.code}: {one.detail}", style="red")
        numbers = [f"{one.media_seconds:.2f} s", f"{one.bytes / 1e6:.2f} MB", f"{rate:.0f} kbit/s", f"{one.late_ms:.0f} ms"]
        numbers += [str(one.units), str(one.resent), str(one.reconnects)]
        numbers += [f"{one.away_seconds:.2f} s", f"{one.longest_away_seconds:.2f} s", str(len(one.injected))]
        table.add_row(one.url, state, *numbers)
    return Group(table, *_faults(stats), *_answers(stats), Text(f"seed {seed}"))


def as_json(stats: Sequence[StreamStats], seed: int) -> dict[str, Any]:
    """The same for programs."""
    return {"seed": seed, "streams": [_stream(one) for one in stats]}


def _stream(one: StreamStats) -> dict[str, Any]:
    injected = [{"fault": name, "media_seconds": media, "wall": _wall(wall)} for name, media, wall in one.injected]
    answers = [{"answer": text, "wall": _wall(wall)} for text, wall in one.answers]
    return {**{name: getattr(one, name) for name in _FIELDS}, "injected": injected, "answers": answers}


def _faults(stats: Sequence[StreamStats]) -> list[RenderableType]:
    happened = sorted((wall, name, media, one.url) for one in stats for name, media, wall in one.injected)
    lines = [f"  {_wall(wall)}  {media:9.3f} s  {name:<10} {url}" for wall, name, media, url in happened]
    return _section("faults", lines)


def _answers(stats: Sequence[StreamStats]) -> list[RenderableType]:
    counted = Counter(text for one in stats for text, _ in one.answers)
    return _section("answers", [f"  {count:5} x {text}" for text, count in counted.most_common()])


def _section(title: str, lines: list[str]) -> list[RenderableType]:
    more = [f"  and {len(lines) - _SHOWN} more"] if len(lines) > _SHOWN else []
    return [Text("\n".join([title, *lines[:_SHOWN], *more]))] if lines else []


def _wall(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
