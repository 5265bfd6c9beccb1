"""Designs to find the nearest four, one class each, all with the same filters and answers.

A design that cannot change in place has no `move`. Each raises `NotInstalled` when it lacks
something.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import numpy as np

from benchmarks.world import (
    COUNTRIES,
    LANGUAGES,
    RADIUS_M,
    SHARES,
    WANT,
    Ints,
    Population,
    Query,
    ecef,
    geodesic_m,
)

REACH_M = float(RADIUS_M[1])
NOW = datetime(2026, 6, 1, tzinfo=UTC)


class NotInstalled(RuntimeError):
    """Something this design needs is not installed."""


class Tekkie:
    """tekkie: FriendIndex.nearest with the rules of the dispatcher"""

    def __init__(self, friends: Population) -> None:
        from data.enums import FriendState, Tier
        from data.markets import Language, Market
        from data.records.ids import FriendId
        from data.records.people import Friend, HeldCertificate
        from dispatch.rules.jobs import matching
        from geo.index.friend_index import FriendIndex
        from geo.index.friend_index import Query as Question
        from geo.point import Point

        self._matching, self._point, self._question = matching, Point, Question
        self._markets = [Market(country) for country in COUNTRIES]
        self._languages = [Language(language) for language in LANGUAGES]
        self._codes = [f"certificate-{share:g}" for share in SHARES]
        held = [
            HeldCertificate(code=code, valid_from=NOW, valid_until=None) for code in self._codes
        ]
        holdings: dict[int, Any] = {}
        languages: dict[int, Any] = {}
        for mask in np.unique(friends.held).tolist():
            holdings[mask] = tuple(h for i, h in enumerate(held) if mask >> i & 1)
        for mask in np.unique(friends.spoken).tolist():
            languages[mask] = frozenset(t for i, t in enumerate(self._languages) if mask >> i & 1)
        self._friends = [
            Friend(
                id=FriendId(UUID(int=row + 1 << 64)),
                ref=str(row),
                state=FriendState.ACTIVE if active else FriendState.PAUSED,
                tier=Tier.FRIEND,
                market=self._markets[country],
                languages=languages[spoken],
                lat=lat,
                lon=lon,
                radius_m=radius_m,
                capacity=2,
                open_jobs=0 if free else 2,
                certificates=holdings[held_],
            )
            for row, (lat, lon, country, held_, spoken, active, free, radius_m) in enumerate(
                zip(*(getattr(friends, n).tolist() for n in Population.__slots__), strict=True)
            )
        ]
        self._index = FriendIndex(matching.is_available, matching.traits)

    def build(self) -> None:
        self._index.load(self._friends)

    def question(self, query: Query) -> Callable[[], Any]:
        """`nearest`, called as the dispatcher does."""
        nearest, arguments = self._index.nearest, self._arguments(query)
        point = arguments.pop("point")
        return lambda: nearest(point, **arguments)

    def batch(self, queries: Sequence[Query]) -> Callable[[], Any]:
        """The same queries in one call."""
        asked = [self._question(**self._arguments(query)) for query in queries]
        return lambda: self._index.nearest_many(asked)

    def _arguments(self, query: Query) -> dict[str, Any]:
        reason = self._matching.reason
        need = self._matching.Need(
            certificates=frozenset({self._codes[query.certificate]}),
            tier=self._friends[0].tier,
            market=self._markets[query.country],
            language=self._languages[query.language],
            community=None,
            customer_key=None,
            excluded=frozenset(self._friends[row].id for row in query.excluded),
            live_offers_max=4,
            now=NOW,
            minute=720,
            today=NOW.date(),
            min_age=18,
        )
        return {
            "point": self._point(query.lat, query.lon),
            "certificates": need.certificates,
            "want": WANT,
            "qualifies": lambda friend, away_m: reason(friend, away_m, need) is None,
            "required": need.traits,
        }

    def rows(self, answer: Any) -> list[int]:
        return [(candidate.friend_id.int >> 64) - 1 for candidate in answer]

    def move(self, row: int, lat: float, lon: float) -> Callable[[], None]:
        return self._put(replace(self._index.get(self._friends[row].id), lat=lat, lon=lon))

    def toggle(self, row: int, free: bool) -> Callable[[], None]:
        now = self._index.get(self._friends[row].id)
        return self._put(replace(now, open_jobs=0 if free else now.capacity))

    def _put(self, friend: Any) -> Callable[[], None]:
        return lambda: self._index.put(friend)


class _Columns:
    """Shared by the plain Python designs: the filters over columns."""

    def __init__(self, friends: Population) -> None:
        self.friends = friends
        self._open = friends.open.tolist()
        self._held, self._spoken = friends.held.tolist(), friends.spoken.tolist()
        self._country, self._radius_m = friends.country.tolist(), friends.radius_m.tolist()
        self._place = ecef(friends.lat, friends.lon)
        self._x, self._y, self._z = (axis.tolist() for axis in self._place.T)

    def rows(self, answer: list[tuple[float, int]]) -> list[int]:
        return [row for _, row in answer]

    def fits(self, row: int, query: Query) -> bool:
        return (
            self._open[row]
            and self._held[row] >> query.certificate & 1 == 1
            and self._spoken[row] >> query.language & 1 == 1
            and self._country[row] == query.country
            and row not in query.excluded
        )

    def away_m(self, row: int, here: tuple[float, float, float]) -> float:
        return geodesic_m(math.dist(here, (self._x[row], self._y[row], self._z[row])))

    def best(
        self, rows: Any, query: Query, here: tuple[float, float, float]
    ) -> list[tuple[float, int]]:
        found = []
        for row in rows:
            if self.fits(row, query):
                away_m = self.away_m(row, here)
                if away_m <= self._radius_m[row]:
                    found.append((away_m, row))
        return sorted(found)[:WANT]

    def holders(self, certificate: int) -> Ints:
        return np.flatnonzero(self.friends.open & (self.friends.held >> certificate & 1 == 1))


class PlainRtree(_Columns):
    """rtree, one tree of everybody with its defaults, k = 16, 64, …, filters afterwards"""

    def build(self) -> None:
        from rtree import index

        rows = np.arange(len(self.friends))
        properties = index.Property(dimension=3)
        self._tree = index.Index((rows, self._place, self._place), properties=properties)

    def question(self, query: Query) -> Callable[[], Any]:
        here = tuple(ecef(query.lat, query.lon).tolist())

        def ask() -> list[tuple[float, int]]:
            look = 16
            while True:
                rows = list(self._tree.nearest(here, look))
                found = self.best(rows, query, here)
                if len(found) == WANT or len(rows) < look or self.away_m(rows[-1], here) > REACH_M:
                    return found
                look *= 4

        return ask

    def move(self, row: int, lat: float, lon: float) -> Callable[[], None]:
        there = tuple(ecef(lat, lon).tolist())

        def change() -> None:
            self._tree.delete(row, (self._x[row], self._y[row], self._z[row]))
            self._x[row], self._y[row], self._z[row] = there
            self._tree.insert(row, there)

        return change

    def toggle(self, row: int, free: bool) -> Callable[[], None]:
        def change() -> None:
            self._open[row] = free and bool(self.friends.active[row])

        return change


class ShapelyStrtree(_Columns):
    """shapely STRtree per certificate of the available, growing box (static: a move rebuilds)"""

    def build(self) -> None:
        from shapely import STRtree, points

        self._members = [self.holders(c) for c in range(len(SHARES))]
        lon, lat = self.friends.lon, self.friends.lat
        self._trees = [STRtree(points(lon[rows], lat[rows])) for rows in self._members]

    def question(self, query: Query) -> Callable[[], Any]:
        from shapely import box

        here = tuple(ecef(query.lat, query.lon).tolist())
        tree, members = self._trees[query.certificate], self._members[query.certificate]
        narrow = math.cos(math.radians(abs(query.lat) + 0.5))

        def ask() -> list[tuple[float, int]]:
            reach_m = 1_000.0
            while True:
                up = reach_m / 110_500
                side = up / narrow
                area = box(query.lon - side, query.lat - up, query.lon + side, query.lat + up)
                found = self.best(members[tree.query(area)].tolist(), query, here)
                if reach_m >= REACH_M or (len(found) == WANT and found[-1][0] <= reach_m):
                    return found
                reach_m = min(reach_m * 3, REACH_M)

        return ask


class ScipyCkdtree(_Columns):
    """scipy cKDTree per certificate of the available, growing k (static: a move rebuilds)"""

    def build(self) -> None:
        try:
            from scipy.spatial import cKDTree
        except ModuleNotFoundError as error:
            raise NotInstalled("scipy is not installed") from error
        self._members = [self.holders(c) for c in range(len(SHARES))]
        self._trees = [cKDTree(self._place[rows]) for rows in self._members]

    def question(self, query: Query) -> Callable[[], Any]:
        here = tuple(ecef(query.lat, query.lon).tolist())
        tree, members = self._trees[query.certificate], self._members[query.certificate]

        def ask() -> list[tuple[float, int]]:
            look = 8
            while True:
                near, place = tree.query(here, k=look, distance_upper_bound=REACH_M)
                rows = members[place[np.isfinite(near)]].tolist()
                found = self.best(rows, query, here)
                if len(found) == WANT or len(rows) < look:
                    return found
                look *= 4

        return ask


class SqliteRtree(_Columns):
    """SQLite R*Tree joined with the attributes, growing box in earth-centred metres"""

    def build(self) -> None:
        self._db = sqlite3.connect(":memory:", isolation_level=None)
        try:
            self._db.execute("create virtual table place using rtree(row, x0,x1,y0,y1,z0,z1)")
        except sqlite3.OperationalError as error:
            raise NotInstalled(f"this SQLite has no R*Tree: {error}") from error
        self._db.execute(
            "create table friend(row integer primary key, open, held, spoken, country, radius_m,"
            " x real, y real, z real)"
        )
        places = self._place.tolist()
        self._db.execute("begin")
        self._db.executemany(
            "insert into place values (?,?,?,?,?,?,?)",
            ((row, x, x, y, y, z, z) for row, (x, y, z) in enumerate(places)),
        )
        columns = (self._open, self._held, self._spoken, self._country, self._radius_m)
        self._db.executemany(
            "insert into friend values (?,?,?,?,?,?,?,?,?)",
            ((row, *facts, *places[row]) for row, facts in enumerate(zip(*columns, strict=True))),
        )
        self._db.execute("commit")

    def question(self, query: Query) -> Callable[[], Any]:
        here = tuple(ecef(query.lat, query.lon).tolist())
        text = (
            "select f.row, f.radius_m, f.x, f.y, f.z from place p join friend f on f.row = p.row"
            " where p.x1 >= ? and p.x0 <= ? and p.y1 >= ? and p.y0 <= ? and p.z1 >= ? and p.z0 <= ?"
            f" and f.open and f.held & {1 << query.certificate}"
            f" and f.spoken & {1 << query.language} and f.country = {query.country}"
        )

        def ask() -> list[tuple[float, int]]:
            reach_m = 1_000.0
            while True:
                bounds = [edge for c in here for edge in (c - reach_m, c + reach_m)]
                found = []
                for row, radius_m, *there in self._db.execute(text, bounds):
                    away_m = geodesic_m(math.dist(here, there))
                    if away_m <= radius_m and row not in query.excluded:
                        found.append((away_m, row))
                found = sorted(found)[:WANT]
                if reach_m >= REACH_M or (len(found) == WANT and found[-1][0] <= reach_m):
                    return found
                reach_m = min(reach_m * 3, REACH_M)

        return ask

    def move(self, row: int, lat: float, lon: float) -> Callable[[], None]:
        x, y, z = ecef(lat, lon).tolist()

        def change() -> None:
            spot = (x, x, y, y, z, z, row)
            self._db.execute("update place set x0=?,x1=?,y0=?,y1=?,z0=?,z1=? where row=?", spot)
            self._db.execute("update friend set x=?, y=?, z=? where row=?", (x, y, z, row))

        return change

    def toggle(self, row: int, free: bool) -> Callable[[], None]:
        open_ = free and bool(self.friends.active[row])
        return lambda: self._db.execute("update friend set open=? where row=?", (open_, row))
