"""Adds coordinates to a postcode list: by the names of its towns, else by neighbouring numbers.

Postal lists name towns, GeoNames has the points of towns. Both have the canton or Land, and names
are matched within it. Of several places with one name, the one nearest to the numeric neighbours
counts, as neighbouring postcodes lie near each other. A code without any known town gets the middle
of its nearest numbers. Every point has a precision and a radius of error.
"""

import math
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import NamedTuple

from data.markets import Market
from geo.gazetteer.addresses import Postcode, number_of
from geo.gazetteer.town_names import fold
from geo.point import Point, Precision, distance_m

NEIGHBOURS = 3
REFERENCE_NEIGHBOURS = 5
FARTHEST_JOIN_M = 60_000
FARTHEST_FROM_MAIN_M = 15_000
LARGE_TOWN = 20_000
SMALLEST_RADIUS_M = 1_000
LARGEST_RADIUS_M = 5_000
SMALLEST_DISTRICT_M = 8_000
SMALLEST_TOWN_M = 2_500
CODES_THAT_MAKE_A_TOWN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Locality:
    """One line of a postal list: the display name, and the names to look for, the best first."""

    postcode: str
    region: str
    town: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NamedPlace:
    """A populated place of GeoNames."""

    point: Point
    population: int


class KnownPlace(NamedTuple):
    """A populated place of GeoNames with its region's code and its names, the main one first."""

    region: str
    names: tuple[str, ...]
    point: Point


class PlaceNames:
    """Populated places by region and folded name; main names come before alternate ones.

    `known` are the places with their names as written.
    """

    def __init__(self) -> None:
        self.known: list[KnownPlace] = []
        self._own: dict[tuple[str, str], list[NamedPlace]] = defaultdict(list)
        self._other: dict[tuple[str, str], list[NamedPlace]] = defaultdict(list)

    def add(self, region: str, name: str, alternates: Iterable[str], place: NamedPlace) -> None:
        """Add one place."""
        alternates = tuple(alternates)
        self.known.append(KnownPlace(region, (name, *alternates), place.point))
        own = fold(name)
        self._own[region, own].append(place)
        for other in {fold(alternate) for alternate in alternates} - {own, ""}:
            self._other[region, other].append(place)

    def find(self, region: str, names: Iterable[str]) -> list[NamedPlace]:
        """Return the places of the first known name."""
        for name in names:
            key = region, fold(name)
            found = self._own.get(key) or self._other.get(key)
            if found:
                return found
        return []


@dataclass(frozen=True, slots=True)
class _Match:
    locality: Locality
    place: NamedPlace | None


def locate(
    country: Market,
    localities: Sequence[Locality],
    *,
    names: PlaceNames,
    own_points: Mapping[str, Point],
    region_names: Mapping[str, str],
    tick: Callable[[int], None] = lambda _: None,
) -> list[Postcode]:
    """Return a row for every locality, grouped by postcode, main town first.

    `own_points` are the centroids that the postal source has itself.
    """
    by_code: dict[str, list[Locality]] = defaultdict(list)
    for locality in localities:
        by_code[locality.postcode].append(locality)
    first = _index_unambiguous(by_code, names, own_points)
    matches = {}
    for done, (code, group) in enumerate(sorted(by_code.items())):
        reference = own_points.get(code) or first.middle_near(code, group[0].region)
        matches[code] = _main_first([_match(one, names, reference) for one in group])
        tick(done + 1)
    return _rows(country, matches, own_points, region_names)


@dataclass(frozen=True, slots=True)
class _CodeIndex:
    """Located postcodes of each region, ordered by number."""

    codes: dict[str, list[int]]
    points: dict[str, list[Point]]

    def middle_near(
        self, code: str, region: str, count: int = REFERENCE_NEIGHBOURS
    ) -> Point | None:
        """Return the middle of the numerically nearest other codes of the region."""
        near = self.nearest(code, region, count)
        return _middle(near) if near else None

    def nearest(self, code: str, region: str, count: int) -> list[Point]:
        codes, number = self.codes.get(region, []), number_of(code)
        at = bisect_left(codes, number)
        window = range(max(0, at - count), min(len(codes), at + count + 1))
        others = [index for index in window if codes[index] != number]
        others.sort(key=lambda index: (abs(codes[index] - number), index))
        return [self.points[region][index] for index in others[:count]]


def _index_unambiguous(
    by_code: Mapping[str, Sequence[Locality]], names: PlaceNames, own_points: Mapping[str, Point]
) -> _CodeIndex:
    """Index the codes with an unambiguous point: their own, or that of a unique name."""
    located: dict[str, tuple[str, Point]] = {}
    for code, group in by_code.items():
        found = [names.find(one.region, one.names) for one in group]
        points = [hits[0].point for hits in found if len(hits) == 1]
        if code in own_points:
            located[code] = group[0].region, own_points[code]
        elif points:
            located[code] = group[0].region, _middle(points)
    return _index_codes(located)


def _index_codes(located: Mapping[str, tuple[str, Point]]) -> _CodeIndex:
    codes: dict[str, list[int]] = defaultdict(list)
    points: dict[str, list[Point]] = defaultdict(list)
    for code, (region, point) in sorted(located.items(), key=lambda item: number_of(item[0])):
        codes[region].append(number_of(code))
        points[region].append(point)
    return _CodeIndex(dict(codes), dict(points))


def _match(locality: Locality, names: PlaceNames, reference: Point | None) -> _Match:
    found = names.find(locality.region, locality.names)
    if not found:
        return _Match(locality, None)
    if reference is None:
        return _Match(locality, max(found, key=lambda place: place.population))
    best = min(found, key=lambda place: distance_m(place.point, reference))
    if distance_m(best.point, reference) > FARTHEST_JOIN_M:
        return _Match(locality, None)
    return _Match(locality, best)


def _main_first(group: list[_Match]) -> list[_Match]:
    def rank(one: _Match) -> tuple[int, str]:
        return (-one.place.population if one.place else 1, one.locality.town)

    return sorted(group, key=rank)


def _rows(
    country: Market,
    matches: Mapping[str, list[_Match]],
    own_points: Mapping[str, Point],
    region_names: Mapping[str, str],
) -> list[Postcode]:
    points = {
        code: own_points.get(code) or (group[0].place.point if group[0].place else None)
        for code, group in matches.items()
    }
    located = {
        code: (matches[code][0].locality.region, point) for code, point in points.items() if point
    }
    numbered, sharing = _index_codes(located), Counter(point for _, point in located.values())
    rows: list[Postcode] = []
    for code, group in matches.items():
        main = _place_main(code, group[0], points[code], numbered, sharing)
        if main is None:
            continue
        rows.append(_row(country, group[0].locality, main, region_names))
        for one in group[1:]:
            found = _place_other(one, main, own=code in own_points)
            rows.append(_row(country, one.locality, found, region_names))
    return rows


@dataclass(frozen=True, slots=True)
class _Placement:
    point: Point
    precision: Precision
    radius_m: int


def _place_main(
    code: str,
    first: _Match,
    point: Point | None,
    numbered: _CodeIndex,
    sharing: Mapping[Point, int],
) -> _Placement | None:
    region = first.locality.region
    if point is None:
        return _place_by_numbers(numbered.nearest(code, region, NEIGHBOURS))
    population = first.place.population if first.place else LARGE_TOWN
    town_m = _town_radius_m(population)
    matches = first.place is not None and first.place.point == point
    if sharing[point] >= CODES_THAT_MAKE_A_TOWN:
        return _Placement(point, Precision.TOWN, max(town_m, SMALLEST_TOWN_M))
    if matches and town_m > LARGEST_RADIUS_M:
        return _Placement(point, Precision.TOWN, town_m)
    near = numbered.nearest(code, region, NEIGHBOURS)
    apart_m = median(distance_m(point, other) for other in near) / 2 if near else LARGEST_RADIUS_M
    return _Placement(
        point, Precision.POSTCODE, max(_clamp_radius(apart_m), town_m if matches else 0)
    )


def _place_by_numbers(near: Sequence[Point]) -> _Placement | None:
    if not near:
        return None
    middle = _middle(near)
    reach_m = max(distance_m(middle, other) for other in near)
    return _Placement(middle, Precision.DISTRICT, round(max(SMALLEST_DISTRICT_M, 1.5 * reach_m)))


def _place_other(one: _Match, main: _Placement, own: bool) -> _Placement:
    place = one.place
    if own or place is None or distance_m(place.point, main.point) > FARTHEST_FROM_MAIN_M:
        return main
    return _Placement(place.point, Precision.POSTCODE, SMALLEST_RADIUS_M)


def _row(
    country: Market, one: Locality, found: _Placement, region_names: Mapping[str, str]
) -> Postcode:
    return Postcode(
        country=country,
        postcode=one.postcode,
        town=one.town,
        region=region_names.get(one.region, ""),
        lat=round(found.point.lat, 5),
        lon=round(found.point.lon, 5),
        precision=found.precision,
        radius_m=found.radius_m,
    )


def _town_radius_m(population: int) -> int:
    """Return two standard deviations of the distribution of people in a town of that size."""
    return max(SMALLEST_RADIUS_M, round(1_600 * math.pow(population / 10_000, 0.4)))


def _clamp_radius(radius_m: float) -> int:
    return round(min(max(radius_m, SMALLEST_RADIUS_M), LARGEST_RADIUS_M))


def _middle(points: Sequence[Point]) -> Point:
    return Point(median(point.lat for point in points), median(point.lon for point in points))
