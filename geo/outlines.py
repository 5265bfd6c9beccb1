"""Checks of the outlines that friends draw and that routing servers return."""

from __future__ import annotations

from collections.abc import Sequence
from math import cos, isfinite, pi, radians
from typing import Any, Final

from geo.areas import METRES_A_DEGREE, Ring

VERTICES_MIN: Final = 3
VERTICES_MAX: Final = 200
SMALLEST_M2: Final = 1e6
NARROWEST_M: Final = 200.0


class OutlineInvalid(ValueError):
    """An outline is not one polygon of the sizes allowed; `cure` says what to do."""

    def __init__(self, problem: str, cure: str) -> None:
        super().__init__(problem)
        self.cure = cure


def check_outline(ring: Sequence[Sequence[float]], largest_m: float) -> Ring:
    """The ring without its repeated end. Raises OutlineInvalid.

    It may be as large as a circle of `largest_m`, and must not be so small or narrow that being
    asked tells where a customer lives.
    """
    points = [(float(one[0]), float(one[1])) for one in ring]
    if not all(isfinite(x) for one in points for x in one):
        raise OutlineInvalid("has a coordinate that is no number", "give degrees")
    if len(points) > 1 and points[0] == points[-1]:
        points.pop()
    if not VERTICES_MIN <= len(points) <= VERTICES_MAX:
        raise OutlineInvalid(
            f"has {len(points)} corners", f"give {VERTICES_MIN} to {VERTICES_MAX} of them"
        )
    _check_shape(points, largest_m)
    return tuple(points)


def _check_shape(points: Sequence[tuple[float, float]], largest_m: float) -> None:
    import shapely

    wide = METRES_A_DEGREE * cos(radians(points[0][1]))
    shape: Any = shapely.Polygon([(x * wide, y * METRES_A_DEGREE) for x, y in points])
    if not shape.is_valid:
        raise OutlineInvalid("crosses or touches itself", "draw it again without a crossing")
    if shape.area < SMALLEST_M2 or shape.buffer(-NARROWEST_M).is_empty:
        raise OutlineInvalid("is too small or too narrow", "draw at least one square kilometre")
    if shape.area > pi * largest_m * largest_m:
        cure = f"draw at most the size of a circle of {largest_m / 1000:.0f} km"
        raise OutlineInvalid("is too large", cure)


def simplify(ring: Sequence[Sequence[float]]) -> Ring:
    """The ring with at most `VERTICES_MAX` corners."""
    import shapely

    step = 0.0005
    shape: Any = shapely.Polygon(ring)
    while len(shape.exterior.coords) > VERTICES_MAX:
        shape, step = shape.simplify(step), step * 2
    return tuple((float(x), float(y)) for x, y in shape.exterior.coords)[:-1]
