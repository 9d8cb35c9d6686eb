"""Draws measured curves beside a goal."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

Curve = Mapping[int, Sequence[float]]
"""What each window measured, by the number of what there was at once."""


def draw(path: Path, curves: Mapping[str, Curve], goal: tuple[float, str], x: str, y: str, *, logarithmic: bool = False) -> None:
    """Writes a PNG of the medians of each curve.

    Args:
        path: the file.
        curves: by name.
        goal: a value, and what it is called.
        x: what the numbers count.
        y: what was measured.
        logarithmic: whether the numbers are of several orders of magnitude.
    """
    from matplotlib.figure import Figure  # pyright: ignore[reportMissingImports]

    figure = Figure(figsize=(8, 5), layout="tight")
    axes = figure.subplots()
    for name, curve in curves.items():
        axes.plot(list(curve), [statistics.median(values) for values in curve.values()], marker="o", label=name)
    axes.axhline(goal[0], linestyle=":", color="grey", label=goal[1])
    axes.set(xlabel=x, ylabel=y, xscale="log" if logarithmic else "linear", ylim=(0, None))
    axes.legend()
    axes.grid(visible=True, alpha=0.3)
    figure.savefig(path, dpi=100)
