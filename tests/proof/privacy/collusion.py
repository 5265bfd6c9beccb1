"""Friends who put together all they are shown, to find out where a customer lives.

Every one of them knows his own base, the cell, the distance he was shown, and what became of him in
each decision (asked or not, too far or not): `GET /v1/me/offers` and `/v1/me/why` say so. The rules
and the cell are the product's own. A guess is the middle of all points of the cell that agree with
what they know; who knows nothing more than the cell guesses its middle.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import cos, pi, radians, sin, sqrt
from random import Random
from statistics import median
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from data.records import Booking, Friend, FriendId, Outcome
from dispatch.rules import matching
from dispatch.rules.matching import Nearby
from dispatch.rules.policy import POLICY
from geo import cells
from geo.point import Point, distance_m, ecef
from tests.rules.facts import booking, friend, need

TOWN = Point(lat=47.3767, lon=8.5410)
TOWN_M = 6_000.0
GATHERED_M = 1_500.0
FRIENDS, COLLUDING = 60, 24
CLOSER_M = (600.0, 250.0, 100.0)
GRID = 31
METRES = 111_195.0

Array = NDArray[np.float64]
# For every point of the cell by how many metres it contradicts what is known: 0 where it agrees.
Doubt = NDArray[np.float64]


@dataclass
class World:
    """A customer, the friends around her, and what some of them know together."""

    customer: Point
    order: Booking
    friends: list[Friend]
    band: list[Friend]
    grid: list[Point]
    places: Array

    def away(self, one: Friend) -> Array:
        """Chords from a friend's base to every point of the grid; they order as geodesics do."""
        base = np.array(ecef(Point(one.lat, one.lon)))
        return np.asarray(np.linalg.norm(self.places - base, axis=1))

    def outcomes(self, excluded: frozenset[FriendId] = frozenset()) -> dict[FriendId, Outcome]:
        """What becomes of everybody in a fan-out, by the rules."""
        nearby = [
            Nearby(one, distance_m(self.customer, Point(one.lat, one.lon))) for one in self.friends
        ]
        ranking = matching.rank(nearby, [need(excluded=excluded)], asked=(), want=POLICY.fan_out)
        return {line.friend_id: line.outcome for line in ranking.considered}

    def guess(self, doubt: Doubt) -> Point:
        """The middle of the points that agree best."""
        best = [p for p, d in zip(self.grid, doubt, strict=True) if d <= doubt.min() + 1e-6]
        return Point(
            sum(point.lat for point in best) / len(best),
            sum(point.lon for point in best) / len(best),
        )


def near(point: Point, within_m: float, chance: Random) -> Point:
    """A point at random in the circle."""
    away, turn = within_m * sqrt(chance.random()), 2 * pi * chance.random()
    return Point(
        point.lat + away * cos(turn) / METRES,
        point.lon + away * sin(turn) / METRES / cos(radians(point.lat)),
    )


def world(chance: Random, *, gathered: bool) -> World:
    """Friends all over a town; the band is scattered like them, or has moved around the cell."""
    customer = near(TOWN, TOWN_M / 2, chance)
    centre = cells.centre(customer)
    order = booking(lat=customer.lat, lon=customer.lon, cell_lat=centre.lat, cell_lon=centre.lon)
    friends = [placed(n, near(TOWN, TOWN_M, chance), chance) for n in range(1, FRIENDS + 1)]
    band = friends[:COLLUDING]
    if gathered:
        band = [moved(one, near(centre, GATHERED_M, chance)) for one in band]
        friends[:COLLUDING] = band
    grid = cell_grid(customer)
    return World(customer, order, friends, band, grid, np.array([ecef(point) for point in grid]))


def placed(number: int, base: Point, chance: Random) -> Friend:
    radius_m = chance.randrange(1_000, 8_000)
    return friend(
        number, id=FriendId(UUID(int=number)), lat=base.lat, lon=base.lon, radius_m=radius_m
    )


def moved(one: Friend, base: Point) -> Friend:
    return replace(one, lat=base.lat, lon=base.lon)


def cell_grid(customer: Point) -> list[Point]:
    """Points all over the customer's cell, found by walking to where the cell ends."""
    centre = cells.centre(customer)
    up, right = edge(centre, 1, 0), edge(centre, 0, 1)
    steps = [(n + 0.5) / GRID * 2 - 1 for n in range(GRID)]
    return [Point(centre.lat + a * up, centre.lon + b * right) for a in steps for b in steps]


def edge(centre: Point, north: int, east: int) -> float:
    """How many degrees it is from the centre to the edge of the cell."""
    low, high = 0.0, 0.05
    for _ in range(40):
        middle = (low + high) / 2
        there = Point(centre.lat + north * middle, centre.lon + east * middle)
        low, high = (middle, high) if cells.centre(there) == centre else (low, middle)
    return low


def by_cell(at: World, chance: Random) -> Doubt:
    """Whoever knows the cell alone."""
    return np.zeros(len(at.grid))


def by_rings(at: World, chance: Random) -> Doubt:
    """The four who were asked take the distances they were shown for distances to the door."""
    outcomes = at.outcomes()
    doubt = np.zeros(len(at.grid))
    for one in at.friends:
        if outcomes[one.id] is Outcome.OFFERED:
            shown_m = matching.shown_distance_m(at.order, one, POLICY) - POLICY.shown_step_m / 2
            doubt += (at.away(one) - shown_m) ** 2
    return doubt


def by_selection(at: World, chance: Random) -> Doubt:
    """Who of the band was asked lives nearer to her than whoever of it was not."""
    return unlike(at, at.outcomes())


def by_radius(at: World, chance: Random) -> Doubt:
    """Beside that, everybody of the band knows whether she lives within his own radius."""
    outcomes = at.outcomes()
    doubt = unlike(at, outcomes)
    for one in at.band:
        beyond_m = at.away(one) - one.radius_m
        too_far = outcomes[one.id] is Outcome.OUT_OF_RADIUS
        doubt += np.maximum(0, -beyond_m if too_far else beyond_m)
    return doubt


def by_declining(at: World, chance: Random) -> Doubt:
    """The band declines one after another, and sees in which order its members are asked."""
    doubt, gone = by_radius(at, chance), frozenset[FriendId]()
    while True:
        outcomes = at.outcomes(gone)
        doubt += unlike(at, outcomes)
        asked = [one.id for one in at.band if outcomes[one.id] is Outcome.OFFERED]
        if not asked:
            return doubt
        gone |= {asked[0]}


def by_moving(at: World, chance: Random) -> Doubt:
    """One of the band wins and hands back, the others move around their guess and are asked again.

    Whoever lost is asked again; whoever held it is not.
    """
    doubt, gone = by_selection(at, chance), frozenset[FriendId]()
    for within_m in CLOSER_M:
        guess = at.guess(doubt)
        at.band = [moved(one, near(guess, within_m, chance)) for one in at.band]
        at.friends = [*at.band, *at.friends[len(at.band) :]]
        outcomes = at.outcomes(gone)
        doubt += unlike(at, outcomes)
        gone |= set([i for i, what in outcomes.items() if what is Outcome.OFFERED][:1])
    return doubt


def unlike(at: World, outcomes: Mapping[FriendId, Outcome]) -> Doubt:
    """How much farther somebody who was asked lives from a point than somebody who was not."""
    asked = [one for one in at.band if outcomes[one.id] is Outcome.OFFERED]
    passed = [one for one in at.band if outcomes[one.id] is Outcome.RANKED_BELOW_K]
    if not asked or not passed:
        return np.zeros(len(at.grid))
    farthest = np.max([at.away(one) for one in asked], axis=0)
    nearest = np.min([at.away(one) for one in passed], axis=0)
    return np.asarray(np.maximum(0, farthest - nearest))


ATTACKS: dict[str, tuple[bool, Callable[[World, Random], Doubt]]] = {
    "nobody: the middle of the cell is guessed": (False, by_cell),
    "the four who were asked, by the distances shown": (False, by_rings),
    "24 of 60 in the town, by who was asked": (False, by_selection),
    "24 of 60, and by their own radii": (False, by_radius),
    "24 of 60, and by declining in turn": (False, by_declining),
    "24 moved around the cell, by who was asked": (True, by_selection),
    "24 moved, and by declining in turn": (True, by_declining),
    "24 moved around their guess three times": (True, by_moving),
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


def attacked(worlds: int, seed: int) -> list[Result]:
    """Every attack on as many customers."""
    return [
        Result(name, tuple(_errors(worlds, seed, gathered=gathered, attack=attack)))
        for name, (gathered, attack) in ATTACKS.items()
    ]


def _errors(
    worlds: int, seed: int, *, gathered: bool, attack: Callable[[World, Random], Doubt]
) -> Iterator[float]:
    for number in range(worlds):
        chance = Random(f"{seed}:{number}")
        at = world(chance, gathered=gathered)
        yield distance_m(at.customer, at.guess(attack(at, chance)))


def price_of_the_cell(worlds: int, seed: int) -> tuple[float, float]:
    """What it would cost to rank by the distance to the cell's centre instead.

    The share of bookings of which other friends were asked, and how many metres farther from her
    the four would live on average.
    """
    others, farther_m = 0, 0.0
    for number in range(worlds):
        at = world(Random(f"{seed}:{number}"), gathered=False)
        centre = Point(at.order.cell_lat, at.order.cell_lon)
        exact, coarse = (
            sorted(at.friends, key=lambda one: distance_m(point, Point(one.lat, one.lon)))[:4]
            for point in (at.customer, centre)
        )
        others += {one.id for one in exact} != {one.id for one in coarse}
        farther_m += _mean_m(at.customer, coarse) - _mean_m(at.customer, exact)
    return others / worlds, farther_m / worlds


def _mean_m(customer: Point, friends: Sequence[Friend]) -> float:
    return sum(distance_m(customer, Point(one.lat, one.lon)) for one in friends) / len(friends)
