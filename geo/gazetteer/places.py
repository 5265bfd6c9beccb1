"""Lines of the gazetteer, their rows, and the places that lines of one name belong to."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from statistics import median
from typing import NamedTuple

import numpy as np

from data.markets import Market
from geo.gazetteer.addresses import Place, Postcode
from geo.point import Point, Precision, distance_m, ecef

APART_M = 10_000.0
# A town of so many times more postcodes has the same name and region: it is a part of that.
EXCLAVE = 20


def line_of(row: Postcode) -> str:
    """Format a row as one line of the compiled table, without end of line."""
    fields = (row.country, row.postcode, row.town, row.region)
    return "\t".join(
        (*fields, f"{row.lat:.5f}", f"{row.lon:.5f}", row.precision, f"{row.radius_m}")
    )


def postcode_of(line: str) -> Postcode:
    """Parse one line of the compiled table."""
    country, postcode, town, region, lat, lon, precision, radius_m = line.split("\t")
    return Postcode(
        country=Market(country),
        postcode=postcode,
        town=town,
        region=region,
        lat=float(lat),
        lon=float(lon),
        precision=Precision(precision),
        radius_m=int(radius_m),
    )


def place_of(row: Postcode) -> Place:
    """Return the place of one row."""
    return Place(
        country=row.country,
        postcode=row.postcode,
        town=row.town,
        region=row.region,
        point=row.point,
        precision=row.precision,
        radius_m=row.radius_m,
    )


def distinct_places(lines: Iterable[str]) -> list[Place]:
    """Return the places that lines of one name belong to, those of most postcodes first.

    Lines belong to one place when steps of at most 10 km lead from one to the other: the postcodes
    of a city do, namesakes do not. A postcode of a large city that lies elsewhere is left out.
    """
    found = [_Group(squares) for squares in _connected(_squares(lines))]
    found.sort(key=lambda group: (-group.size, group.first.postcode))
    sizes: dict[tuple[str, str], int] = {}
    for group in found:
        sizes.setdefault((group.first.region, group.first.town), group.size)
    return [
        group.place
        for group in found
        if group.size * EXCLAVE > sizes[group.first.region, group.first.town]
    ]


class _Square(NamedTuple):
    """The first line in a square of about a kilometre, and the number of lines there."""

    row: Postcode
    size: int


class _Group:
    def __init__(self, squares: Sequence[_Square]) -> None:
        self._squares = squares
        self.first = squares[0].row
        self.size = sum(square.size for square in squares)

    @property
    def place(self) -> Place:
        """The one place of all squares, in the middle of its postcodes."""
        place = place_of(self.first)
        if self.size == 1:
            return place
        lats = [square.row.lat for square in self._squares for _ in range(square.size)]
        lons = [square.row.lon for square in self._squares for _ in range(square.size)]
        point = Point(median(lats), median(lons))
        reach_m = max(distance_m(point, square.row.point) for square in self._squares)
        radius_m = max(place.radius_m, round(reach_m))
        return replace(place, point=point, precision=Precision.TOWN, radius_m=radius_m)


def _squares(lines: Iterable[str]) -> list[_Square]:
    squares: dict[tuple[str, str], list[str]] = {}
    for line in lines:
        lat, lon = line.split("\t", 6)[4:6]
        squares.setdefault((lat[:-3], lon[:-3]), []).append(line)
    return [_Square(postcode_of(square[0]), len(square)) for square in squares.values()]


def _connected(squares: Sequence[_Square]) -> list[list[_Square]]:
    places = np.array([ecef(square.row.point) for square in squares]).reshape(-1, 3)
    left = np.ones(len(squares), dtype=np.bool_)
    groups: list[list[_Square]] = []
    while left.any():
        waiting = [int(np.argmax(left))]
        left[waiting[0]] = False
        group: list[int] = []
        while waiting:
            one = waiting.pop()
            group.append(one)
            near = left & (np.linalg.norm(places - places[one], axis=1) <= APART_M)
            left[near] = False
            waiting += np.flatnonzero(near).tolist()
        groups.append([squares[one] for one in sorted(group)])
    return groups
