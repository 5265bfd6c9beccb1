"""Friends who put together all they are shown, to find out where a customer lives.

Every one of them knows his own base and radius, the cell, the distance he was shown, and what
`GET /v1/me/offers` and `/v1/me/why` say became of him in each decision that considered him: the
rules, the cell and the words are the product's own. They draw every conclusion that is true where
friends are ranked by the door. A guess is the middle of all points of the cell that agree with what
they know; who knows nothing more than the cell guesses its middle.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import cos, exp, lgamma, log, log1p, pi, radians, sin, sqrt
from random import Random
from statistics import median
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from data.enums import Outcome
from data.records.ids import FriendId
from data.records.jobs import Booking
from data.records.people import Friend
from dispatch.rules.jobs import matching
from dispatch.rules.jobs.matching import Nearby
from dispatch.rules.jobs.outcomes import Told, told
from dispatch.rules.policy import POLICY, Policy, RankBy
from geo import cells
from geo.point import Point, distance_m, ecef
from tests.rules.facts import booking, friend, need

TOWN = Point(lat=47.3767, lon=8.5410)
TOWN_M = 6_000.0
GATHERED_M = 1_500.0
FRIENDS, FEW, MANY = 60, 4, 24
# A base moves once in 24 hours, and nobody takes the job for as many days.
CLOSER_M = (600.0, 250.0, 100.0, 50.0, 50.0)
GRID = 31
METRES = 111_195.0
WITHIN_M = (50.0, 100.0, 200.0, 300.0)
HARDLY_EVER = 1e-4

Array = NDArray[np.float64]
# For every point of the cell by how many metres it contradicts what is known: 0 where it agrees.
Doubt = NDArray[np.float64]
Words = Mapping[FriendId, Told]


@dataclass
class World:
    """A customer, the friends around her, and what some of them know together."""

    customer: Point
    order: Booking
    policy: Policy
    friends: list[Friend]
    band: list[Friend]
    grid: list[Point]
    _away_m: dict[Point, float] = field(default_factory=dict)
    _away: dict[Point, Array] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._there = matching.asked_from(self.order, self.policy)
        self._places = np.array([ecef(point) for point in self.grid])

    def away(self, one: Friend) -> Array:
        """Chords from a friend's base to every point of the grid; they order as geodesics do."""
        at = base(one)
        if at not in self._away:
            self._away[at] = np.linalg.norm(self._places - np.array(ecef(at)), axis=1)
        return self._away[at]

    def away_m(self, one: Friend) -> float:
        """How far a friend lives from where the policy counts."""
        at = base(one)
        if at not in self._away_m:
            self._away_m[at] = distance_m(self._there, at)
        return self._away_m[at]

    def told(self, gone: Collection[FriendId] = ()) -> Words:
        """What everybody in the frame of a fan-out is told of himself, by the rules."""
        nearby = [Nearby(one, self.away_m(one)) for one in self.friends]
        nearby.sort(key=lambda near: near.distance_m)
        wanted = need(excluded=frozenset(gone))
        ranking = matching.rank(nearby, [wanted], asked=(), want=self.policy.fan_out)
        frame = {near.friend.id for near in nearby[: self.policy.frame]}
        return {
            line.friend_id: told(line.outcome)
            for line in ranking.considered
            if line.friend_id in frame or line.outcome is Outcome.OFFERED
        }

    def guess(self, doubt: Doubt) -> Point:
        """The middle of the points that agree best."""
        best = [p for p, d in zip(self.grid, doubt, strict=True) if d <= doubt.min() + 1e-6]
        return Point(
            sum(point.lat for point in best) / len(best),
            sum(point.lon for point in best) / len(best),
        )

    def rearrange(self, band: list[Friend]) -> None:
        """The band changes its bases or radii."""
        self.band = band
        self.friends = [*band, *self.friends[len(band) :]]


def base(one: Friend) -> Point:
    """Where a friend starts from."""
    return Point(one.lat, one.lon)


def near(point: Point, within_m: float, chance: Random) -> Point:
    """A point at random in the circle."""
    away, turn = within_m * sqrt(chance.random()), 2 * pi * chance.random()
    return Point(
        point.lat + away * cos(turn) / METRES,
        point.lon + away * sin(turn) / METRES / cos(radians(point.lat)),
    )


def world(
    chance: Random,
    *,
    rank_by: RankBy = RankBy.DOOR,
    band: int = MANY,
    gathered: bool = False,
    doors: Random | None = None,
) -> World:
    """Friends all over a town; the band is scattered like them, or has moved around the cell.

    The customer lives anywhere in her cell; `doors` draws where, and nothing else.
    """
    centre = cells.centre(near(TOWN, TOWN_M / 2, chance))
    friends = [placed(n, near(TOWN, TOWN_M, chance), chance) for n in range(1, FRIENDS + 1)]
    if gathered:
        friends[:band] = [moved(one, near(centre, GATHERED_M, chance)) for one in friends[:band]]
    door = anywhere(centre, doors or chance)
    order = booking(lat=door.lat, lon=door.lon, cell_lat=centre.lat, cell_lon=centre.lon)
    policy = replace(POLICY, rank_by=rank_by)
    return World(door, order, policy, friends, friends[:band], cell_grid(centre))


def placed(number: int, at: Point, chance: Random) -> Friend:
    """A friend at this point who goes some kilometres."""
    radius_m = chance.randrange(1_000, 8_000)
    return friend(number, id=FriendId(UUID(int=number)), lat=at.lat, lon=at.lon, radius_m=radius_m)


def moved(one: Friend, to: Point) -> Friend:
    """The friend with his base there."""
    return replace(one, lat=to.lat, lon=to.lon)


def anywhere(centre: Point, chance: Random) -> Point:
    """A point at random in a cell."""
    up, right = edge(centre, 1, 0), edge(centre, 0, 1)
    return Point(
        centre.lat + up * chance.uniform(-1, 1), centre.lon + right * chance.uniform(-1, 1)
    )


def cell_grid(centre: Point) -> list[Point]:
    """Points all over a cell."""
    up, right = edge(centre, 1, 0), edge(centre, 0, 1)
    steps = [(n + 0.5) / GRID * 2 - 1 for n in range(GRID)]
    return [Point(centre.lat + a * up, centre.lon + b * right) for a in steps for b in steps]


def edge(centre: Point, north: int, east: int) -> float:
    """How many degrees it is from the centre to the edge of the cell, by walking there."""
    low, high = 0.0, 0.05
    for _ in range(40):
        middle = (low + high) / 2
        there = Point(centre.lat + north * middle, centre.lon + east * middle)
        low, high = (middle, high) if cells.centre(there) == centre else (low, middle)
    return low


def area_m2(centre: Point) -> float:
    """The area of a cell."""
    up, right = edge(centre, 1, 0), edge(centre, 0, 1)
    height_m = distance_m(Point(centre.lat - up, centre.lon), Point(centre.lat + up, centre.lon))
    width_m = distance_m(
        Point(centre.lat, centre.lon - right), Point(centre.lat, centre.lon + right)
    )
    return height_m * width_m


def by_cell(at: World, chance: Random) -> Doubt:
    """Whoever knows the cell alone."""
    return np.zeros(len(at.grid))


def by_rings(at: World, chance: Random) -> Doubt:
    """The four who were asked take the distances they were shown for distances to the door."""
    words = at.told()
    doubt = np.zeros(len(at.grid))
    for one in at.friends:
        if words.get(one.id) is Told.OFFERED:
            shown_m = matching.shown_distance_m(at.order, one, at.policy)
            doubt += (at.away(one) - shown_m + at.policy.shown_step_m / 2) ** 2
    return doubt


def by_words(at: World, chance: Random) -> Doubt:
    """The band is told once what became of each."""
    return concluded(at, at.told())


def by_declining(at: World, chance: Random) -> Doubt:
    """The band declines one after another, and sees in which order its members are asked."""
    return _in_turn(at, lambda doubt, gone: None)


def by_radii(at: World, chance: Random) -> Doubt:
    """Beside that, each sets before every decision the radius that would halve what is left."""

    def halve(doubt: Doubt, gone: Collection[FriendId]) -> None:
        left = doubt <= doubt.min() + 1e-6
        at.rearrange(
            [
                one
                if one.id in gone
                else replace(one, radius_m=max(500, int(np.median(at.away(one)[left]))))
                for one in at.band
            ]
        )

    return _in_turn(at, halve)


def _in_turn(at: World, prepare: Callable[[Doubt, Collection[FriendId]], None]) -> Doubt:
    doubt, gone = np.zeros(len(at.grid)), set[FriendId]()
    for _ in range(2 * MANY):
        prepare(doubt, gone)
        words = at.told(gone)
        doubt = doubt + concluded(at, words)
        asked = [one.id for one in at.band if words.get(one.id) is Told.OFFERED]
        if not asked:
            break
        gone.add(asked[0])
    return doubt


def by_days(at: World, chance: Random) -> Doubt:
    """Nobody takes the job; day after day those not asked yet move around the band's guess."""
    words, gone = at.told(), set[FriendId]()
    doubt = concluded(at, words)
    for within_m in CLOSER_M:
        gone |= {friend_id for friend_id, what in words.items() if what is Told.OFFERED}
        guess = at.guess(doubt)
        at.rearrange(
            [
                one if one.id in gone else moved(one, near(guess, within_m, chance))
                for one in at.band
            ]
        )
        words = at.told(gone)
        doubt = doubt + concluded(at, words)
    return doubt


def concluded(at: World, words: Words) -> Doubt:
    """All that the band may conclude from one decision, were it ranked by the door."""
    asked = [one for one in at.band if words.get(one.id) is Told.OFFERED]
    far = [one for one in at.band if words.get(one.id) is Told.NOT_NEAR_ENOUGH]
    framed = [one for one in at.band if words.get(one.id) not in (None, Told.OFFERED)]
    unseen = [one for one in at.band if one.id not in words]
    doubt = np.zeros(len(at.grid))
    for one in asked:  # she lives within his radius
        doubt += np.maximum(0, at.away(one) - one.radius_m)
    if asked:  # whoever was passed over lives farther away than they, or than he goes
        farthest = np.max([at.away(one) for one in asked], axis=0)
        for one in far:
            away = at.away(one)
            doubt += np.maximum(0, np.minimum(one.radius_m - away, farthest - away))
    if framed and unseen:  # the frame holds the nearest of any kind
        outermost = np.max([at.away(one) for one in framed], axis=0)
        doubt += np.maximum(0, outermost - np.min([at.away(one) for one in unseen], axis=0))
    return doubt


@dataclass(frozen=True, kw_only=True)
class Attack:
    """Who puts together what; `gathered` bands have moved around the cell before."""

    by: Callable[[World, Random], Doubt]
    band: int = MANY
    gathered: bool = False


ATTACKS: dict[str, Attack] = {
    "nobody: the middle of the cell is guessed": Attack(by=by_cell),
    "the four who were asked, by the distances shown": Attack(by=by_rings),
    "4 of 60 in the town, by what each is told": Attack(by=by_words, band=FEW),
    "4 moved around the cell once, and decline in turn": Attack(
        by=by_declining, band=FEW, gathered=True
    ),
    "24 of 60 in the town, by what each is told": Attack(by=by_words),
    "24 of 60, and decline in turn": Attack(by=by_declining),
    "24 of 60, and change their radii between": Attack(by=by_radii),
    "24 moved around the cell once, by what each is told": Attack(by=by_words, gathered=True),
    "24 moved once, and decline in turn": Attack(by=by_declining, gathered=True),
    "24 moved once a day, five days, nobody takes it": Attack(by=by_days, gathered=True),
}


@dataclass(frozen=True)
class Result:
    """How near an attack comes, over all worlds."""

    name: str
    errors_m: tuple[float, ...]

    @property
    def median_m(self) -> float:
        return median(self.errors_m)

    @property
    def nearest_tenth_m(self) -> float:
        return sorted(self.errors_m)[len(self.errors_m) // 10]

    @property
    def luck(self) -> float:
        """How probable it is to come so near by luck, at the most improbable of WITHIN_M.

        Customers live anywhere in their cell. So a guess that knows no more than the cell, whatever
        it is, lies within r of a door with the probability πr² / area, and never a greater one.
        """
        smallest_m2 = 0.99 * area_m2(cells.centre(TOWN))
        return min(
            at_least(
                sum(error <= r for error in self.errors_m),
                len(self.errors_m),
                pi * r * r / smallest_m2,
            )
            for r in WITHIN_M
        )

    @property
    def is_luck(self) -> bool:
        """Whether this is not better than uniform within the cell."""
        return self.luck >= HARDLY_EVER


def at_least(hits: int, tries: int, each: float) -> float:
    """The probability of as many hits or more among so many tries."""

    def exactly(k: int) -> float:
        ways = lgamma(tries + 1) - lgamma(k + 1) - lgamma(tries - k + 1)
        return exp(ways + k * log(each) + (tries - k) * log1p(-each))

    return sum(exactly(k) for k in range(hits, tries + 1))


def attacked(name: str, rank_by: RankBy, worlds: int, seed: int) -> Result:
    """One attack on so many customers."""
    return Result(name, tuple(_errors(ATTACKS[name], rank_by, worlds, seed)))


def _errors(attack: Attack, rank_by: RankBy, worlds: int, seed: int) -> Iterator[float]:
    for number in range(worlds):
        chance = Random(f"{seed}:{number}")
        at = world(chance, rank_by=rank_by, band=attack.band, gathered=attack.gathered)
        yield distance_m(at.customer, at.guess(attack.by(at, chance)))


def price_of_the_cell(worlds: int, seed: int) -> tuple[float, float]:
    """What it costs to rank by the cell.

    The share of bookings of which other friends are asked, and how many metres farther from her
    the four live on average.
    """
    others, farther_m = 0, 0.0
    for number in range(worlds):
        door = world(Random(f"{seed}:{number}"))
        cell = world(Random(f"{seed}:{number}"), rank_by=RankBy.CELL)
        exact, coarse = _asked(door), _asked(cell)
        others += {one.id for one in exact} != {one.id for one in coarse}
        farther_m += _mean_m(door.customer, coarse) - _mean_m(door.customer, exact)
    return others / worlds, farther_m / worlds


def _asked(at: World) -> list[Friend]:
    words = at.told()
    return [one for one in at.friends if words.get(one.id) is Told.OFFERED]


def _mean_m(customer: Point, friends: Sequence[Friend]) -> float:
    return sum(distance_m(customer, base(one)) for one in friends) / len(friends)
