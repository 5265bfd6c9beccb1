"""The gazetteer: postcode and town to a point with its precision, offline, for all markets.

A postcode has one row per town, the main one first. Rows stay lines of text until they are used, so
that the table loads in a fraction of the time that building records would take.
"""

import gzip
import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from statistics import median
from threading import Lock
from typing import Self

import numpy as np
from rapidfuzz import fuzz, process
from rtree import index as rtree

from data.markets import MARKETS, Market
from geo.gazetteer.addresses import (
    ABROAD,
    FORMATS,
    AddressRefused,
    AmbiguousTown,
    CountryNotServed,
    GazetteerMissing,
    OtherName,
    Place,
    PointImplausible,
    Postcode,
    PostcodeAbroad,
    UnknownPostcode,
    UnknownTown,
    normalize_postcode,
    number_of,
    parse_market,
)
from geo.gazetteer.places import distinct_places, line_of, place_of, postcode_of
from geo.gazetteer.town_index import Town, TownIndex
from geo.gazetteer.town_names import fold
from geo.point import Point, distance_m, ecef

__all__ = [
    "PATH",
    "AddressRefused",
    "CountryNotServed",
    "Gazetteer",
    "GazetteerMissing",
    "Place",
    "PointImplausible",
    "Postcode",
    "UnknownPostcode",
    "UnknownTown",
]

PATH = Path(__file__).with_name("gazetteer.dat")
HEADER = "country\tpostcode\ttown\tregion\tlat\tlon\tprecision\tradius_m"
OTHER_HEADER = "country\tother name\tregion\ttown"
MOST_SUGGESTIONS = 3
MOST_NAMESAKES = 8
LONGEST_TEXT = 60
MOST_TOWNS = 8
FARTHEST_FROM_A_PLACE_M = 40_000
FARTHEST_FROM_POSTCODE_M = 30_000
# Two points that round to one corner of 0.1 degrees lie less than this apart.
CORNER_M = 16_000
MOST_CORNERS = 100_000
MATCH_SCORE = 80

Key = tuple[str, str]


class Gazetteer:
    """All known postcodes with their towns; immutable, so that tasks may share it."""

    def __init__(self, lines: Mapping[Key, list[str]], other_names: Sequence[str] = ()) -> None:
        self._lines = lines
        self._other_names = other_names
        # Corners of 0.1 degrees; few, as the countries are small.
        self._country_at_corner: dict[tuple[float, float], Market | None] = {}
        self._corners_near: set[tuple[Market, float, float]] = set()
        self._indexes: dict[Market, TownIndex] = {}
        self._building = Lock()
        self._places: dict[tuple[Market, tuple[Town, ...]], list[Place]] = {}
        self._trees: dict[Market | None, tuple[list[str], rtree.Index]] = {}

    @classmethod
    def load(cls, path: Path | None = None) -> Self:
        """Read the compiled table. Raises GazetteerMissing."""
        path = path or PATH
        try:
            with gzip.open(path, "rt", encoding="utf-8") as file:
                header, *rows = file.read().splitlines()
        except FileNotFoundError:
            raise GazetteerMissing(path, "is missing") from None
        except (OSError, EOFError, ValueError):
            raise GazetteerMissing(path, "is broken") from None
        if header != HEADER or OTHER_HEADER not in rows:
            raise GazetteerMissing(path, "is of another version")
        end = rows.index(OTHER_HEADER)
        lines: dict[Key, list[str]] = {}
        for row in rows[:end]:
            country, postcode, _ = row.split("\t", 2)
            lines.setdefault((country, postcode), []).append(row)
        return cls(lines, rows[end + 1 :])

    def with_postcodes(self, rows: Iterable[Postcode]) -> Self:
        """Return a gazetteer with these rows in place of its own for their postcodes."""
        towns: dict[Key, list[Postcode]] = defaultdict(list)
        for row in rows:
            towns[row.country, row.postcode].append(row)
        lines = {
            key: [line_of(town) for town in _main_first(group)] for key, group in towns.items()
        }
        return type(self)({**self._lines, **lines}, self._other_names)

    def __len__(self) -> int:
        return len(self._lines)

    def rows(self, market: Market) -> Iterator[Postcode]:
        """Return every town of every postcode of a country."""
        return map(postcode_of, self._by_country[market])

    def find(self, country: str, postcode: str, city: str | None = None) -> Place:
        """Return the place of a postcode; a contradicting town is named in `note` and ignored.

        Without a postcode the town is looked up. Raises CountryNotServed, UnknownPostcode,
        UnknownTown, AmbiguousTown.
        """
        if written := self.find_as_written(country, postcode, city):
            return written
        market = parse_market(country)
        city = " ".join((city or "").split())
        if not postcode.strip():
            return self._find_town(market, city)
        code = normalize_postcode(market, postcode)
        lines = self._lines_of(market, code)
        if not lines:
            raise self._unknown_postcode(market, code, city)
        towns = [postcode_of(line) for line in lines]
        match = self._match_town(market, city, towns)
        if match is not None:
            return place_of(match)
        names = ", ".join(town.town for town in towns[:MOST_SUGGESTIONS])
        note = f"postcode {code} belongs to {names}, not to {city[:60]}; the postcode was taken"
        return replace(place_of(towns[0]), note=note)

    def find_as_written(self, country: str, postcode: str, city: str | None = None) -> Place | None:
        """Return what `find` returns if it needs no search, thus no index; else None.

        Raises CountryNotServed, PostcodeAbroad.
        """
        market = parse_market(country)
        lines = self._lines_of(market, normalize_postcode(market, postcode))
        if not lines or not (city or "").strip():
            return place_of(postcode_of(lines[0])) if lines else None
        typed = fold(" ".join((city or "").split()))
        towns = map(postcode_of, lines)
        found = next((town for town in towns if fold(town.town) == typed), None)
        return place_of(found) if found else None

    def towns(self, country: str, text: str, limit: int = MOST_TOWNS) -> list[Place]:
        """Return towns with this prefix, then towns of similar spelling, larger ones first."""
        market = parse_market(country)
        typed = fold(text[:LONGEST_TEXT])
        if not typed:
            return []
        index = self._index(market)
        found: dict[tuple[str, str], Place] = {}
        for search in (index.beginning_with, index.similar_to):
            for name in search(typed, limit):
                for place in self._places_of(market, index.named(name)):
                    found.setdefault((place.postcode, place.town), place)
            if len(found) >= limit:
                break
        return list(found.values())[:limit]

    def suggest(self, country: str, text: str, limit: int = MOST_TOWNS) -> list[Place]:
        """Return the places whose postcode or town begins so, then towns of similar spelling.

        A text with a digit is taken as the prefix of a postcode, any other as that of a town.
        """
        if not any(letter.isdigit() for letter in text):
            return self.towns(country, text, limit)
        market = parse_market(country)
        codes = self._numbers[market][0]
        typed = normalize_postcode(market, text[:12])
        begin = bisect_left(codes, typed)
        near = codes[begin : begin + limit]
        if not (near and near[0].startswith(typed)) and (padded := self._padded(market, typed)):
            near, typed = [padded], padded
        return [
            place_of(postcode_of(line))
            for code in near
            if code.startswith(typed)
            for line in self._lines[market, code]
        ][:limit]

    def towns_of(self, country: str, postcode: str) -> list[str]:
        """Return the towns of a postcode, main one first; empty if the postcode is unknown."""
        market = parse_market(country)
        lines = self._lines.get((market, normalize_postcode(market, postcode)), [])
        return list(dict.fromkeys(line.split("\t", 3)[2] for line in lines))

    def check_plausible(self, country: str, point: Point) -> None:
        """Raise PointImplausible when the point lies far from every place of its country.

        The error tells whether latitude and longitude look swapped.
        """
        market = parse_market(country)
        if self.is_near(market, point):
            return
        given = f"{point.lat:g}, {point.lon:g}"
        if self.country_if_swapped(point, market):
            raise PointImplausible(
                "lat",
                f"lat and lon look swapped: {given} lies off Somalia or Arabia, not in {market}",
                f"did you mean lat {point.lon:g}, lon {point.lat:g}?",
            )
        away_km = self.nearest(point, market)[1] / 1000
        raise PointImplausible(
            "lat",
            f"lat and lon: {given} lies {away_km:.0f} km from the nearest place of {market}",
            "correct lat, lon or the country",
        )

    def check_postcode(self, country: str, postcode: str, point: Point) -> None:
        """Raise PointImplausible when the point lies far from every town of its postcode.

        A well-formed postcode that is not known is judged by the nearest number. Raises
        UnknownPostcode when the country has no such postcodes, or its town lies in another one.
        """
        market = parse_market(country)
        code = normalize_postcode(market, postcode)
        lines = self._lines_of(market, code)
        if not lines:
            if not FORMATS[market][0].fullmatch(code):
                raise self._unknown_postcode(market, code, "")
            lines = self._lines[market, self._nearest_number(market, number_of(code))]
        rows = [postcode_of(line) for line in lines]
        row = min(rows, key=lambda row: distance_m(row.point, point) - row.radius_m)
        away_m = distance_m(row.point, point)
        if away_m - row.radius_m <= FARTHEST_FROM_POSTCODE_M:
            return
        here = self.nearest(point)[0]
        raise PointImplausible(
            "lat",
            f"lat and lon: {point.lat:g}, {point.lon:g} lies near {here.postcode} {here.town} "
            f"({here.country}), {away_m / 1000:.0f} km from postcode {code} ({row.town}, {market})",
            "correct lat and lon, or the postcode and the country",
        )

    def country_if_swapped(self, point: Point, country: Market | None = None) -> Market | None:
        """Return the country of the point with lat and lon swapped; None if it is not served."""
        if abs(point.lon) > 90:
            return None
        place, away_m = self.nearest(Point(point.lon, point.lat), country)
        return place.country if away_m <= FARTHEST_FROM_A_PLACE_M else None

    def nearest(self, point: Point, country: Market | None = None) -> tuple[Postcode, float]:
        """Return the town nearest to a point, of one country or all, and its distance in metres."""
        lines, tree = self._tree(country)
        # Straight-line distance orders places like distance on the ground.
        first = next(iter(tree.nearest(ecef(point) * 2, 1)))
        place = postcode_of(lines[first])
        return place, distance_m(point, place.point)

    def country_of(self, point: Point) -> Market:
        """Return the country of the known town nearest to a point, at any distance."""
        corner = round(point.lat, 1), round(point.lon, 1)
        if corner not in self._country_at_corner:
            if len(self._country_at_corner) > MOST_CORNERS:
                self._country_at_corner.clear()
            self._country_at_corner[corner] = self._find_country_at_corner(Point(*corner))
        return self._country_at_corner[corner] or self.nearest(point)[0].country

    def _find_country_at_corner(self, corner: Point) -> Market | None:
        """Return the country of all points that round to the corner; None near a border."""
        known = (market for market in Market if self._by_country[market])
        away = sorted((self.nearest(corner, market)[1], market) for market in known)
        sole = len(away) == 1 or (len(away) > 1 and away[1][0] - away[0][0] > CORNER_M)
        return away[0][1] if sole else None

    def is_near(self, market: Market, point: Point) -> bool:
        """Return whether a place of the country lies within 40 km of the point."""
        corner = market, round(point.lat, 1), round(point.lon, 1)
        if corner in self._corners_near:
            return True
        away_m = self.nearest(point, market)[1]
        if away_m + CORNER_M < FARTHEST_FROM_A_PLACE_M:
            self._corners_near.add(corner)
        return away_m <= FARTHEST_FROM_A_PLACE_M

    def _find_town(self, market: Market, city: str) -> Place:
        if not city:
            raise UnknownPostcode(
                "postcode", "the postcode is missing", "give a postcode or a town"
            )
        found = self._places_of(market, self._index(market).find(city))
        if len(found) == 1:
            return found[0]
        if found:
            raise _ambiguous(market, city, found)
        names = [place.town for place in self.towns(market, city)]
        names = list(dict.fromkeys(names))[:MOST_SUGGESTIONS]
        cure = f"did you mean {', '.join(names)}?" if names else "give the postcode"
        raise UnknownTown("city", f"town {city[:60]!r} is not known in {market}", cure, names)

    def _match_town(self, market: Market, city: str, towns: list[Postcode]) -> Postcode | None:
        """Return the row of a postcode that is meant by the town written beside it."""
        typed = fold(city)
        names = [fold(town.town) for town in towns]
        for town, name in zip(towns, names, strict=True):
            if typed.startswith(f"{name} ") or name.startswith(f"{typed} "):
                return town
        named = self._index(market).find(city)
        for town in towns:
            if (town.region, town.town) in named:
                return town
        best = process.extractOne(typed, names, scorer=fuzz.ratio, score_cutoff=MATCH_SCORE)
        return towns[best[2]] if best else None

    def _lines_of(self, market: Market, code: str) -> list[str]:
        """Return the lines of a postcode, none if it is unknown. Raises PostcodeAbroad."""
        if (market, code) in ABROAD:
            raise PostcodeAbroad(code, ABROAD[market, code])
        return self._lines.get((market, code), [])

    def _padded(self, market: Market, code: str) -> str:
        """Return the known postcode whose leading zeros a table dropped: 01067 for 1067."""
        form = MARKETS[market].postcode
        digits = re.sub("[^0-9]", "", code)
        padded = form.separate(digits.zfill(form.digits))
        return padded if digits and padded != code and (market, padded) in self._lines else ""

    def _nearest_number(self, market: Market, number: int) -> str:
        codes, numbers = self._numbers[market]
        middle = bisect_left(numbers, number)
        near = range(max(0, middle - 1), min(len(codes), middle + 1))
        return codes[min(near, key=lambda at: abs(numbers[at] - number))]

    def _unknown_postcode(self, market: Market, code: str, city: str) -> UnknownPostcode:
        pattern, form = FORMATS[market]
        if not pattern.fullmatch(code):
            problem = f"postcode {code[:12]!r} is not one of {market}, which has {form}"
        else:
            problem = f"postcode {code} is not known in {market}"
        padded = self._padded(market, code)
        codes = self._neighbours(market, padded or code, city)
        if padded:
            codes = list(dict.fromkeys([padded, *codes]))[:MOST_SUGGESTIONS]
        near = [f"{known} {self.towns_of(market, known)[0]}" for known in codes]
        cure = f"nearest known: {', '.join(near)}" if near else f"give {form}"
        if padded:
            cure = f"did you mean {near[0]}?"
        return UnknownPostcode("postcode", problem, cure, near)

    def _neighbours(self, market: Market, code: str, city: str) -> list[str]:
        digits = re.sub("[^0-9]", "", code)
        if not digits:
            return []
        codes, numbers = self._numbers[market]
        width = MARKETS[market].postcode.digits
        number = int(digits[:width].ljust(width, "0"))
        middle = bisect_left(numbers, number)
        near = range(max(0, middle - MOST_SUGGESTIONS), min(len(codes), middle + MOST_SUGGESTIONS))
        ranked = sorted(near, key=lambda index: (abs(numbers[index] - number), index))
        of_town = []
        if city:
            index = self._index(market)
            of_town = [line.split("\t", 2)[1] for line in index.lines_of(index.find(city))]
        of_town.sort(key=lambda known: abs(number_of(known) - number))
        return list(dict.fromkeys([*of_town, *(codes[i] for i in ranked)]))[:MOST_SUGGESTIONS]

    @cached_property
    def _numbers(self) -> dict[Market, tuple[list[str], list[int]]]:
        found: dict[Market, tuple[list[str], list[int]]] = {}
        for market in Market:
            codes = sorted(code for country, code in self._lines if country == market)
            found[market] = codes, [number_of(code) for code in codes]
        return found

    @cached_property
    def _by_country(self) -> dict[Market, list[str]]:
        found: dict[Market, list[str]] = {market: [] for market in Market}
        for (country, _), lines in self._lines.items():
            found[Market(country)] += lines
        return found

    def _index(self, market: Market) -> TownIndex:
        with self._building:  # threads that need the same index build it once
            if market not in self._indexes:
                others = (one.split("\t") for one in self._other_names if one.startswith(market))
                names = ((name, region, town) for _, name, region, town in others)
                self._indexes[market] = TownIndex(market, self._by_country[market], names)
        return self._indexes[market]

    def _places_of(self, market: Market, towns: tuple[Town, ...]) -> list[Place]:
        key = market, towns
        if key not in self._places:
            self._places[key] = distinct_places(self._index(market).lines_of(towns))
        return self._places[key]

    def _tree(self, country: Market | None) -> tuple[list[str], rtree.Index]:
        if country not in self._trees:
            unique: dict[str, str] = {}
            for market in [country] if country else Market:
                for line in self._by_country[market]:
                    unique.setdefault("\t".join(line.split("\t", 6)[4:6]), line)
            if not unique:
                raise UnknownTown("country", "no places are known there", "compile the gazetteer")
            places = np.array([ecef(Point(*map(float, p.split("\t")))) for p in unique])
            ids = np.arange(len(places))
            tree = rtree.Index(
                (ids, places, places),
                properties=rtree.Property(
                    dimension=3, leaf_capacity=16, index_capacity=16, near_minimum_overlap_factor=15
                ),
            )
            self._trees[country] = list(unique.values()), tree
        return self._trees[country]


def compose(rows: Iterable[Postcode], other_names: Iterable[OtherName] = ()) -> str:
    """Format the whole compiled table."""
    lines = (HEADER, *map(line_of, rows), OTHER_HEADER, *map("\t".join, other_names))
    return "\n".join(lines) + "\n"


def _ambiguous(market: Market, city: str, found: Sequence[Place]) -> AmbiguousTown:
    labels = [f"{place.label} ({place.region})" for place in found[:MOST_NAMESAKES]]
    more = f" and {len(found) - MOST_NAMESAKES} more" if len(found) > MOST_NAMESAKES else ""
    return AmbiguousTown(
        "city",
        f"{len(found)} places in {market} are called {city[:60]!r}: {', '.join(labels)}{more}",
        "give the postcode",
        labels,
    )


def _main_first(group: list[Postcode]) -> list[Postcode]:
    middle = Point(median(row.lat for row in group), median(row.lon for row in group))
    return sorted(group, key=lambda row: (distance_m(row.point, middle), row.town))
