import json
import math
from dataclasses import replace
from random import Random

import geopandas
import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import settings as sized
from hypothesis import strategies as st

from data.markets import Market
from geo import cells as small_cells
from geo.coverage import grid, maps
from geo.coverage.maps import (
    Demand,
    ExportError,
    TownIndex,
    circles_of,
    count_by_cell,
    merge_cells,
)
from geo.gazetteer import population
from geo.gazetteer.population import Town, Towns, Weight
from geo.point import Point
from tests.geo.worlds import BERLIN, CENTRES, EARTH, ZURICH, east_of, friend, geodesic

INHABITED = [CENTRES[name] for name in ("zurich", "berlin", "antimeridian", "equator")]
FAR_M = 40_000


def scattered_friends(seed, count, centres=INHABITED, radii_m=(500, 2_000, 7_300, 25_000)):
    chance = Random(seed)
    return [
        friend(
            number,
            east_of(
                chance.choice(centres), chance.uniform(0, FAR_M), azimuth=chance.uniform(0, 360)
            ),
            radius_m=chance.choice(radii_m),
        )
        for number in range(count)
    ]


def centre_of(cell):
    lat, lon = grid.centres(np.array([cell]))
    return Point(float(lat[0]), float(lon[0]))


def circle(one, corners=90):
    """Return the service circle as a polygon of geodesics, slightly smaller than the circle."""
    spots = [
        east_of(Point(one.lat, one.lon), one.radius_m, azimuth=360 * n / corners)
        for n in range(corners)
    ]
    return shapely.Polygon([(spot.lon, spot.lat) for spot in spots])


def area_m2(shape):
    return abs(EARTH.geometry_area_perimeter(shape)[0])


def public_map(friends, gazetteer):
    found = maps.public_areas(friends, Market.CH, TownIndex(gazetteer))
    return json.dumps(maps.feature_collection(found, "wifi-setup", Market.CH))


@given(st.integers(0, 10_000), st.integers(0, 12))
@sized(max_examples=25)
def test_a_cell_counts_exactly_the_friends_who_reach_its_centre(seed, count):
    friends = scattered_friends(seed, count, list(CENTRES.values()))
    counted = count_by_cell(circles_of(friends))
    assert np.all(np.diff(counted.cells) > 0)
    for cell, found in zip(counted.cells.tolist(), counted.friends.tolist(), strict=True):
        centre = centre_of(cell)
        assert found == sum(geodesic(centre, one) <= one.radius_m for one in friends)


@given(st.integers(0, 10_000))
@sized(max_examples=25)
def test_no_cell_that_a_circle_touches_is_missing(seed):
    chance, friends = Random(seed), scattered_friends(seed, 5)
    known = set(count_by_cell(circles_of(friends)).cells.tolist())
    for one in friends:
        for _ in range(40):
            away_m = one.radius_m * math.sqrt(chance.random())
            spot = east_of(Point(one.lat, one.lon), away_m, azimuth=chance.uniform(0, 360))
            [cell] = grid.cells_at(np.array([spot.lat]), np.array([spot.lon])).tolist()
            assert cell in known


@given(st.integers(0, 10_000), st.integers(1, 6))
@sized(max_examples=20)
def test_the_map_is_never_smaller_than_the_circles(seed, count):
    friends = scattered_friends(seed, count, [ZURICH])
    shape = merge_cells(count_by_cell(circles_of(friends)).cells)
    circles = shapely.union_all([circle(one) for one in friends])
    assert area_m2(shape) >= area_m2(circles)
    assert shape.buffer(2 * maps.COORDINATE_STEP_DEGREES).covers(circles)


@pytest.mark.parametrize(("radius_m", "loose"), [(10_000, 0.05), (100_000, 0.005)])
def test_the_cells_that_count_measure_as_much_as_the_circle(radius_m, loose):
    friends = [friend(n, east_of(BERLIN, 613 * n), radius_m=radius_m) for n in range(40)]
    counted = count_by_cell(circles_of(friends))
    west, south, east, north = grid.bounds(counted.cells, counted.cells)
    sizes = [
        area_m2(box) * n
        for box, n in zip(shapely.box(west, south, east, north), counted.friends, strict=True)
    ]
    assert sum(sizes) == pytest.approx(40 * math.pi * radius_m**2, rel=loose)


def test_a_centre_exactly_at_the_radius_is_reached_and_a_metre_further_is_not():
    [cell] = grid.cells_at(np.array([ZURICH.lat]), np.array([ZURICH.lon])).tolist()
    base = east_of(centre_of(cell), 90_000, azimuth=33)
    away_m = geodesic(centre_of(cell), friend(1, base))
    for radius_m, found in ((away_m, 1), (away_m - 0.001, 0), (away_m + 0.001, 1)):
        counted = count_by_cell(circles_of([friend(1, base, radius_m=radius_m)]))
        assert counted.friends[counted.cells == cell].tolist() == [found]


@given(st.integers(0, 10_000))
@sized(max_examples=20)
def test_towns_are_reached_by_exactly_those_who_reach_their_middle(seed):
    chance, friends = Random(seed), scattered_friends(seed, 12)
    spots = [
        east_of(chance.choice(INHABITED), chance.uniform(0, FAR_M), azimuth=chance.uniform(0, 360))
        for _ in range(30)
    ]
    counts = maps.count_by_point(circles_of(friends), spots).tolist()
    assert counts == [sum(geodesic(spot, one) <= one.radius_m for one in friends) for spot in spots]


def test_many_friends_are_counted_in_parts_as_they_are_at_once(monkeypatch):
    circles = circles_of(scattered_friends(5, 20, [ZURICH]))
    spots = [east_of(ZURICH, 3_000 * n) for n in range(10)]
    at_once, towns_at_once = count_by_cell(circles), maps.count_by_point(circles, spots)
    monkeypatch.setattr(maps, "CIRCLES_AT_ONCE", 3)
    parts = count_by_cell(circles)
    assert np.array_equal(parts.cells, at_once.cells)
    assert np.array_equal(parts.friends, at_once.friends)
    assert np.array_equal(maps.count_by_point(circles, spots), towns_at_once)


def test_cells_in_other_countries_are_left_out(compiled):
    basel = [friend(1, Point(47.5596, 7.5886), radius_m=20_000)]
    found = {}
    for market in (Market.CH, Market.DE):
        frame = maps.coverage_map(basel, market, compiled)
        spots = [Point(*spot) for spot in zip(frame.lat, frame.lon, strict=True)]
        assert {compiled.nearest(spot)[0].country for spot in spots} == {market}
        found[market] = set(spots)
    assert found[Market.CH] & found[Market.DE] == set()


def test_without_friends_the_map_is_empty_and_can_be_written(compiled, tmp_path):
    frame = maps.coverage_map([], Market.CH, compiled)
    assert len(frame) == 0
    maps.export(frame, tmp_path / "map.geojson")
    assert json.loads((tmp_path / "map.geojson").read_text())["features"] == []
    assert maps.public_areas([], Market.CH, TownIndex(compiled)) == []


@given(st.integers(0, 10_000))
@sized(max_examples=15)
def test_every_home_of_a_cell_gives_the_public_the_same_map(small, seed):
    chance = Random(seed)
    [cell] = grid.cells_at(np.array([ZURICH.lat]), np.array([ZURICH.lon]))
    west, south, east, north = (float(edge) for edge in grid.bounds(cell, cell))
    hair = 1e-9

    def at_home():
        spot = Point(
            chance.uniform(south + hair, north - hair), chance.uniform(west + hair, east - hair)
        )
        return friend(1, spot, radius_m=chance.randint(10_001, 15_000))

    assert len({public_map([at_home()], small) for _ in range(20)}) == 1


def test_a_single_friend_is_hidden_among_twenty_square_kilometres(small):
    """All homes on a fine grid that fit the map are tried, the corners too."""
    alone = friend(1, ZURICH, radius_m=12_000)
    seen = public_map([alone], small)
    steps = [n * 500 for n in range(-16, 17)]
    homes = [east_of(east_of(ZURICH, north, azimuth=0), east) for north in steps for east in steps]
    fitting = [
        home for home in homes if public_map([friend(1, home, radius_m=12_000)], small) == seen
    ]
    assert len(fitting) * 0.25 >= 20
    assert len({small_cells.centre(home) for home in fitting}) >= 20


def test_the_public_map_shows_few_or_many_and_nothing_else(small):
    four = [friend(n, ZURICH, radius_m=12_000) for n in range(4)]
    [few] = maps.public_areas(four, Market.CH, TownIndex(small))
    [many] = maps.public_areas(
        [*four, friend(9, ZURICH, radius_m=12_000)], Market.CH, TownIndex(small)
    )
    assert (few.helpers, many.helpers) == ("1-4", "5+")
    assert few.shape.equals(many.shape)
    properties = [one["properties"] for one in json.loads(public_map(four, small))["features"]]
    assert properties == [{"helpers": "1-4", "package": "wifi-setup", "market": "CH"}]


def test_where_areas_overlap_each_place_lies_in_one_of_them(small):
    friends = [friend(n, ZURICH, radius_m=5_000) for n in range(5)]
    friends.append(friend(9, ZURICH, radius_m=20_000))
    few, many = maps.public_areas(friends, Market.CH, TownIndex(small))
    assert few.shape.intersection(many.shape).area < 1e-7
    assert few.shape.union(many.shape).contains(shapely.Point(ZURICH.lon, ZURICH.lat))


def test_the_summary_weighs_towns_and_names_the_largest_without_four():
    def town(name, size, east_m):
        return Town(name=name, region="Zürich", point=east_of(ZURICH, east_m), size=size)

    known = Towns(
        weight=Weight.PEOPLE,
        towns=(town("Far", 500, 60_000), town("Near", 300, 0), town("Half", 200, 9_000)),
    )
    friends = [friend(n, ZURICH, radius_m=5_000) for n in range(3)]
    friends.append(friend(9, ZURICH, radius_m=10_000))
    found = maps.summary(friends, known)
    assert found.shares == {"0": 0.5, "1-3": 0.2, "4+": 0.3}
    assert [(served.town.name, served.friends) for served in found.short] == [
        ("Far", 0),
        ("Half", 1),
    ]
    assert found.friends == 4


def test_towns_are_weighed_by_their_people():
    found = population.towns_of(Market.CH, None)
    assert found.weight is Weight.PEOPLE
    assert found.towns[0].name == "Zürich"
    assert found.towns[0].region == "Zürich"
    assert 6_000_000 < sum(town.size for town in found.towns) < 11_000_000


def test_towns_are_weighed_by_postcodes_where_people_are_not_known(small, monkeypatch):
    def missing(package):
        raise ModuleNotFoundError(package)

    monkeypatch.setattr(population, "files", missing)
    found = population.towns_of(Market.CH, small)
    assert found.weight is Weight.POSTCODES
    assert [(town.name, town.size) for town in found.towns][:2] == [("Zürich", 2), ("Bern", 1)]


@pytest.mark.parametrize("name", ["map.geojson", "map.json", "map.gpkg", "map.parquet", "MAP.GPKG"])
def test_a_map_survives_its_file(small, tmp_path, name):
    frame = maps.coverage_map(scattered_friends(1, 5, [ZURICH]), Market.CH, small)
    maps.export(frame, tmp_path / name)
    parquet = name.endswith("parquet")
    again = (geopandas.read_parquet if parquet else geopandas.read_file)(tmp_path / name)
    assert again.crs == 4326
    assert again.friends.tolist() == frame.friends.tolist()
    assert again.town.tolist() == frame.town.tolist()
    assert again.geometry.geom_equals_exact(frame.geometry, 1e-6).all()
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_table_has_the_centres_and_no_shapes(small, tmp_path):
    frame = maps.coverage_map(scattered_friends(1, 5, [ZURICH]), Market.CH, small)
    maps.export(frame, tmp_path / "map.csv")
    head, *rows = (tmp_path / "map.csv").read_text().splitlines()
    assert head == "friends,town,lat,lon"
    assert len(rows) == len(frame)


@pytest.mark.parametrize(
    ("name", "cure"), [("map.shp", "use one of .geojson"), ("nowhere/map.csv", "make it first")]
)
def test_a_map_that_cannot_be_written_says_what_helps(small, tmp_path, name, cure):
    with pytest.raises(ExportError, match=cure):
        maps.export(maps.coverage_map([], Market.CH, small), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_old_map(small, tmp_path, monkeypatch):
    path = tmp_path / "map.geojson"
    path.write_text("old")

    def broken(frame, new):
        new.write_text("half")
        raise OSError("no space left")

    monkeypatch.setattr(maps, "_write", broken)
    with pytest.raises(OSError, match="no space"):
        maps.export(maps.coverage_map([], Market.CH, small), path)
    assert path.read_text() == "old"
    assert [one.name for one in tmp_path.iterdir()] == ["map.geojson"]


def test_unmet_bookings_of_one_cell_are_added_and_few_are_not_named(small):
    here = Demand(lat=ZURICH.lat, lon=ZURICH.lon, bookings=5, unmet=2, unfilled=1)
    there = replace(here, lat=BERLIN.lat, lon=BERLIN.lon)
    frame = maps.unmet_map([here, replace(here, bookings=4, unmet=1), there], small)
    found = {
        row.town: (row.unmet, row.unfilled, row.bookings, row.least) for row in frame.itertuples()
    }
    assert found == {"Zürich": ("3", "<3", "9", 3), "Berlin": ("<3", "<3", "5", 1)}


def test_cells_where_every_booking_was_met_are_not_shown(small):
    met = Demand(lat=ZURICH.lat, lon=ZURICH.lon, bookings=9, unmet=0, unfilled=0)
    assert len(maps.unmet_map([met], small)) == 0
    assert [maps.mask_small_count(n) for n in range(4)] == ["0", "<3", "<3", "3"]
