import gzip
import re
from time import process_time

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from data.markets import MARKETS, Market
from geo.gazetteer.addresses import ABROAD
from geo.gazetteer.offline import (
    AddressRefused,
    CountryNotServed,
    Gazetteer,
    GazetteerMissing,
    PointImplausible,
    UnknownPostcode,
    UnknownTown,
)
from geo.gazetteer.town_index import COMPARED_MAX
from geo.gazetteer.town_names import fold
from geo.point import Point, Precision, distance_m
from tests.geo.conftest import SMALL_ROWS, row, small_lines, write_compressed


def test_a_postcode_has_its_town_region_precision_and_time_zone(small):
    place = small.find("CH", "8004")
    assert (place.town, place.region, place.label) == ("Zürich", "Zürich", "8004 Zürich")
    assert (place.precision, place.radius_m) == (Precision.POSTCODE, 1000)
    assert place.timezone == "Europe/Zurich"
    assert place.note == ""


@pytest.mark.parametrize(
    ("country", "typed", "postcode"),
    [
        ("ch", " 8004 ", "8004"),
        ("CH", "CH-8004", "8004"),
        ("AT", "A-1070", "1070"),
        ("DE", "D-10115", "10115"),
        ("PL", "00001", "00-001"),
        ("PL", "00-001", "00-001"),
        ("PL", "00 001", "00-001"),
    ],
)
def test_a_postcode_may_be_written_as_people_write_it(small, country, typed, postcode):
    assert small.find(country, typed).postcode == postcode


@pytest.mark.parametrize("typed", ["ZÜRICH", "Zuerich", "zurich", "Zurch", "Zürich 4", "zurigo"])
def test_a_town_spelled_otherwise_or_with_a_typo_is_no_contradiction(small, typed):
    assert small.find("CH", "8004", typed).note == ""


def test_a_city_may_have_a_foreign_name(small):
    assert small.find("CH", "1201", "Geneva").note == ""
    assert small.find("PL", "00-001", "Warsaw").note == ""


def test_the_postcode_has_precedence_over_a_contradicting_town_which_is_named(small):
    place = small.find("CH", "8004", "Bern")
    assert place.town == "Zürich"
    assert "8004 belongs to Zürich, not to Bern" in place.note


def test_a_village_under_a_shared_postcode_has_its_own_point(small):
    assert small.find("AT", "8010").town == "Graz"
    assert small.find("AT", "8010", "kainbach").point == Point(47.0833, 15.5167)
    assert small.towns_of("AT", "8010") == ["Graz", "Kainbach"]
    assert small.towns_of("AT", "9999") == []


def test_an_unknown_postcode_names_the_nearest_known_ones(small):
    with pytest.raises(UnknownPostcode) as refused:
        small.find("CH", "8003")
    assert refused.value.field == "postcode"
    assert refused.value.suggestions[0] == "8004 Zürich"
    assert "8001 Zürich" in str(refused.value)


def test_an_unknown_postcode_of_a_known_town_suggests_that_town_first(small):
    with pytest.raises(UnknownPostcode) as refused:
        small.find("CH", "8009", "Bern")
    assert refused.value.suggestions[0] == "3011 Bern"


@pytest.mark.parametrize(
    "typed", ["804", "80044", "abc", "8oo4", "８００４", "80\x0004", "-", "٨٠٠٤"]
)
def test_a_malformed_postcode_names_the_form(small, typed):
    with pytest.raises(UnknownPostcode, match="four digits"):
        small.find("CH", typed)


def test_a_town_is_enough_and_an_unknown_one_suggests_towns(small):
    assert small.find("CH", "", "Duebendorf").postcode == "8600"
    assert small.find("CH", "", "zuerich").precision is Precision.TOWN
    with pytest.raises(UnknownTown) as refused:
        small.find("CH", "", "Zzyzx")
    assert refused.value.field == "city"
    with pytest.raises(UnknownPostcode, match="missing"):
        small.find("CH", "", "")


@pytest.mark.parametrize("country", ["FR", "", "Switzerland", "C\x00"])
def test_a_country_without_a_market_is_not_served(small, country):
    with pytest.raises(CountryNotServed, match="CH, DE, AT, PL"):
        small.find(country, "8004")


@given(st.sampled_from(["", "CH", "PL", "Ä"]), st.text(max_size=12), st.text(max_size=80))
def test_any_input_is_found_or_refused_with_a_field_and_a_cure(small, country, postcode, city):
    refused = None
    try:
        small.find(country, postcode, city)
    except AddressRefused as error:
        refused = error
    assert refused is None or (refused.field and refused.cure)


def test_towns_are_completed_with_umlauts_and_typos_forgiven(small):
    for typed in ("zur", "ZÜR", "Zuerich", "zurch", "Zürihc"):
        assert [place.town for place in small.towns("CH", typed)][:1] == ["Zürich"]
    assert [place.town for place in small.towns("PL", "Krakuw")] == ["Kraków"]
    assert small.towns("CH", " ") == []
    assert small.towns("CH", "qqqq") == []


def test_a_point_in_its_country_is_plausible(small):
    assert small.check_plausible("CH", Point(47.5, 8.7)) is None


def test_swapped_coordinates_are_reported_with_their_cure(small):
    with pytest.raises(PointImplausible) as refused:
        small.check_plausible("CH", Point(8.54, 47.37))
    assert refused.value.field == "lat"
    assert "look swapped" in str(refused.value)
    assert "did you mean lat 47.37, lon 8.54?" in str(refused.value)


def test_a_point_outside_its_country_is_refused_with_the_distance(small):
    with pytest.raises(PointImplausible, match=r"km from the nearest place of CH"):
        small.check_plausible("CH", Point(52.52, 13.4))


@given(st.floats(-90, 90), st.floats(-180, 180))
def test_check_plausible_agrees_with_the_nearest_place_everywhere(small, lat, lon):
    point = Point(lat, lon)
    near = small.nearest(point, Market.CH)[1] <= 40_000
    try:
        small.check_plausible("CH", point)
    except PointImplausible:
        assert not near
    else:
        assert near


@given(st.floats(45, 55), st.floats(5, 25))
def test_the_nearest_place_is_the_nearest_by_the_geodesic(small, lat, lon):
    point = Point(lat, lon)
    least_m = min(distance_m(point, Point(*fields[4:6])) for fields in SMALL_ROWS)
    found_m = small.nearest(point)[1]
    assert found_m == pytest.approx(least_m, rel=1e-9 if least_m < 100_000 else 0.2)


@settings(max_examples=150)
@given(st.floats(46, 54), st.floats(6, 24))
def test_the_country_of_a_point_is_that_of_its_nearest_place(compiled, lat, lon):
    place, away_m = compiled.nearest(Point(lat, lon))
    assume(away_m < 40_000)
    assert compiled.country_of(Point(lat, lon)) is place.country


def test_rows_of_an_operator_replace_and_add_postcodes(small):
    rows = [
        row(Market.CH, "8004", "Aussersihl", "Zürich", 47.38, 8.52, Precision.POSTCODE, 700),
        row(Market.CH, "8003", "Wiedikon", "Zürich", 47.37, 8.51, Precision.POSTCODE, 700),
    ]
    overlaid = small.with_postcodes(rows)
    assert overlaid.find("CH", "8004").town == "Aussersihl"
    assert overlaid.find("CH", "8003").radius_m == 700
    assert overlaid.find("CH", "8001").town == "Zürich"
    assert small.find("CH", "8004").town == "Zürich"
    assert overlaid.nearest(Point(47.37, 8.51))[0].town == "Wiedikon"


def test_the_main_town_of_imported_rows_lies_in_their_middle_whatever_their_order(small):
    towns = [
        row(Market.AT, "4890", name, "Oberösterreich", 48.0 + step, 13.3, Precision.POSTCODE, 900)
        for name, step in (("Far", 0.09), ("Middle", 0.05), ("Near", 0.04))
    ]
    for rows in (towns, towns[::-1]):
        assert small.with_postcodes(rows).find("AT", "4890").town == "Middle"


def test_a_missing_broken_or_foreign_gazetteer_names_the_cure(tmp_path):
    with pytest.raises(GazetteerMissing, match="make setup"):
        Gazetteer.load(tmp_path / "absent.dat")
    (tmp_path / "broken.dat").write_bytes(gzip.compress(b"x" * 1000)[:20])
    with pytest.raises(GazetteerMissing, match="broken"):
        Gazetteer.load(tmp_path / "broken.dat")
    (tmp_path / "text.dat").write_text("country")
    with pytest.raises(GazetteerMissing, match="broken"):
        Gazetteer.load(tmp_path / "text.dat")
    with pytest.raises(GazetteerMissing, match="version"):
        Gazetteer.load(write_compressed(tmp_path / "other.dat", ["a\tb"]))
    earlier = small_lines()[: 1 + len(SMALL_ROWS)]
    with pytest.raises(GazetteerMissing, match="version"):
        Gazetteer.load(write_compressed(tmp_path / "earlier.dat", earlier))


KNOWN = [
    ("CH", "8004", "Zürich", 47.376, 8.522, 1.5),
    ("CH", "8050", "Zürich", 47.411, 8.544, 1.5),
    ("CH", "3011", "Bern", 46.948, 7.447, 2),
    ("CH", "4051", "Basel", 47.556, 7.588, 3),
    ("CH", "1201", "Genève", 46.209, 6.145, 3),
    ("CH", "6900", "Lugano", 46.005, 8.952, 3),
    ("CH", "7000", "Chur", 46.850, 9.532, 3),
    ("CH", "3920", "Zermatt", 46.020, 7.749, 3),
    ("AT", "1070", "Wien", 48.202, 16.349, 1.5),
    ("AT", "1020", "Wien", 48.217, 16.395, 1),
    ("AT", "1230", "Wien", 48.144, 16.294, 1),
    ("AT", "5020", "Salzburg", 47.800, 13.044, 3),
    ("AT", "6020", "Innsbruck", 47.267, 11.393, 3),
    ("AT", "8010", "Graz", 47.070, 15.440, 3),
    ("DE", "10115", "Berlin", 52.532, 13.385, 1.5),
    ("DE", "80331", "München", 48.136, 11.573, 1.5),
    ("PL", "00-001", "Warszawa", 52.235, 21.010, 1.5),
    ("PL", "31-002", "Kraków", 50.058, 19.939, 1.5),
]


@pytest.mark.parametrize("known", KNOWN)
def test_a_well_known_postcode_lies_where_it_lies(compiled, known):
    country, postcode, town, lat, lon, within_km = known
    place = compiled.find(country, postcode)
    assert place.town == town
    assert distance_m(place.point, Point(lat, lon)) < within_km * 1000


def test_the_compiled_gazetteer_knows_the_postcodes_of_every_country(compiled):
    least = {Market.CH: 3_000, Market.DE: 8_000, Market.PL: 22_000}
    for market in Market:
        assert len(compiled._numbers[market][0]) > least.get(market, 2_000), market


def test_every_compiled_row_lies_in_its_own_country_with_a_precision(compiled):
    for market in Market:
        south, north, west, east = MARKETS[market].frame
        for line in compiled._by_country[market]:
            _, _, town, region, lat, lon, precision, radius_m = line.split("\t")
            assert south < float(lat) < north, line
            assert west < float(lon) < east, line
            assert town, line
            assert region, line
            assert precision in {"postcode", "town", "district"}, line
            assert 1000 <= int(radius_m) <= 400_000, line


def test_the_compiled_gazetteer_loads_quickly():
    started = process_time()
    Gazetteer.load()
    assert process_time() - started < 1.0


def test_swapped_coordinates_are_recognized_for_every_country(compiled):
    for country, facts in MARKETS.items():
        point = compiled.find(country, facts.postcode.example).point
        compiled.check_plausible(country, point)
        with pytest.raises(PointImplausible, match="swapped"):
            compiled.check_plausible(country, Point(point.lon, point.lat))


@pytest.mark.parametrize(
    ("country", "typed", "city", "right"),
    [
        ("DE", "1067", "Dresden", "01067 Dresden"),
        ("DE", "1067", "", "01067 Dresden"),
        ("DE", "4109", "Leipzig", "04109 Leipzig"),
        ("PL", "950", "Warszawa", "00-950 Warszawa"),
        ("PL", "0950", "", "00-950 Warszawa"),
    ],
)
def test_a_postcode_without_its_leading_zeros_is_refused_with_the_right_one(
    compiled, country, typed, city, right
):
    with pytest.raises(UnknownPostcode, match=f"did you mean {right}?") as refused:
        compiled.find(country, typed, city)
    assert refused.value.suggestions[0] == right
    assert compiled.suggest("DE", "1067")[0].postcode == "01067"


@pytest.mark.parametrize(
    ("country", "typed", "postcode"),
    [
        ("PL", "00\u2013950", "00-950"),
        ("PL", "00\u2011950", "00-950"),
        ("PL", "00\u00a0950", "00-950"),
        ("PL", "PL \u2212 00\u202f950", "00-950"),
        ("AT", "A\u20131010", "1010"),
        ("DE", "D - 01067", "01067"),
        ("DE", "\ufeff01067\u200b", "01067"),
        ("CH", "CH\u00a08004", "8004"),
    ],
)
def test_a_postcode_may_hold_any_dash_and_space(compiled, country, typed, postcode):
    assert compiled.find(country, typed).postcode == postcode


@pytest.mark.parametrize(
    ("country", "typed", "lies", "cure"),
    [
        ("CH", "8238", "Büsingen am Hochrhein, which lies in Germany", "DE and postcode 78266"),
        ("CH", "6911", "Campione d'Italia, which lies in Italy", "not served"),
        ("CH", "CH-9490", "Vaduz, which lies in Liechtenstein", "not served"),
        ("DE", "87491", "Jungholz, which lies in Austria", "AT and postcode 6691"),
        ("DE", "87568", "Hirschegg, which lies in Austria", "AT and postcode 6992"),
    ],
)
def test_a_postcode_whose_town_lies_in_another_country_is_known_for_it(
    compiled, country, typed, lies, cure
):
    with pytest.raises(UnknownPostcode) as refused:
        compiled.find(country, typed)
    assert refused.value.field == "postcode"
    assert lies in refused.value.problem
    assert cure in refused.value.cure
    with pytest.raises(UnknownPostcode, match="lies in"):
        compiled.check_postcode(country, typed, Point(47.7, 8.69))


def test_the_own_postcodes_of_towns_with_two_are_known(compiled):
    for (country, code), place in ABROAD.items():
        assert compiled.suggest(country, code) == []
        if place.market:
            assert place.town in compiled.towns_of(place.market, place.postcode)


def test_a_point_far_from_its_postcode_is_refused_with_both_named(compiled):
    geneva, zurich = Point(46.2044, 6.1432), Point(47.3667, 8.541)
    with pytest.raises(PointImplausible) as refused:
        compiled.check_postcode("CH", "8001", geneva)
    assert refused.value.field == "lat"
    assert "Genève" in str(refused.value)
    assert re.search(r"22\d km from postcode 8001 \(Zürich, CH\)", str(refused.value))
    with pytest.raises(PointImplausible, match=r"near 80.. Zürich .* postcode 9470"):
        compiled.check_postcode("AT", "9470", zurich)
    with pytest.raises(UnknownPostcode, match="'8001' is not one of DE"):
        compiled.check_postcode("DE", "8001", zurich)


def test_a_point_near_its_postcode_is_taken_even_where_the_list_lacks_the_postcode(compiled):
    zurich = Point(47.3667, 8.541)
    assert compiled.towns_of("CH", "8090") == []
    for postcode in ("8001", "CH-8001", "8400", "8090"):
        assert compiled.check_postcode("CH", postcode, zurich) is None
    with pytest.raises(PointImplausible, match="postcode 3099"):
        compiled.check_postcode("CH", "3099", zurich)


@pytest.mark.parametrize("text", ["s", "sz", "a" * 100, "warsz", "szczecni", "er en in st " * 8])
def test_the_cost_of_suggestions_is_bounded(compiled, text):
    """The text is cut, few names are compared, and the places of a name are found once."""
    compared = compiled._index(Market.PL)._pairs.sharing(fold(text))
    assert len(compared) <= COMPARED_MAX
    first = compiled.suggest("PL", text)
    started = process_time()
    assert compiled.suggest("PL", text) == first
    assert process_time() - started < 0.1
