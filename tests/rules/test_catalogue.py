"""Versions of packages: which one is sold, and which may be written."""

from datetime import timedelta
from uuid import UUID

import pytest

from data.enums import PackageTier
from data.markets import Currency, Market
from data.records.catalogue import Catalogue
from data.records.ids import PartnerId
from data.records.money import Money
from data.replace import replace
from dispatch.rules.jobs.catalogue import (
    Known,
    PackageChanged,
    PlannedVersion,
    PriceRefused,
    UnknownCategory,
    UnknownCertificate,
    UnknownPackage,
    next_version,
    package_named,
    package_sold,
)
from tests.rules.facts import NOW, package

LATER = NOW + timedelta(days=30)
FIRST = package()
SECOND = replace(FIRST, version=2, valid_from=LATER, minutes=90)
KNOWN = Known(certificates={"wifi", "mac"}, categories={FIRST.category})
PARTNER = PartnerId(UUID(int=77))


def write(wanted, latest=FIRST, *, earliest=NOW, replaces_planned=False):
    return next_version(wanted, latest, earliest, KNOWN, replaces_planned=replaces_planned)


def test_a_version_is_sold_from_its_first_moment_on():
    catalogue = Catalogue([FIRST, SECOND])
    assert catalogue.sold(FIRST.code, LATER - timedelta(microseconds=1)) == FIRST
    assert catalogue.sold(FIRST.code, LATER) == SECOND


def test_an_earlier_version_written_later_takes_the_place_of_a_planned_one():
    third = replace(SECOND, version=3, valid_from=NOW, minutes=75)
    catalogue = Catalogue([FIRST, SECOND, third])
    assert catalogue.sold(FIRST.code, NOW) == third
    assert catalogue.sold(FIRST.code, LATER) == third


def test_a_package_that_is_not_active_is_not_sold_and_keeps_its_texts():
    ended = replace(SECOND, active=False)
    catalogue = Catalogue([FIRST, ended])
    catalogue.advance(LATER)
    assert FIRST.code not in catalogue.on_sale
    assert catalogue.at(FIRST.code, 1) == FIRST
    with pytest.raises(UnknownPackage):
        package_sold(catalogue, FIRST.code, LATER, None)


def test_until_a_version_is_known_the_one_before_gives_the_texts_but_no_terms():
    catalogue = Catalogue([FIRST])
    assert catalogue.at(FIRST.code, 2) == FIRST
    assert catalogue.find(FIRST.code, 2) is None


def test_a_market_may_have_a_tier_of_its_own():
    mixed = replace(FIRST, tiers={Market.PL: PackageTier.PRO})
    assert mixed.in_market(Market.PL).tier is PackageTier.PRO
    assert mixed.in_market(Market.CH) is mixed


def test_a_partners_package_is_sold_to_no_other():
    own = {FIRST.code: replace(FIRST, owner=PARTNER)}
    assert package_named(own, FIRST.code, PARTNER).owner == PARTNER
    for partner in (None, PartnerId(UUID(int=78))):
        with pytest.raises(UnknownPackage):
            package_named(own, FIRST.code, partner)


def test_the_next_version_begins_at_the_earliest_moment_unless_it_is_planned():
    assert write(replace(FIRST, version=2, minutes=90)).valid_from == NOW
    assert write(SECOND).valid_from == LATER


def test_the_same_content_again_is_no_version():
    assert write(replace(FIRST, version=2)) is None


def test_a_change_of_what_somebody_changed_meanwhile_is_refused():
    for version in (1, 3):
        with pytest.raises(PackageChanged):
            write(replace(FIRST, version=version, minutes=90))
    with pytest.raises(PackageChanged):
        write(replace(FIRST, version=2), None)


def test_a_planned_version_is_not_replaced_by_accident():
    now = replace(SECOND, version=3, valid_from=NOW, minutes=75)
    with pytest.raises(PlannedVersion, match="version 2 begins at"):
        write(now, SECOND)
    assert write(now, SECOND, replaces_planned=True) == now


def test_the_owner_of_a_package_stays():
    assert write(replace(FIRST, version=2, minutes=90, owner=PARTNER)).owner is None


@pytest.mark.parametrize(
    ("changes", "refusal", "text"),
    [
        ({"category": "gardening"}, UnknownCategory, "none of: wifi_network"),
        ({"certificates": frozenset({"tea"})}, UnknownCertificate, "none of: mac, wifi"),
        ({"prices": {}}, PriceRefused, "at least one market"),
        ({"prices": {Market.CH: Money(amount=1, currency=Currency.CHF)}}, PriceRefused, "CH has 1"),
    ],
)
def test_content_that_cannot_be_sold_is_refused(changes, refusal, text):
    with pytest.raises(refusal, match=text):
        write(replace(FIRST, version=2, **changes))
