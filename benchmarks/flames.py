"""Folded stacks as a flame graph (SVG), a speedscope file, and a list of the largest costs."""

from collections import Counter
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any, Final

WIDTH: Final = 1600  # pixels
ROW: Final = 17
LETTER: Final = 6.6  # width of one in the font below
LEAST: Final = 0.4  # pixels: narrower frames are left out
HUES: Final = ("#e5c07b", "#e06c75", "#d19a66", "#98c379", "#56b6c2", "#61afef")
OURS: Final = ("streams/", "connectors/", "schemas/")
Stacks = Mapping[tuple[str, ...], int]


def read(text: str) -> dict[tuple[str, ...], int]:
    """Folded stacks: frames with semicolons between them, outermost first, then a count."""
    stacks: Counter[tuple[str, ...]] = Counter()
    for line in text.splitlines():
        frames, _, count = line.rpartition(" ")
        stacks[tuple(frames.split(";"))] += int(count)
    return dict(stacks)


def cost_of(stack: tuple[str, ...]) -> str:
    """Whose cost a stack is: the innermost file of ours, else the library, else the thread."""
    for frame in reversed(stack):
        if frame.startswith(OURS):
            return frame.partition(":")[0]
    places = [frame.partition(":")[0] for frame in stack[1:]]
    library = next((place.partition("/")[0] for place in reversed(places) if "/" in place), "")
    return library or stack[0]


def costs(stacks: Stacks) -> list[tuple[str, float]]:
    """Every cost with its share (0 to 1) of all samples, largest first."""
    counted: Counter[str] = Counter()
    for stack, count in stacks.items():
        counted[cost_of(stack)] += count
    whole = sum(counted.values()) or 1
    return [(name, count / whole) for name, count in counted.most_common()]


def speedscope(stacks: Stacks, name: str) -> dict[str, Any]:
    """The document that speedscope opens."""
    numbers: dict[str, int] = {}
    samples = [[numbers.setdefault(frame, len(numbers)) for frame in stack] for stack in stacks]
    weights = list(stacks.values())
    return {
        "$schema": "https://www.speedscope.app/file-format-schema.json",
        "shared": {"frames": [{"name": frame} for frame in numbers]},
        "profiles": [
            {
                "type": "sampled",
                "name": name,
                "unit": "none",
                "startValue": 0,
                "endValue": sum(weights),
                "samples": samples,
                "weights": weights,
            }
        ],
    }


class _Node:
    def __init__(self) -> None:
        self.count = 0
        self.children: dict[str, _Node] = {}

    def add(self, stack: tuple[str, ...], count: int) -> None:
        """Count a stack from here on inwards."""
        node = self
        node.count += count
        for frame in stack:
            node = node.children.setdefault(frame, _Node())
            node.count += count

    def depth(self) -> int:
        """How many rows there are below this one."""
        return 1 + max((child.depth() for child in self.children.values()), default=0)


def svg(stacks: Stacks, title: str) -> str:
    """A flame graph: outermost frames at the bottom, a frame's whole name when it is pointed at."""
    root = _Node()
    for stack, count in stacks.items():
        root.add(stack, count)
    height = (root.depth() + 2) * ROW
    body = "\n".join(_boxes(root, 0.0, WIDTH / max(root.count, 1), height - ROW, root.count))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'font-family="monospace" font-size="11">\n'
        f'<text x="4" y="13">{escape(title)}</text>\n{body}\n</svg>\n'
    )


def _boxes(node: _Node, x: float, scale: float, y: float, whole: int) -> Iterator[str]:
    for frame, child in sorted(node.children.items()):
        width = child.count * scale
        if width >= LEAST:
            share = f"{child.count / whole:.1%}"
            fits = int(width / LETTER) - 1
            shown = escape(frame[:fits]) if fits > 2 else ""  # noqa: PLR2004 - less says nothing
            yield (
                f"<g><title>{escape(frame)} {share}</title>"
                f'<rect x="{x:.1f}" y="{y - ROW:.0f}" width="{width:.1f}" height="{ROW - 1}" '
                f'fill="{HUES[sum(frame.encode()) % len(HUES)]}"/>'
                f'<text x="{x + 2:.1f}" y="{y - 5:.0f}">{shown}</text></g>'
            )
            yield from _boxes(child, x, scale, y - ROW, whole)
        x += width
