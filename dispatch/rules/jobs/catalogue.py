"""Packages by their code, and what a new version of one must satisfy."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from data.markets import MARKETS
from data.records.catalogue import ALWAYS, Catalogue, Package
from data.records.ids import PartnerId
from data.replace import replace
from dispatch.rules.refusals import Refused


class UnknownPackage(Refused):
    """There is no such package."""

    code = "unknown-package"
    field = "package"


class PackageChanged(Refused):
    """Somebody has changed this package meanwhile."""

    code = "package-changed"
    field = "version"
    detail = "Read it again, and send the change with the version you read."


class PlannedVersion(Refused):
    """A later version of this package is planned."""

    code = "planned-version"
    field = "valid_from"


class UnknownCertificate(Refused):
    """There is no such certificate."""

    code = "unknown-certificate"
    field = "certificates"


class UnknownCategory(Refused):
    """There is no such category."""

    code = "unknown-category"
    field = "category"


class PriceRefused(Refused):
    """This price is too low, or there is none."""

    code = "price-refused"
    field = "prices"


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What a package may name: certificates, and the categories that the pages have texts for."""

    certificates: Collection[str]
    categories: Collection[str]


SEE: Final = "is not in the catalogue; see /v1/packages"


def package_named(packages: Mapping[str, Package], code: str, partner: PartnerId | None) -> Package:
    """The package with this code that is sold to this partner's customers. Raises UnknownPackage.

    Without a partner it is one of the house.
    """
    return _sold_to(packages.get(code), code, partner)


def package_sold(
    catalogue: Catalogue, code: str, at: datetime, partner: PartnerId | None
) -> Package:
    """The version of a package sold at this time, as `package_named`. Raises UnknownPackage."""
    return _sold_to(catalogue.sold(code, at), code, partner)


def _sold_to(package: Package | None, code: str, partner: PartnerId | None) -> Package:
    if package is None or package.owner not in (None, partner):
        raise UnknownPackage(f"{code[:60]!r} {SEE}")
    return package


def next_version(
    wanted: Package,
    latest: Package | None,
    earliest: datetime,
    known: Known,
    *,
    replaces_planned: bool,
) -> Package | None:
    """The version to write, valid at `earliest` at the soonest; None if it changes nothing.

    `wanted` has the number after the version that was read, 1 for a new package. Raises
    PackageChanged, PlannedVersion, UnknownCategory, UnknownCertificate, PriceRefused.
    """
    _check_content(wanted, known)
    if wanted.version != (latest.version + 1 if latest else 1):
        raise PackageChanged
    version = replace(wanted, valid_from=max(wanted.valid_from, earliest))
    if latest is None:
        return version
    version = replace(version, owner=latest.owner)
    if _content(version) == _content(latest) and latest.valid_from <= version.valid_from:
        return None
    if latest.valid_from > version.valid_from and not replaces_planned:
        raise PlannedVersion(
            f"version {latest.version} begins at {latest.valid_from.isoformat()}; choose a later"
            " time, or replace the planned version"
        )
    return version


def _check_content(package: Package, known: Known) -> None:
    if package.category not in known.categories:
        words = ", ".join(sorted(known.categories))
        raise UnknownCategory(f"{package.category!r} is none of: {words}")
    for code in sorted(package.certificates):
        if code not in known.certificates:
            words = ", ".join(sorted(known.certificates))
            raise UnknownCertificate(f"{code[:60]!r} is none of: {words}")
    if not package.prices:
        raise PriceRefused("give a price for at least one market")
    for market, price in package.prices.items():
        lowest = MARKETS[market].lowest_price_minor
        if price.amount < lowest:
            raise PriceRefused(
                f"{market} has {price.amount}; give at least {lowest} minor units of"
                f" {MARKETS[market].currency}"
            )


def _content(package: Package) -> Package:
    """What a version says, whenever and by whatever number."""
    return replace(package, version=1, valid_from=ALWAYS)
