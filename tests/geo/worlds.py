"""Invented friends at difficult places, and a brute-force search for the nearest."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from uuid import UUID

import shapely
from pyproj import Geod

from data.enums import AreaKind, Channel, FriendState, Tier
from data.markets import Language, Market
from data.records.ids import FriendId
from data.records.people import Area, Friend, HeldCertificate
from geo.index.friend_index import FriendIndex
from geo.point import Point, geodesic_m

EARTH = Geod(ellps="WGS84")
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
ZURICH = Point(47.3769, 8.5417)
BERLIN = Point(52.52, 13.405)
CENTRES = {
    "zurich": ZURICH,
    "berlin": BERLIN,
    "antimeridian": Point(-16.8, 180.0),
    "north pole": Point(90.0, 0.0),
    "south pole": Point(-89.999, 77.0),
    "equator": Point(0.0, 0.0),
}

Qualifies = Callable[[Friend, float], bool]


def friend_id(number: int) -> FriendId:
    return FriendId(UUID(int=number))


def friend(
    number: int,
    at: Point = ZURICH,
    *,
    radius_m: int = 10_000,
    certificates: Iterable[str] = (),
    active: bool = True,
    busy: bool = False,
    language: Language = Language.DE,
    areas: Iterable[Area] = (),
) -> Friend:
    return Friend(
        id=friend_id(number),
        ref=str(number),
        state=FriendState.ACTIVE if active else FriendState.PAUSED,
        tier=Tier.FRIEND,
        market=Market.CH,
        languages=frozenset({language}),
        lat=at.lat,
        lon=at.lon,
        radius_m=radius_m,
        capacity=2,
        open_jobs=2 if busy else 0,
        certificates=tuple(
            HeldCertificate(code=code, valid_from=LONG_AGO, valid_until=None)
            for code in certificates
        ),
        channels=frozenset({Channel.MAIL}),
        areas=tuple(areas),
    )


def circle(at: Point, radius_m: int) -> Area:
    return Area(kind=AreaKind.CIRCLE, lat=at.lat, lon=at.lon, radius_m=radius_m)


def polygon(*corners: Point) -> Area:
    return Area(kind=AreaKind.POLYGON, ring=tuple((one.lon, one.lat) for one in corners))


def lies_in(area: Area, point: Point) -> bool:
    """Whether a point lies in an area, by pyproj and shapely."""
    if area.ring:
        return bool(shapely.Polygon(area.ring).contains(shapely.Point(point.lon, point.lat)))
    return geodesic_m(point, Point(area.lat, area.lon)) <= area.radius_m


def reaches(person: Friend, point: Point, away_m: float) -> bool:
    return away_m <= person.radius_m or any(lies_in(area, point) for area in person.areas)


def available(person: Friend) -> bool:
    return person.state is FriendState.ACTIVE and person.open_jobs < person.capacity


def accept_all(_person: Friend, _away_m: float) -> bool:
    return True


def speaks(language: Language) -> Qualifies:
    return lambda person, _away_m: language in person.languages


def traits(person: Friend) -> int:
    return sum(1 << bit for bit, language in enumerate(Language) if language in person.languages)


def index_of(friends: Iterable[Friend]) -> FriendIndex:
    index = FriendIndex(available, traits)
    index.load(friends)
    return index


def east_of(point: Point, metres: float, *, azimuth: float = 90.0) -> Point:
    lon, lat, _ = EARTH.fwd(point.lon, point.lat, azimuth, metres)
    return Point(lat, lon)


def geodesic(a: Point, person: Friend) -> float:
    return float(EARTH.inv(a.lon, a.lat, person.lon, person.lat)[2])


def brute_force(
    friends: Iterable[Friend],
    point: Point,
    *,
    certificates: frozenset[str] = frozenset(),
    want: int = 4,
    qualifies: Qualifies = accept_all,
) -> list[tuple[float, FriendId]]:
    """Return the result of `nearest` by checking all friends."""
    here = []
    for person in friends:
        if not available(person) or not certificates <= {c.code for c in person.certificates}:
            continue
        away_m = geodesic(point, person)
        if reaches(person, point, away_m) and qualifies(person, away_m):
            here.append((away_m, person.id))
    return sorted(here)[:want]


@dataclass(frozen=True, kw_only=True)
class World:
    """The distribution of friends: places, shared addresses, radii, certificates and states."""

    centres: tuple[str, ...] = tuple(CENTRES)
    spread_m: float = 20_000.0
    addresses: int | None = None
    radii_m: tuple[int, ...] = (2_000, 10_000, 30_000)
    shares: tuple[tuple[str, float], ...] = (("a", 0.4), ("b", 0.05), ("c", 0.005))
    busy: float = 0.2
    active: float = 0.8
    areas: float = 0.0

    def point(self, chance: Random) -> Point:
        where = Random(chance.randrange(self.addresses)) if self.addresses else chance
        centre = CENTRES[where.choice(self.centres)]
        return east_of(centre, abs(where.gauss(0, self.spread_m)), azimuth=where.uniform(0, 360))

    def friend(self, number: int, chance: Random) -> Friend:
        return friend(
            number,
            self.point(chance),
            radius_m=chance.choice(self.radii_m),
            certificates=[code for code, share in self.shares if chance.random() < share],
            active=chance.random() < self.active,
            busy=chance.random() < self.busy,
            language=chance.choice(list(Language)),
            areas=self.some_areas(chance) if self.areas else (),
        )

    def some_areas(self, chance: Random) -> list[Area]:
        found = []
        while chance.random() < self.areas:
            at, far_m = self.point(chance), chance.uniform(500, 20_000)
            turns = sorted(chance.uniform(0, 360) for _ in range(chance.randrange(3, 9)))
            corners = [east_of(at, far_m * chance.uniform(0.2, 1), azimuth=a) for a in turns]
            found.append(chance.choice((circle(at, int(far_m)), polygon(*corners))))
        return found


WORLDS = {
    "plain": World(),
    "areas": World(centres=("zurich",), spread_m=40_000, areas=0.4, radii_m=(500, 3_000)),
    "a town of areas": World(centres=("zurich",), spread_m=3_000, areas=0.6, radii_m=(500,)),
    "one town": World(centres=("zurich",), spread_m=3_000),
    "forty addresses": World(addresses=40),
    "one house": World(addresses=1),
    "everybody busy but a tenth": World(busy=0.9),
    "nobody active": World(active=0.0),
    "tiny radii": World(spread_m=300, radii_m=(0, 1, 10, 50)),
    "huge radii": World(spread_m=80_000, radii_m=(99_000, 100_000, 400_000)),
    "one reaches far": World(radii_m=(500,) * 200 + (100_000,)),
    "poles": World(centres=("north pole", "south pole"), spread_m=5_000),
    "antimeridian": World(centres=("antimeridian",), spread_m=8_000),
    "across half the earth": World(spread_m=9_000_000, radii_m=(30_000, 20_000_000)),
}
