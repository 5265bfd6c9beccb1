"""Invented villages on a line: neighbouring numbers lie near each other, as in reality."""

import pytest

from data.markets import Market
from geo.gazetteer.interpolate import Locality, NamedPlace, PlaceNames, locate
from geo.point import Point, Precision, distance_m

REGIONS = {"ZH": "Zürich", "BE": "Bern"}


def village(postcode, town, region="ZH"):
    return Locality(postcode=postcode, region=region, town=town, names=(town,))


def at(places, region="ZH"):
    names = PlaceNames()
    for name, lat, lon, population in places:
        names.add(
            region,
            name,
            (f"{name} (alias)", "Common alias"),
            NamedPlace(Point(lat, lon), population),
        )
    return names


def locate_all(localities, names, own_points=None):
    return locate(
        Market.CH,
        localities,
        names=names,
        own_points=own_points or {},
        region_names=REGIONS,
    )


ROW = [("Anwil", 47.1, 8.1, 900), ("Bergdorf", 47.2, 8.2, 900), ("Chamby", 47.3, 8.3, 900)]


def test_a_name_within_its_canton_gives_its_point():
    (row, *_) = locate_all([village("8101", "Anwil")], at(ROW))
    assert (row.lat, row.lon, row.region) == (47.1, 8.1, "Zürich")
    assert row.precision is Precision.POSTCODE


def test_a_name_of_another_canton_does_not_count():
    assert locate_all([village("8101", "Anwil", "BE")], at(ROW)) == []


def test_villages_of_one_name_are_distinguished_by_their_numeric_neighbours():
    names = at([*ROW, ("Dorf", 47.21, 8.21, 10), ("Dorf", 47.9, 7.5, 10_000)])
    codes = [village(f"810{n}", name) for n, (name, *_) in enumerate(ROW)]
    rows = locate_all([*codes, village("8103", "Dorf")], names)
    assert (rows[-1].lat, rows[-1].lon) == (47.21, 8.21)


def test_a_single_village_far_from_its_numbers_is_not_accepted():
    names = at([*ROW, ("Dorf", 46.0, 6.0, 100)])
    codes = [village(f"810{n}", name) for n, (name, *_) in enumerate(ROW)]
    rows = locate_all([*codes, village("8103", "Dorf")], names)
    assert rows[-1].precision is Precision.DISTRICT


def test_a_code_of_unknown_towns_takes_the_middle_of_its_nearest_numbers():
    codes = [village(f"810{n}", name) for n, (name, *_) in enumerate(ROW)]
    row = locate_all([*codes, village("8103", "Niemandsdorf")], at(ROW))[-1]
    assert row.precision is Precision.DISTRICT
    assert (row.lat, row.lon) == (47.2, 8.2)
    assert row.radius_m >= distance_m(Point(47.1, 8.1), Point(47.2, 8.2))


def test_a_code_without_any_neighbour_is_left_out():
    assert locate_all([village("8103", "Niemandsdorf")], at([])) == []


def test_the_town_where_most_people_live_comes_first_and_villages_keep_their_points():
    names = at([("Klein", 47.30, 8.30, 50), ("Gross", 47.31, 8.31, 9_000)])
    rows = locate_all([village("8100", "Klein"), village("8100", "Gross")], names)
    assert [row.town for row in rows] == ["Gross", "Klein"]
    assert [row.lat for row in rows] == [47.31, 47.30]


def test_several_codes_at_one_point_have_the_precision_of_the_town():
    names = at([("Stadt", 47.3, 8.3, 100_000)])
    rows = locate_all([village(f"800{n}", "Stadt") for n in range(4)], names)
    assert {row.precision for row in rows} == {Precision.TOWN}
    assert {row.radius_m for row in rows} == {4019}


def test_coordinates_of_the_postal_source_have_precedence():
    rows = locate_all([village("8101", "Anwil")], at(ROW), {"8101": Point(47.5, 8.5)})
    assert (rows[0].lat, rows[0].lon) == (47.5, 8.5)


def test_an_alternate_name_helps_only_where_no_own_name_does():
    names = at(ROW)
    assert names.find("ZH", ["Anwil (alias)"])[0].point == Point(47.1, 8.1)
    assert len(names.find("ZH", ["Common alias"])) == 3
    names.add("ZH", "Common alias", (), NamedPlace(Point(47.4, 8.4), 1))
    assert len(names.find("ZH", ["Common alias"])) == 1


@pytest.mark.parametrize("shuffle", [1, -1])
def test_the_order_of_the_lines_does_not_matter(shuffle):
    codes = [village(f"810{n}", name) for n, (name, *_) in enumerate(ROW)]
    assert locate_all(codes[::shuffle], at(ROW)) == locate_all(codes, at(ROW))
