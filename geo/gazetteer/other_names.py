"""Other names of towns, as in other languages, from the alternate names of GeoNames.

GeoNames' names have no language, and many are transcriptions from other scripts or codes. Kept are
those in Latin letters that no spelling of the town's own names covers: Bienne, Delsberg, Losanna.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from data.markets import Market
from geo.gazetteer.addresses import OtherName, Postcode
from geo.gazetteer.interpolate import KnownPlace
from geo.gazetteer.town_names import fold, own_names
from geo.point import distance_m

FARTHEST_M = 10_000
SHORTEST = 3
_CODE_OR_TRANSCRIPT = re.compile(r"[A-Z]+|.*['ʼ]$|[^A-ZÀ-ÖØ-ÞĀ-Ž].*|.*[0-9/(,].*")


def find_other_names(
    country: Market,
    rows: Sequence[Postcode],
    known: Iterable[KnownPlace],
    region_names: Mapping[str, str],
) -> list[OtherName]:
    """Return the other names of the towns of a country in a fixed order."""
    by_name: dict[tuple[str, str], list[Postcode]] = defaultdict(list)
    for row in rows:
        for name in own_names(row.town, country):
            by_name[row.region, fold(name)].append(row)
    found: set[OtherName] = set()
    for place in known:
        region = region_names.get(place.region, "")
        towns = _towns_of(place, region, by_name)
        for town in towns:
            own = {fold(name) for name in own_names(town, country)}
            found.update(
                OtherName(country, name, region, town)
                for name in _usable(place.names)
                if fold(name) not in own
            )
    return sorted(found)


def _towns_of(
    place: KnownPlace, region: str, by_name: Mapping[tuple[str, str], Sequence[Postcode]]
) -> set[str]:
    """Return the towns at the place that have its first known name."""
    for name in place.names:
        towns = {
            row.town
            for row in by_name.get((region, fold(name)), ())
            if distance_m(row.point, place.point) <= FARTHEST_M
        }
        if towns:
            return towns
    return set()


def _usable(names: Iterable[str]) -> Iterator[str]:
    for name in names:
        if len(name) < SHORTEST or _CODE_OR_TRANSCRIPT.fullmatch(name):
            continue
        if all(unicodedata.name(one, "").startswith("LATIN") for one in name if one.isalpha()):
            yield name
