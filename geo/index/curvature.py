"""Places on the ellipsoid as earth-centred metres, many at once, and what a chord is short by."""

from __future__ import annotations

from math import radians, sin

import numpy as np
from numpy.typing import NDArray

from data.records.people import Friend
from geo.point import ECCENTRICITY_SQUARED, EQUATORIAL_RADIUS_M, Point


def places_of(friends: list[Friend]) -> NDArray[np.float64]:
    """Return earth-centred coordinates in metres, one row each: `ecef` for all at once."""
    lat = np.array([friend.lat for friend in friends], dtype=np.float64)
    lon = np.array([friend.lon for friend in friends], dtype=np.float64)
    for invalid in np.flatnonzero(~((abs(lat) <= 90) & (abs(lon) <= 180))):
        Point(friends[invalid].lat, friends[invalid].lon)
    lat, lon = np.radians(lat), np.radians(lon)
    normal_m = EQUATORIAL_RADIUS_M / np.sqrt(1 - ECCENTRICITY_SQUARED * np.sin(lat) ** 2)
    ring_m = normal_m * np.cos(lat)
    up_m = normal_m * (1 - ECCENTRICITY_SQUARED) * np.sin(lat)
    return np.stack((ring_m * np.cos(lon), ring_m * np.sin(lon), up_m), axis=1)


def chord_correction(point: Point) -> float:
    """Return 1/24R² in m⁻², with R the Gaussian radius of curvature at the point."""
    flat = 1 - ECCENTRICITY_SQUARED * sin(radians(point.lat)) ** 2
    return flat * flat / (24 * EQUATORIAL_RADIUS_M**2 * (1 - ECCENTRICITY_SQUARED))
