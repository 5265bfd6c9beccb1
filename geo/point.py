"""Points on WGS84, their precision, and the distance between two points."""

import math
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from data.records.ids import FriendId

if TYPE_CHECKING:
    from pyproj import Geod

EQUATORIAL_RADIUS_M = 6_378_137.0
FLATTENING = 1 / 298.257223563
ECCENTRICITY_SQUARED = FLATTENING * (2 - FLATTENING)
LONGEST_CHORD_TO_CORRECT_M = 50_000.0


class Precision(StrEnum):
    """What a point represents, most exact first."""

    EXACT = "exact"
    ADDRESS = "address"
    STREET = "street"
    POSTCODE = "postcode"
    TOWN = "town"
    DISTRICT = "district"


class PointInvalid(ValueError):
    """A coordinate is missing, not a number or outside its range; `field` names it."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field} {problem}")
        self.field = field


@dataclass(frozen=True, slots=True)
class Point:
    """A point on WGS84: `lat` -90..90 and `lon` -180..180 in degrees. Raises PointInvalid."""

    lat: float
    lon: float

    def __post_init__(self) -> None:
        _check("lat", self.lat, 90)
        _check("lon", self.lon, 180)


class Candidate(NamedTuple):
    """A friend who may get an offer, with the geodesic distance to the job."""

    friend_id: FriendId
    distance_m: float


def ecef(point: Point) -> tuple[float, float, float]:
    """Return the earth-centred coordinates (ECEF) of a point on the ellipsoid, in metres."""
    lat, lon = math.radians(point.lat), math.radians(point.lon)
    normal_m = _prime_vertical_radius_m(lat)
    ring_m = normal_m * math.cos(lat)
    return (
        ring_m * math.cos(lon),
        ring_m * math.sin(lon),
        normal_m * (1 - ECCENTRICITY_SQUARED) * math.sin(lat),
    )


def distance_m(a: Point, b: Point) -> float:
    """Return the geodesic distance on WGS84 in metres.

    Up to 50 km the chord is corrected by d³/24R², with R the radius of curvature in the direction
    of b (Euler): within one micrometre of pyproj. Beyond that pyproj solves the geodesic.
    """
    chord_m = math.dist(ecef(a), ecef(b))
    if chord_m > LONGEST_CHORD_TO_CORRECT_M:
        return geodesic_m(a, b)
    radius_m = _curvature_radius_m(a, b)
    return chord_m + chord_m**3 / (24 * radius_m * radius_m)


def geodesic_m(a: Point, b: Point) -> float:
    """Return the geodesic distance on WGS84 in metres by pyproj: the reference, slower to load."""
    return float(_geod().inv(a.lon, a.lat, b.lon, b.lat)[2])


def _check(field: str, value: float, limit: int) -> None:
    if type(value) is float and -limit <= value <= limit:
        return
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise PointInvalid(field, "must be a number of degrees")
    if not math.isfinite(value):
        raise PointInvalid(field, "must be a finite number of degrees")
    if abs(value) > limit:
        raise PointInvalid(field, f"must lie between -{limit} and {limit} degrees, not {value:g}")


def _prime_vertical_radius_m(lat: float) -> float:
    return EQUATORIAL_RADIUS_M / math.sqrt(1 - ECCENTRICITY_SQUARED * math.sin(lat) ** 2)


def _curvature_radius_m(a: Point, b: Point) -> float:
    middle = math.radians((a.lat + b.lat) / 2)
    east_radius_m = _prime_vertical_radius_m(middle)
    north_radius_m = (
        east_radius_m**3 * (1 - ECCENTRICITY_SQUARED) / (EQUATORIAL_RADIUS_M * EQUATORIAL_RADIUS_M)
    )
    north = math.radians(b.lat - a.lat) * north_radius_m
    east = math.radians(math.remainder(b.lon - a.lon, 360)) * math.cos(middle) * east_radius_m
    squared = north * north + east * east
    # Below a micrometre the squares underflow, and no correction is left to make.
    if squared < 1e-12:
        return east_radius_m
    curvature = (north * north / north_radius_m + east * east / east_radius_m) / squared
    return 1 / curvature


@cache
def _geod() -> "Geod":
    from pyproj import Geod

    return Geod(ellps="WGS84")
