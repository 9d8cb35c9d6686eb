"""What packaging keeps between the versions of a presentation, in `presentation.caches`.

In: a presentation, a key. Out: the strips and answers that belong to it. Never: anything that changes what is said.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from pypackager.model.plan import Published
from pypackager.model.presentation import Presentation
from pypackager.packaging.rows import Strip
from pypackager.packaging.runs import Rows, RunStrip

S = TypeVar("S", Strip, RunStrip)


def strip(presentation: Presentation, key: tuple[object, ...], track: Rows, make: Callable[[int], S]) -> S:
    """The strip of a track under `key`, trimmed to the window.

    It is made anew when the window is not where the strip's rows are: an older window is asked for, or it moved on unwatched by more than
    it is long.
    """
    kept: S | None = presentation.caches.get(key)
    if kept is None or track.first < kept.start or track.first > kept.end:
        kept = make(track.first)
        presentation.caches[key] = kept
    kept.trim(track.first)
    return kept


def answer(presentation: Presentation, key: tuple[object, ...], state: tuple[object, ...], make: Callable[[], Published]) -> Published:
    """The answer under `key`, made anew when the state that it is made from changed."""
    kept: tuple[tuple[object, ...], Published] | None = presentation.caches.get(key)
    if kept is None or kept[0] != state:
        kept = presentation.caches[key] = (state, make())
    return kept[1]


def version(presentation: Presentation) -> tuple[int, int]:
    """The state of what changes with every version."""
    return presentation.version, presentation.published_ns


def text(presentation: Presentation, slot: tuple[object, ...], arguments: tuple[object, ...], make: Callable[[], str]) -> str:
    """A piece of a manifest that seldom changes: made anew when what it is made from did."""
    kept: tuple[tuple[object, ...], str] | None = presentation.caches.get(slot)
    if kept is None or kept[0] != arguments:
        kept = presentation.caches[slot] = (arguments, make())
    return kept[1]
