"""A town without a postcode: found by one of its names, refused among namesakes, never guessed."""

import re
from collections import defaultdict
from itertools import chain

import pytest

from data.markets import Market
from geo.gazetteer.offline import AddressRefused, AmbiguousTown, UnknownTown
from geo.gazetteer.town_names import fold
from geo.point import distance_m

NEAR_M = 10_000

PLACED = [
    ("CH", "Bienne", "Biel/Bienne"),
    ("CH", "Biel-Bienne", "Biel/Bienne"),
    ("CH", "Delsberg", "Delémont"),
    ("CH", "Thoune", "Thun"),
    ("CH", "Losanna", "Lausanne"),
    ("CH", "Genf", "Genève"),
    ("CH", "Freiburg im Üechtland", "Fribourg"),
    ("CH", "Coira", "Chur"),
    ("CH", "Wil SG", "Wil SG"),
    ("CH", "Buchs (ZH)", "Buchs ZH"),
    ("DE", "Esslingen", "Esslingen am Neckar"),
    ("DE", "Eßlingen", "Eßlingen"),
    ("DE", "Munster", "Munster"),
    ("DE", "Buchen", "Buchen (Odenwald)"),
    ("DE", "Buechen", "Büchen"),
    ("DE", "Halle/Saale", "Halle (Saale)"),
    ("DE", "Halle Sachsen-Anhalt", "Halle (Saale)"),
    ("DE", "Partenkirchen", "Garmisch-Partenkirchen"),
    ("DE", "Aix-la-Chapelle", "Aachen"),
    ("DE", "Hamburg", "Hamburg"),
    ("AT", "Vienne", "Wien"),
    ("AT", "Sankt Pölten", "St. Pölten"),
    ("PL", "Warschau", "Warszawa"),
    ("PL", "Danzig", "Gdańsk"),
    ("PL", "LODZ", "Łódź"),
]
NAMESAKES = [
    ("DE", "Halle", ["06108 Halle (Saale) (Sachsen-Anhalt)", "37620 Halle (Niedersachsen)"]),
    ("DE", "Muenster", ["48143 Münster (Nordrhein-Westfalen)", "64839 Münster (Hessen) (Hessen)"]),
    ("DE", "Frankfurt", ["60310 Frankfurt am Main (Hessen)", "15230 Frankfurt (Oder) (Branden"]),
    ("CH", "Biel", ["2502 Biel/Bienne (Bern)", "3989 Biel VS (Valais)"]),
    ("CH", "Wil", ["5276 Wil AG (Aargau)", "9500 Wil SG (St. Gallen)"]),
    ("CH", "Munster", ["3985 Münster VS (Valais)", "6215 Beromünster (Luzern)"]),
    ("PL", "Biała", ["48-210 Biała (Opolskie)"]),
]
LIKE_A_TOWN = [
    ("CH", "Winterhtur", "Winterthur"),
    ("CH", "Bien", "Biel/Bienne"),
    ("DE", "Esslinge", "Esslingen am Neckar"),
    ("DE", "Frankfurt/Main", "Frankfurt am Main"),
    ("PL", "Gdanks", "Gdańsk"),
]


@pytest.mark.parametrize(("country", "typed", "town"), PLACED)
def test_a_town_is_found_by_each_of_its_names(compiled, country, typed, town):
    assert compiled.find(country, "", typed).town == town


@pytest.mark.parametrize(("country", "typed", "listed"), NAMESAKES)
def test_namesakes_are_refused_and_listed_with_their_regions(compiled, country, typed, listed):
    with pytest.raises(AmbiguousTown, match="give the postcode") as refused:
        compiled.find(country, "", typed)
    assert refused.value.field == "city"
    for label in listed:
        assert label in str(refused.value)


@pytest.mark.parametrize(("country", "typed", "town"), LIKE_A_TOWN)
def test_likeness_proposes_and_never_places(compiled, country, typed, town):
    with pytest.raises(UnknownTown, match="did you mean") as refused:
        compiled.find(country, "", typed)
    assert town in refused.value.suggestions


def first_part(town):
    return re.split(r" \(|/| am | an | im | bei ", town)[0]


@pytest.mark.parametrize("market", Market)
def test_no_town_is_placed_away_from_every_place_of_its_name(compiled, market):
    """Every town of the gazetteer, by its full name and by the first part of it."""
    rows = list(compiled.rows(market))
    by_name = defaultdict(set)
    for row in rows:
        for name in {row.town, first_part(row.town)}:
            by_name[name.lower()].add(row)
    away, between, refused_alone = [], [], []
    for name in dict.fromkeys(chain.from_iterable((r.town, first_part(r.town)) for r in rows)):
        named = by_name[name.lower()]
        points = {row.point for row in named}
        try:
            place = compiled.find(market, "", name)
        except AmbiguousTown:
            if len(points) == 1:
                refused_alone.append(name)
            continue
        far = [m for m in (distance_m(place.point, p) for p in points) if m > NEAR_M]
        if len(far) == len(points):
            away.append(name)
        beyond = sum(distance_m(place.point, r.point) > place.radius_m + NEAR_M for r in named)
        if beyond > len(named) / 20:
            between.append(name)
    assert (away, between) == ([], [])
    assert len(refused_alone) <= len(by_name) / 100, refused_alone[:20]


def test_no_other_name_places_a_town_away_from_those_it_belongs_to(compiled):
    """Every other name; those that several towns have are refused."""
    towns, points = defaultdict(set), defaultdict(set)
    for market in Market:
        for row in compiled.rows(market):
            points[market, row.region, row.town].add(row.point)
    others = [line.split("\t") for line in compiled._other_names]
    for country, name, region, town in others:
        towns[country, fold(name)].add((country, region, town))
    assert {country for country, *_ in others} == set(Market)
    away, refused = [], 0
    for country, name, _, _ in others:
        try:
            place = compiled.find(country, "", name)
        except AddressRefused:
            refused += 1
            continue
        meant = set().union(*(points[one] for one in towns[country, fold(name)]))
        without_canton = re.sub(" [A-Z]{2}$", "", place.town)
        if fold(name) in {fold(part) for part in (place.town, *without_canton.split("/"))}:
            meant.add(place.point)
        if all(distance_m(place.point, point) > NEAR_M for point in meant):
            away.append((country, name, place.label))
    assert away == []
    assert refused < len(others) / 20
