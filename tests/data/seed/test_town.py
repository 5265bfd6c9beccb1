import re
from collections.abc import Iterable
from itertools import islice
from math import cos, hypot, radians
from random import Random

import pytest

from data.enums import PackageTier, Tier
from data.markets import Language
from data.seed.catalogue import load
from data.seed.town import (
    CERTIFICATE_SHARES,
    FARTHEST_M,
    HABITS,
    METRES_PER_DEGREE,
    InventedCustomer,
    InventedFriend,
    InventedPerson,
    TownUnknown,
    invent_customers,
    invent_friends,
    load_town,
    town_names,
)

TOWNS = town_names()
FICTION = {
    "berlin": r"\+49(3023125|6990009|4066969|2214710|8999998)\d{3}",
    "zurich": r"\+4144000\d{4}",
}


def friends_of(town: str, count: int = 1000, seed: int = 1) -> list[InventedFriend]:
    return list(invent_friends(town, count, Random(seed)))


def customers_of(town: str, count: int = 1000, seed: int = 1) -> list[InventedCustomer]:
    return list(islice(invent_customers(town, Random(seed)), count))


def all_people(town: str) -> list[InventedPerson]:
    return [*friends_of(town), *customers_of(town)]


def test_zurich_and_berlin_exist_with_at_least_twelve_quarters() -> None:
    assert set(TOWNS) == {"zurich", "berlin"}
    assert all(len(load_town(town).quarters) >= 12 for town in TOWNS)


def test_an_unknown_town_is_refused_at_once_with_the_existing_ones() -> None:
    with pytest.raises(TownUnknown, match="no demo town paris; there are: berlin, zurich"):
        invent_friends("paris", 1, Random(1))


@pytest.mark.parametrize("town", TOWNS)
def test_the_same_chance_invents_the_same_people(town: str) -> None:
    assert friends_of(town, 50) == friends_of(town, 50)
    assert customers_of(town, 50) == customers_of(town, 50)
    assert friends_of(town, 50) != friends_of(town, 50, seed=2)


@pytest.mark.parametrize("town", TOWNS)
def test_more_people_begin_with_the_same_people(town: str) -> None:
    assert friends_of(town, 80)[:50] == friends_of(town, 50)


@pytest.mark.parametrize("town", TOWNS)
def test_addresses_and_numbers_reach_nobody(town: str) -> None:
    for person in all_people(town):
        assert re.fullmatch(r"[a-z0-9]+\.[a-z0-9]+\.\d+@example\.(org|com)", person.email)
        assert re.fullmatch(FICTION[town], person.phone)
        assert re.fullmatch(r"\+[1-9][0-9]{6,14}", person.phone)


@pytest.mark.parametrize("town", TOWNS)
def test_addresses_phones_and_references_are_unique(town: str) -> None:
    found = friends_of(town)
    assert len({friend.ref for friend in found}) == len(found)
    assert len({friend.phone for friend in found}) == len(found)
    assert len({person.email for person in all_people(town)}) == 2 * len(found)


@pytest.mark.parametrize("town", TOWNS)
def test_all_people_live_in_the_quarter_of_their_postcode(town: str) -> None:
    quarters = {quarter.name: quarter for quarter in load_town(town).quarters}
    for person in all_people(town):
        quarter = quarters[person.quarter]
        north_m = (person.lat - quarter.lat) * METRES_PER_DEGREE
        east_m = (person.lon - quarter.lon) * METRES_PER_DEGREE * cos(radians(quarter.lat))
        assert hypot(north_m, east_m) <= FARTHEST_M * 1.5
        assert person.postcode == quarter.postcode
        assert person.street.rsplit(" ", 1)[0] in quarter.streets


@pytest.mark.parametrize("town", TOWNS)
def test_all_quarters_and_all_languages_occur(town: str) -> None:
    found = friends_of(town)
    assert {friend.quarter for friend in found} == {q.name for q in load_town(town).quarters}
    assert {language for friend in found for language in friend.languages} == set(Language)
    assert all(friend.language in friend.languages for friend in found)


@pytest.mark.parametrize("town", TOWNS)
def test_friends_differ_in_all_traits(town: str) -> None:
    found = friends_of(town)
    temperaments = [friend.temperament for friend in found]
    assert 0.05 <= share(friend.tier is Tier.PRO for friend in found) <= 0.11
    assert 0.07 <= share(t.misses_deadline for t in temperaments) <= 0.13
    assert {t.habit for t in temperaments} == set(HABITS)
    assert all(2_000 <= friend.radius_m <= 12_000 for friend in found)
    assert {friend.capacity for friend in found} == {1, 2, 3}
    assert 0.1 <= share(friend.quiet is None for friend in found) <= 0.3


@pytest.mark.parametrize("town", TOWNS)
def test_every_package_finds_at_least_four_friends_in_a_town_of_three_hundred(town: str) -> None:
    found = friends_of(town, 300)
    for package in load().packages.values():
        tier = Tier.PRO if package.tier is PackageTier.PRO else Tier.FRIEND
        able = [f for f in found if f.tier is tier and package.certificates <= f.certificates]
        assert len(able) >= 4, package.code


@pytest.mark.parametrize("town", TOWNS)
def test_customers_want_every_package_and_popular_ones_more_often(town: str) -> None:
    wanted = [customer.package for customer in customers_of(town, 2000)]
    assert set(wanted) == set(load().packages)
    assert wanted.count("wifi-setup") > 2 * wanted.count("meeting-room")


@pytest.mark.parametrize("town", TOWNS)
def test_every_language_of_customers_is_spoken_by_friends(town: str) -> None:
    spoken = {language for friend in friends_of(town, 300) for language in friend.languages}
    assert {customer.language for customer in customers_of(town)} <= spoken


def test_only_certificates_of_the_catalogue_are_held() -> None:
    assert set(CERTIFICATE_SHARES) == set(load().certificates)


def test_the_shares_of_the_cultures_make_a_hundred() -> None:
    assert [sum(c.share for c in load_town(town).cultures) for town in TOWNS] == [100, 100]


def share(facts: Iterable[bool]) -> float:
    known = list(facts)
    return sum(known) / len(known)
