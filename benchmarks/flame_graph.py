"""Flame graphs: stacks that a profiler saw, folded, drawn as one picture without scripts, and summed up by what they are spent on.

In: what `perf script` or py-spy say. Out: SVG, and shares. Each box is as wide as the samples in which its function was on the stack; what
stands on it was called by it. The kernel's functions are blue, those of the interpreter yellow, native ones red.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape

import msgspec

Stack = tuple[str, ...]
"""From the thread, outermost, to the function that ran."""
Stacks = Counter[Stack]

INTERPRETER = "Python"
"""What stands for all frames of the interpreter in a row: its stack says nothing of the functions in Python."""
KERNEL = "_k"
"""Behind the names of the kernel's functions, as in other flame graphs."""
_FRAME = re.compile(r"^\s+(?P<address>[0-9a-f]+) (?P<name>.*?)(?:\+0x[0-9a-f]+)? \((?P<file>[^()]*)\)$")
_END = 16 * "f"
"""What stands where the unwinder found no more."""
_HASH = re.compile(r"::h[0-9a-f]{16}$")
_WIDTH, _ROW, _CHARACTER, _FEWEST = 1200, 16, 6.6, 0.0025
"""Pixels of the picture, of a row, of a letter; boxes with a smaller share are left out."""
_COLOURS = {"kernel": "#8db4e2", "python": "#f2d16b", "native": "#ee9a7b", "thread": "#d5d5d5"}


def fold_perf(said: str) -> Stacks:
    """Folds what `perf script -F comm,ip,sym,dso` says: a paragraph a sample, the innermost frame first."""
    found: Stacks = Counter()
    for paragraph in said.split("\n\n"):
        lines = [line for line in paragraph.splitlines() if line]
        if lines:
            frames = [_name(match) for line in lines[1:] if (match := _FRAME.match(line)) and match["address"] != _END]
            found[lines[0].strip(), *_merged(reversed(frames))] += 1
    return found


def fold_raw(said: str) -> Stacks:
    """Folds what `py-spy record --format raw` says: `outermost;…;innermost count`."""
    found: Stacks = Counter()
    for line in said.splitlines():
        frames, _, count = line.rpartition(" ")
        if frames:
            found[tuple(frames.split(";"))] += int(count)
    return found


def _name(match: re.Match[str]) -> str:
    name = _HASH.sub("", match["name"])
    if match["address"].startswith("ffff"):
        return name + KERNEL
    if re.search(r"/(lib)?python3[^/]*$", match["file"]):
        return INTERPRETER
    return name if name != "[unknown]" else f"[{match['file'].rpartition('/')[2]}]"


def _merged(frames: Iterable[str]) -> Iterator[str]:
    before = ""
    for frame in frames:
        if frame != before or frame != INTERPRETER:
            yield frame
        before = frame


def shares(stacks: Stacks, parts: Mapping[str, str]) -> dict[str, float]:
    """The share of each part, in the order of `parts`: names by patterns, of which the first that is found in a stack counts."""
    compiled = [(name, re.compile(pattern)) for name, pattern in parts.items()]
    found: Counter[str] = Counter()
    for stack, count in stacks.items():
        text = ";".join(stack)
        found[next((name for name, pattern in compiled if pattern.search(text)), "the rest")] += count
    total = max(found.total(), 1)
    return {name: found[name] / total for name in [*parts, "the rest"]}


class _Box(msgspec.Struct):
    name: str
    samples: int = 0
    above: dict[str, _Box] = {}


def draw(stacks: Stacks, title: str) -> str:
    """The picture."""
    root = _Box("all", 0, {})
    for stack, count in sorted(stacks.items()):
        box = root
        box.samples += count
        for name in stack:
            box = box.above.setdefault(name, _Box(name, 0, {}))
            box.samples += count
    boxes = list(_boxes(root, 0, 0, root.samples))
    height = (max((depth for _, depth, _ in boxes), default=0) + 2) * _ROW + 8
    scale = _WIDTH / max(root.samples, 1)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" font-family="monospace" font-size="11">',
        f'<rect width="{_WIDTH}" height="{height}" fill="#fff"/><text x="4" y="12">{escape(title)}: {root.samples} samples</text>',
    ]
    for box, depth, start in boxes:
        left, width, top = start * scale, box.samples * scale, height - (depth + 1) * _ROW
        share = f"{box.samples / max(root.samples, 1):.1%}"
        name = box.name.removesuffix(KERNEL)
        room = int((width - 4) / _CHARACTER)
        label = name if len(name) <= room else f"{name[: room - 1]}…"
        text = f'<text x="{left + 2:.1f}" y="{top + 12}">{escape(label)}</text>' if room >= 3 else ""
        size = f'width="{max(width - 0.4, 0.2):.1f}" height="{_ROW - 1}"'
        shape = f'<rect x="{left:.1f}" y="{top}" {size} fill="{_colour(box, depth)}"/>'
        lines.append(f"<g><title>{escape(name)} {share}</title>{shape}{text}</g>")
    return "\n".join([*lines, "</svg>\n"])


def _boxes(box: _Box, depth: int, start: int, total: int) -> Iterator[tuple[_Box, int, int]]:
    yield box, depth, start
    for above in box.above.values():
        if above.samples >= _FEWEST * total:
            yield from _boxes(above, depth + 1, start, total)
        start += above.samples


def _colour(box: _Box, depth: int) -> str:
    if depth < 2:
        return _COLOURS["thread"]
    if box.name.endswith(KERNEL):
        return _COLOURS["kernel"]
    return _COLOURS["python" if box.name == INTERPRETER or ".py:" in box.name else "native"]


def table_rows(found: Mapping[str, Mapping[str, float]]) -> list[Sequence[str]]:
    """Rows of a table of shares by part, a column for each run."""
    names = dict.fromkeys(name for part in found.values() for name in part)
    return [[name, *(f"{part.get(name, 0):.1%}" for part in found.values())] for name in names]
