import math
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Geod, Transformer

from geo.point import Point, PointInvalid, distance_m, ecef, geodesic_m

GEOD = Geod(ellps="WGS84")
TO_ECEF = Transformer.from_crs("EPSG:4979", "EPSG:4978", always_xy=True)
lats = st.floats(-90, 90)
lons = st.floats(-180, 180)
bearings = st.floats(0, 360)


@pytest.mark.parametrize(
    ("lat", "lon", "field"),
    [
        (90.001, 0, "lat"),
        (-91, 0, "lat"),
        (0, 180.001, "lon"),
        (math.nan, 0, "lat"),
        (0, math.inf, "lon"),
        ("47", 8, "lat"),
        (47, None, "lon"),
        (True, 8, "lat"),
    ],
)
def test_an_invalid_coordinate_is_refused_by_its_name(lat, lon, field):
    with pytest.raises(PointInvalid) as refused:
        Point(lat, lon)
    assert refused.value.field == field
    assert field in str(refused.value)


@given(lats, lons)
def test_earth_centred_metres_are_those_of_pyproj(lat, lon):
    expected = TO_ECEF.transform(lon, lat, 0)
    assert math.dist(ecef(Point(lat, lon)), expected) < 1e-6


@given(lats, lons, bearings, st.floats(0.001, 49_999))
def test_a_short_distance_is_the_geodesic_within_two_micrometres(lat, lon, bearing, length_m):
    there_lon, there_lat, _ = GEOD.fwd(lon, lat, bearing, length_m)
    a, b = Point(lat, lon), Point(there_lat, there_lon)
    expected_m = geodesic_m(a, b)
    assert distance_m(a, b) == pytest.approx(expected_m, abs=2e-6)
    assert distance_m(b, a) == pytest.approx(expected_m, abs=2e-6)


@given(lats, lons, lats, lons)
def test_a_long_distance_is_the_geodesic(lat, lon, other_lat, other_lon):
    a, b = Point(lat, lon), Point(other_lat, other_lon)
    assert distance_m(a, b) == pytest.approx(geodesic_m(a, b), abs=2e-6)


@given(lats, lons)
def test_a_point_lies_no_distance_from_itself(lat, lon):
    assert distance_m(Point(lat, lon), Point(lat, lon)) == 0


@pytest.mark.parametrize("step", [5e-324, 1e-160, 1e-20, 1e-14])
def test_extremely_close_points_have_a_distance(step):
    assert 0 <= distance_m(Point(0, 0), Point(step, step)) < 1e-8
    assert 0 <= distance_m(Point(0, 0), Point(0, step)) < 1e-8


def test_distances_hold_over_the_antimeridian_and_at_the_poles():
    assert distance_m(Point(0, 179.99), Point(0, -179.99)) == pytest.approx(2226.39, abs=0.01)
    assert distance_m(Point(90, 0), Point(90, 137)) == pytest.approx(0, abs=1e-6)
    over = distance_m(Point(89.95, 10), Point(89.95, -170))
    assert over == pytest.approx(geodesic_m(Point(89.95, 10), Point(89.95, -170)), abs=2e-6)


def test_the_two_methods_agree_at_their_boundary():
    a = Point(47.37, 8.54)
    lon, lat, _ = GEOD.fwd(a.lon, a.lat, 37, 50_000 - 0.15)
    far_lon, far_lat, _ = GEOD.fwd(a.lon, a.lat, 37, 50_000 + 0.15)
    step_m = distance_m(a, Point(far_lat, far_lon)) - distance_m(a, Point(lat, lon))
    assert step_m == pytest.approx(0.3, abs=5e-6)


def test_importing_points_does_not_import_pyproj():
    script = "import sys, geo.point; print('pyproj' in sys.modules, 'numpy' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["False", "False"]
