"""The coarse cell that may be shown before an award: one square kilometre of a fixed global grid.

Rows are equal steps of latitude, columns equal steps of longitude at the middle of their row; both
divide the globe without remainder. All values of a cell derive from its centre, so that repeated or
combined queries reveal nothing more.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

from geo.gazetteer.offline import Gazetteer
from geo.point import Point, Precision

SIZE_M = 1_000
METRES_PER_DEGREE = 111_320
ROWS = math.ceil(180 * METRES_PER_DEGREE / SIZE_M)
ROW_DEGREES = 180 / ROWS
FARTHEST_LABEL_M = 30_000
CELLS_REMEMBERED = 50_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """The centre of a cell in degrees, the length of its side, and the name of the place there."""

    lat: float
    lon: float
    size_m: int
    label: str

    @property
    def centre(self) -> Point:
        """The point from which distances are computed before an award."""
        return Point(self.lat, self.lon)


def centre(point: Point) -> Point:
    """Return the centre of the point's cell, the same for all points of the cell."""
    row = min(math.floor((point.lat + 90) / ROW_DEGREES), ROWS - 1)
    lat = -90 + (row + 0.5) * ROW_DEGREES
    columns = _columns(lat)
    column = math.floor((point.lon + 180) / 360 * columns) % columns
    return Point(lat, -180 + (column + 0.5) * 360 / columns)


def cell(point: Point, gazetteer: Gazetteer) -> Cell:
    """Return the cell of a point; its label names the place nearest to its centre."""
    middle = centre(point)
    return Cell(
        lat=round(middle.lat, 6),
        lon=round(middle.lon, 6),
        size_m=SIZE_M,
        label=_label(middle, gazetteer),
    )


def _columns(lat: float) -> int:
    return max(1, round(360 * METRES_PER_DEGREE * math.cos(math.radians(lat)) / SIZE_M))


@lru_cache(maxsize=CELLS_REMEMBERED)
def _label(middle: Point, gazetteer: Gazetteer) -> str:
    place, away_m = gazetteer.nearest(middle)
    if away_m > FARTHEST_LABEL_M:
        return ""
    if place.precision is Precision.TOWN:
        return place.town
    return f"{place.postcode} {place.town}"
