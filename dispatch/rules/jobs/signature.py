"""A signature drawn on a screen, as the path of an SVG."""

from __future__ import annotations

from collections.abc import Sequence

WIDTH, HEIGHT = 600, 200


def path(width: float, height: float, strokes: Sequence[Sequence[float]]) -> str:
    """The strokes (x, y, x, y, … in a box of this size) as a path within 600 x 200."""
    scale = min(WIDTH / width, HEIGHT / height)
    return "".join(_stroke([round(value * scale) for value in stroke]) for stroke in strokes)


def _stroke(values: Sequence[int]) -> str:
    points = list(zip(values[::2], values[1::2], strict=True))
    first, *rest = [f"{x} {y}" for x, y in points]
    # A single tap becomes a line to its own start, which is drawn as a dot.
    return f"M{first}" + "".join(f"L{point}" for point in rest or [first])
