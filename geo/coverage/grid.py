"""The cells of the coverage map: about 5 km by 5 km, a fixed grid over the whole globe.

Rows are equal steps of latitude, columns equal steps of longitude at the middle of their row, as in
`geo.cells`, whose cells are smaller. A cell is one number, its row times `ROW_STRIDE` plus its
column; all functions work on arrays of such numbers, of degrees and of metres.
"""

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from geo.point import ECCENTRICITY_SQUARED, EQUATORIAL_RADIUS_M

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
Flags: TypeAlias = NDArray[np.bool_]

SIZE_M = 5_000
METRES_PER_DEGREE = 111_320
SHORTEST_DEGREE_M = 110_500
ROWS = math.ceil(180 * METRES_PER_DEGREE / SIZE_M)
ROW_DEGREES = 180 / ROWS
ROW_STRIDE = 10_000
HALF_DIAGONAL_M = 3_600
NEAR_TIE_M = 0.05
LONGEST_CHORD_M = 100_000.0


@dataclass(frozen=True, slots=True)
class Circles:
    """Service circles: the bases in degrees and the radii in metres, one array each."""

    lat: Floats
    lon: Floats
    radius_m: Floats

    def __len__(self) -> int:
        return len(self.lat)

    def slice(self, start: int, stop: int) -> "Circles":
        """Return the circles from `start` up to `stop`."""
        return Circles(*(axis[start:stop] for axis in (self.lat, self.lon, self.radius_m)))


def cells_at(lat: Floats, lon: Floats) -> Ints:
    """Return the cells of these points."""
    rows = np.minimum(np.floor((lat + 90) / ROW_DEGREES).astype(np.int64), ROWS - 1)
    columns = columns_of(rows)
    column: Ints = np.floor((lon + 180) / 360 * columns).astype(np.int64) % columns
    return rows * ROW_STRIDE + column


def centres(cells: Ints) -> tuple[Floats, Floats]:
    """Return latitudes and longitudes of the cells' centres."""
    rows, columns = np.divmod(cells, ROW_STRIDE)
    return _row_latitudes(rows), -180 + (columns + 0.5) * 360 / columns_of(rows)


def bounds(first: Ints, last: Ints) -> tuple[Floats, Floats, Floats, Floats]:
    """Return west, south, east and north of the cells from the first to the last of a row."""
    rows, west = np.divmod(first, ROW_STRIDE)
    columns = columns_of(rows)
    return (
        -180 + west * 360 / columns,
        -90 + rows * ROW_DEGREES,
        -180 + (last % ROW_STRIDE + 1) * 360 / columns,
        -90 + (rows + 1) * ROW_DEGREES,
    )


def columns_of(rows: Ints) -> Ints:
    """Return the number of cells in each row."""
    around_m = 360 * METRES_PER_DEGREE * np.cos(np.radians(_row_latitudes(rows)))
    return np.maximum(1, np.rint(around_m / SIZE_M).astype(np.int64))


def touched_cells(circles: Circles) -> tuple[Ints, Ints]:
    """Return pairs of a circle's index and a cell it may touch; all touched cells are included."""
    reach_m = circles.radius_m + HALF_DIAGONAL_M
    tall = reach_m / SHORTEST_DEGREE_M
    south = _row_at(circles.lat - tall)
    circle, rows = expand_ranges(south, _row_at(circles.lat + tall) - south + 1)
    farthest = np.minimum(np.abs(circles.lat) + tall, 90)
    narrow_m = SHORTEST_DEGREE_M * np.maximum(np.cos(np.radians(farthest)), 1e-9)
    wide = np.minimum(reach_m / narrow_m, 180)[circle]
    columns = columns_of(rows)
    west = np.floor((circles.lon[circle] - wide + 180) / 360 * columns).astype(np.int64)
    east = np.floor((circles.lon[circle] + wide + 180) / 360 * columns).astype(np.int64)
    pairs, column = expand_ranges(west, np.minimum(east - west + 1, columns))
    return circle[pairs], rows[pairs] * ROW_STRIDE + column % columns[pairs]


def reaches(circles: Circles, circle: Ints, lat: Floats, lon: Floats) -> tuple[Flags, Floats]:
    """Return whether each circle of index `circle` reaches its point, and the distance in metres.

    The chord is corrected by d³/24R² with the Gaussian radius at the base; where five centimetres
    decide, and beyond 100 km, the geodesic itself is solved.
    """
    base = _ecef(circles.lat, circles.lon)[circle]
    chord_m = np.sqrt(np.sum((base - _ecef(lat, lon)) ** 2, axis=1))
    flat = 1 - ECCENTRICITY_SQUARED * np.sin(np.radians(circles.lat[circle])) ** 2
    correction = flat**2 / (24 * EQUATORIAL_RADIUS_M**2 * (1 - ECCENTRICITY_SQUARED))
    distance_m = chord_m + chord_m**3 * correction
    radius_m = circles.radius_m[circle]
    unsure = np.flatnonzero((abs(distance_m - radius_m) < NEAR_TIE_M) | (chord_m > LONGEST_CHORD_M))
    if len(unsure):
        from pyproj import Geod

        base_lat, base_lon = circles.lat[circle[unsure]], circles.lon[circle[unsure]]
        solved = Geod(ellps="WGS84").inv(base_lon, base_lat, lon[unsure], lat[unsure])
        distance_m[unsure] = solved[2]
    return distance_m <= radius_m, distance_m


def _row_latitudes(rows: Ints) -> Floats:
    return np.asarray(-90 + (rows + 0.5) * ROW_DEGREES, dtype=np.float64)


def _row_at(lat: Floats) -> Ints:
    return np.clip(np.floor((lat + 90) / ROW_DEGREES).astype(np.int64), 0, ROWS - 1)


def expand_ranges(first: Ints, count: Ints) -> tuple[Ints, Ints]:
    """Return the numbers of each range (`first`, `count`), each with the index of its range."""
    indexes = np.repeat(np.arange(len(first)), count)
    starts = np.cumsum(count) - count
    return indexes, first[indexes] + np.arange(len(indexes)) - starts[indexes]


def _ecef(lat: Floats, lon: Floats) -> Floats:
    lat, lon = np.radians(lat), np.radians(lon)
    normal_m = EQUATORIAL_RADIUS_M / np.sqrt(1 - ECCENTRICITY_SQUARED * np.sin(lat) ** 2)
    ring_m = normal_m * np.cos(lat)
    up_m = normal_m * (1 - ECCENTRICITY_SQUARED) * np.sin(lat)
    return np.stack((ring_m * np.cos(lon), ring_m * np.sin(lon), up_m), axis=1)
