"""Service packages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from data.enums import PackageTier
from data.markets import Language, Market
from data.records.money import Money


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageText:
    name: str
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """A service package of the catalogue; friends from `min_age` on are asked."""

    code: str
    category: str
    tier: PackageTier
    minutes: int
    certificates: frozenset[str]
    texts: Mapping[Language, PackageText]
    prices: Mapping[Market, Money]
    min_age: int = 18
