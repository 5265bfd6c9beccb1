import math

from hypothesis import given
from hypothesis import strategies as st

from geo.cells import ROW_DEGREES, SIZE_M, cell, centre
from geo.point import Point, distance_m

everywhere = st.builds(Point, st.floats(-90, 90), st.floats(-180, 180))
inhabited = st.builds(Point, st.floats(45, 56), st.floats(5, 25))
HALF_DIAGONAL_M = SIZE_M / 2 * math.sqrt(2)


@given(inhabited)
def test_a_point_lies_no_farther_from_its_centre_than_half_a_diagonal(point):
    assert distance_m(point, centre(point)) <= HALF_DIAGONAL_M + 10


@given(everywhere)
def test_every_point_on_earth_lies_in_its_cell(point):
    middle = centre(point)
    assert abs(point.lat - middle.lat) <= ROW_DEGREES / 2 + 1e-9
    if abs(point.lat) < 89:
        assert distance_m(point, middle) <= HALF_DIAGONAL_M + 15


@given(everywhere)
def test_the_centre_of_a_cell_is_in_it(point):
    middle = centre(point)
    assert centre(middle) == middle


@given(inhabited, st.floats(-0.49, 0.49), st.floats(-0.49, 0.49))
def test_all_points_of_a_cell_have_the_same_cell(small, point, up, right):
    middle = centre(point)
    lat = middle.lat + up * ROW_DEGREES
    lon = middle.lon + right * 1000 / (111_320 * math.cos(math.radians(middle.lat)))
    assert cell(Point(lat, lon), small) == cell(middle, small)


@given(st.floats(52.21, 52.25), st.floats(20.97, 21.06))
def test_where_postcodes_are_dense_a_cell_reveals_nothing_of_the_point(compiled, lat, lon):
    point = Point(lat, lon)
    assert cell(point, compiled) == cell(centre(point), compiled)


@given(inhabited)
def test_a_cell_is_about_a_square_kilometre(point):
    middle = centre(point)
    north = centre(Point(middle.lat + ROW_DEGREES, middle.lon))
    east = centre(
        Point(middle.lat, middle.lon + 0.75 * 1000 / 111_320 / math.cos(math.radians(middle.lat)))
    )
    assert abs((north.lat - middle.lat) * 111_320 - 1000) < 5
    assert abs(distance_m(middle, east) - 1000) < 10


def test_poles_and_antimeridian_have_cells(small):
    for lat in (-90, 0, 90):
        for lon in (-180, 0, 180):
            middle = centre(Point(lat, lon))
            assert -90 < middle.lat < 90
            assert -180 <= middle.lon <= 180
    assert centre(Point(10, 180)) == centre(Point(10, -180))
    assert cell(Point(90, 0), small).label == ""


def test_the_label_names_the_place_nearest_to_the_centre_not_to_the_point(compiled):
    found = cell(Point(47.3775, 8.5213), compiled)
    assert found.label == "8004 Zürich"
    assert found.size_m == 1000
    place, _ = compiled.nearest(centre(Point(47.3775, 8.5213)))
    assert found.label == f"{place.postcode} {place.town}"


def test_a_town_known_by_one_point_is_named_without_a_postcode(small):
    assert cell(Point(46.948, 7.447), small).label == "Bern"


def test_a_cell_far_from_every_place_has_no_label(small):
    assert cell(Point(0, 0), small).label == ""
