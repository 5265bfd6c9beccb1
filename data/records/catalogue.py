"""Service packages and their versions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from data.enums import PackageTier
from data.markets import Language, Market
from data.records.ids import PartnerId
from data.records.money import Money
from data.replace import replace

ALWAYS = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageText:
    name: str
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """A version of a service package: what a booking made under it was promised.

    It is sold from `valid_from` on until a later version is; one that is not `active` ends the
    sale. A partner's own package is sold to that partner's customers only. `tiers` are the markets
    with a tier of their own. Friends from `min_age` on are asked.
    """

    code: str
    category: str
    tier: PackageTier
    minutes: int
    certificates: frozenset[str]
    texts: Mapping[Language, PackageText]
    prices: Mapping[Market, Money]
    tiers: Mapping[Market, PackageTier] = field(default_factory=dict)
    version: int = 1
    valid_from: datetime = ALWAYS
    active: bool = True
    owner: PartnerId | None = None
    min_age: int = 18

    def in_market(self, market: Market) -> Package:
        """This package with the tier that serves `market`."""
        tier = self.tiers.get(market, self.tier)
        return self if tier is self.tier else replace(self, tier=tier)


class Catalogue:
    """The versions of all packages that a process knows, in the order they are shown in.

    Versions are added and never change. `on_sale` are those sold at the time of the last
    `advance`, for pages and quotes; what a booking is sold is decided by its own time.
    """

    def __init__(self, versions: Iterable[Package] = ()) -> None:
        self._versions: dict[str, dict[int, Package]] = {}
        self._now = ALWAYS
        self.on_sale: Mapping[str, Package] = {}
        self.add(versions)

    def __len__(self) -> int:
        return sum(map(len, self._versions.values()))

    def add(self, versions: Iterable[Package]) -> None:
        """Add versions, known or new."""
        for one in versions:
            self._versions.setdefault(one.code, {})[one.version] = one
        self.advance(self._now)

    def advance(self, now: datetime) -> None:
        """Set the time that `on_sale` is of."""
        self._now = now
        sold = {code: self.sold(code, now) for code in self._versions}
        self.on_sale = {code: package for code, package in sold.items() if package is not None}

    def sold(self, code: str, at: datetime) -> Package | None:
        """The version of a package that is sold at this time; None when it is not."""
        found = self.valid(code, at)
        return found if found is not None and found.active else None

    def valid(self, code: str, at: datetime) -> Package | None:
        """The latest version that is valid at this time, sold or not."""
        versions = self._versions.get(code, {}).values()
        return max(
            (one for one in versions if one.valid_from <= at),
            key=lambda one: one.version,
            default=None,
        )

    def find(self, code: str, version: int) -> Package | None:
        """This version of a package; None when this process does not know it yet."""
        return self._versions.get(code, {}).get(version)

    def at(self, code: str, version: int) -> Package:
        """This version of a package, for its texts; the one before, until it is known here."""
        known = self._versions[code]
        return known.get(version) or known[max(n for n in known if n <= version)]

    def latest(self, code: str) -> Package | None:
        """The version that was written last, be it valid or planned."""
        versions = self._versions.get(code)
        return versions[max(versions)] if versions else None

    def categories(self) -> set[str]:
        """The categories of all packages, sold or not."""
        return {one.category for versions in self._versions.values() for one in versions.values()}

    def codes(self) -> list[str]:
        """The codes of all packages, sold or not, in their order."""
        return list(self._versions)
