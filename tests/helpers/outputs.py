"""Judges all outputs of a channel at once: every frame that was sent, in every format."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tests.helpers.daemon import Daemon
from tests.helpers.frames import Track, assert_presentation
from tests.helpers.presentation import OUTPUTS


def assert_outputs(
    daemon: Daemon, channel: str, sent: Sequence[Track], *, whole: bool = True, coarser: int = 1_000_000, only: Iterable[str] = OUTPUTS
) -> None:
    """Downloads a channel's published program in each format and compares it with what was sent; reports all formats that fail."""
    faults = []
    for name in only:
        output = OUTPUTS[name]
        try:
            got = output.read(daemon.fetch, daemon.presentation(channel, output.manifest))
            assert_presentation(sent, got, whole=whole, coarser=coarser, one_audio=output.one_audio)
        except AssertionError as fault:
            faults.append(f"{name}: {fault}")
    assert not faults, "\n".join(faults)
