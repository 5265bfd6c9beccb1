"""What every market needs besides its entry in `MARKETS`; docs/changing.md: "Add a market"."""

import re
from collections.abc import Iterator
from pathlib import Path
from zoneinfo import available_timezones

import phonenumbers
import pytest
from babel import Locale

from data.markets import HOME, MARKETS, Market
from data.seed.catalogue import CatalogueInvalid, load
from geo.gazetteer.offline import PATH, Gazetteer
from geo.gazetteer.regions import REGIONS
from tests.sql_enums import enum_values

LAND = Path(__file__).parents[2] / "api" / "web" / "scripts" / "land.ts"


@pytest.fixture(scope="module")
def gazetteer() -> Gazetteer:
    return Gazetteer.load()


def lacks(market: Market, gazetteer: Gazetteer) -> Iterator[str]:
    """A sentence for everything that the market needs and does not have."""
    facts = MARKETS[market]
    if facts.timezone not in available_timezones():
        yield f"there is no time zone {facts.timezone}"
    if market not in enum_values("market"):
        yield f"no migration adds '{market}' to the SQL type market"
    if facts.currency not in enum_values("currency"):
        yield f"no migration adds '{facts.currency}' to the SQL type currency"
    yield from lacks_in_forms(market)
    yield from lacks_in_gazetteer(market, gazetteer)
    yield from lacks_on_map(market)
    for language in facts.languages:
        if market not in Locale(language).territories:
            yield f"babel has no name of it in {language}"


def lacks_in_forms(market: Market) -> Iterator[str]:
    facts = MARKETS[market]
    if not re.fullmatch(facts.postcode.pattern, facts.postcode.example):
        yield f"its postcode example {facts.postcode.example} does not match the pattern"
    if phonenumbers.country_code_for_region(market) != facts.calling_code:
        yield f"{facts.calling_code} is not its calling code"
    elif not phonenumbers.is_valid_number(phonenumbers.parse(facts.phone_example, market)):
        yield f"its phone example {facts.phone_example} is not a number there"


def lacks_in_gazetteer(market: Market, gazetteer: Gazetteer) -> Iterator[str]:
    if market not in REGIONS:
        yield "geo/gazetteer/regions.py has no regions for it"
    rows = list(gazetteer.rows(market))
    example = MARKETS[market].postcode.example
    if not rows:
        yield f"{PATH.name} has no postcodes of it; run python -m geo.gazetteer.build"
    elif example not in {row.postcode for row in rows}:
        yield f"{PATH.name} does not know its postcode example {example}"
    south, north, west, east = MARKETS[market].frame
    outside = [r for r in rows if not (south <= r.lat <= north and west <= r.lon <= east)]
    if outside:
        yield f"its frame does not hold {outside[0].postcode} {outside[0].town}"


def lacks_on_map(market: Market) -> Iterator[str]:
    edges = dict(
        re.findall(r"const (WEST|SOUTH|EAST|NORTH) = (\d+(?:\.\d+)?);", LAND.read_text("utf-8"))
    )
    south, north, west, east = MARKETS[market].frame
    inside = float(edges["SOUTH"]) <= south and north <= float(edges["NORTH"])
    if not (inside and float(edges["WEST"]) <= west and east <= float(edges["EAST"])):
        yield f"the map of {LAND.name} ends within its frame"


def test_every_market_has_an_entry_in_the_table_the_home_market_first():
    assert list(MARKETS) == list(Market), "data/markets.py: one entry per market, in order"
    assert HOME == Market.CH


@pytest.mark.parametrize("market", Market)
def test_a_market_lacks_nothing(market, gazetteer):
    assert [f"{market}: {sentence}" for sentence in lacks(market, gazetteer)] == []


def test_every_package_has_a_price_in_every_market():
    try:
        packages = load().packages
    except CatalogueInvalid as error:
        pytest.fail(f"data/seed/packages: {error}")
    assert [code for code, package in packages.items() if set(package.prices) != set(Market)] == []


@pytest.mark.parametrize("market", Market)
def test_postcodes_typed_without_separators_get_those_of_the_form(market):
    form = MARKETS[market].postcode
    digits = re.sub("[^0-9]", "", form.example)
    assert form.digits == len(digits)
    assert form.separate(digits) == form.example
    assert form.example in form.description
    for length in range(1, len(digits)):
        assert form.example.startswith(form.separate(digits[:length]))
    for text in ("", "8" * (form.digits + 1), "8A", "٣٤"):
        assert form.separate(text) == text
