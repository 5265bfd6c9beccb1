"""Areas beside the base in which a friend may be asked: circles and outlines.

An outline is a ring of (longitude, latitude) in degrees whose edges are straight in these, as in
GeoJSON (RFC 7946). A new one is checked by `geo.outlines`.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import cos, radians
from typing import Final

from data.records.people import Area
from geo.point import Point, distance_m

METRES_A_DEGREE: Final = 111_195.0
BOX_MARGIN: Final = 1.01

Ring = tuple[tuple[float, float], ...]
Box = tuple[float, float, float, float]


def covers(area: Area, point: Point) -> bool:
    """Whether the point lies in the area."""
    if area.ring:
        return _is_inside(area.ring, point.lon, point.lat)
    return distance_m(Point(area.lat, area.lon), point) <= area.radius_m


def covered(areas: Iterable[Area], point: Point) -> bool:
    """Whether the point lies in one of the areas."""
    return any(covers(area, point) for area in areas)


def _is_inside(ring: Ring, x: float, y: float) -> bool:
    """Whether a ray to the east crosses the ring an odd number of times."""
    inside = False
    x1, y1 = ring[-1]
    for x2, y2 in ring:
        if (y1 > y) is not (y2 > y) and x < (x2 - x1) * (y - y1) / (y2 - y1) + x1:
            inside = not inside
        x1, y1 = x2, y2
    return inside


def box(area: Area) -> Box:
    """A box that holds the area: west, south, east, north in degrees.

    No area lies across a pole or the antimeridian: markets are far from both.
    """
    if area.ring:
        xs, ys = zip(*area.ring, strict=True)
        return min(xs), min(ys), max(xs), max(ys)
    high = area.radius_m / METRES_A_DEGREE * BOX_MARGIN
    wide = high / cos(radians(min(abs(area.lat) + high, 89.0)))
    return area.lon - wide, area.lat - high, area.lon + wide, area.lat + high
