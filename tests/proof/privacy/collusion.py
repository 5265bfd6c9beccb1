"""Friends who collude: they combine all they are shown to locate a customer.

Each knows their own base and radius, the cell, the distance shown, and their outcome in each
decision that considered them, as `GET /v1/me/offers` and `/v1/me/why` give it; rules, cells and
outcomes are the product's own. They draw every conclusion that holds where friends are ranked by
the address. A guess is the mean of all points of the cell that agree with what they know; without
further knowledge it is the centre of the cell.
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
from dispatch.rules.jobs.outcomes import Nearness, Suitability, friend_outcome
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
SIGNIFICANCE = 1e-4

Array = NDArray[np.float64]
# For each point of the cell, by how many metres it contradicts what is known; 0 where it agrees.
Residuals = NDArray[np.float64]
Outcomes = Mapping[FriendId, Outcome | Nearness | Suitability]


@dataclass
class World:
    """A customer, the friends nearby, and the colluders among them."""

    customer: Point
    order: Booking
    policy: Policy
    friends: list[Friend]
    colluders: list[Friend]
    grid: list[Point]
    _away_m: dict[Point, float] = field(default_factory=dict)
    _away: dict[Point, Array] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._reference = matching.booking_reference_point(self.order, self.policy)
        self._places = np.array([ecef(point) for point in self.grid])

    def away(self, one: Friend) -> Array:
        """Chords in metres from a friend's base to all points; they order as geodesics do."""
        at = base(one)
        if at not in self._away:
            self._away[at] = np.linalg.norm(self._places - np.array(ecef(at)), axis=1)
        return self._away[at]

    def away_m(self, one: Friend) -> float:
        """The distance of a friend's base from the point by which the policy ranks."""
        at = base(one)
        if at not in self._away_m:
            self._away_m[at] = distance_m(self._reference, at)
        return self._away_m[at]

    def decide(self, excluded: Collection[FriendId] = ()) -> Outcomes:
        """The outcome that each friend in the frame of a fan-out is shown, by the rules."""
        nearby = [Nearby(one, self.away_m(one)) for one in self.friends]
        nearby.sort(key=lambda near: near.distance_m)
        wanted = need(excluded=frozenset(excluded))
        ranking = matching.rank(nearby, [wanted], asked=(), want=self.policy.fan_out)
        frame = {near.friend.id for near in nearby[: self.policy.frame]}
        return {
            line.friend_id: friend_outcome(line.outcome)
            for line in ranking.considered
            if line.friend_id in frame or line.outcome is Outcome.OFFERED
        }

    def guess(self, residuals: Residuals) -> Point:
        """The mean of the points that agree best."""
        best = [p for p, d in zip(self.grid, residuals, strict=True) if d <= residuals.min() + 1e-6]
        return Point(
            sum(point.lat for point in best) / len(best),
            sum(point.lon for point in best) / len(best),
        )

    def replace_colluders(self, colluders: list[Friend]) -> None:
        """Replace the colluders by copies with other bases or radii."""
        self.colluders = colluders
        self.friends = [*colluders, *self.friends[len(colluders) :]]


def base(one: Friend) -> Point:
    """The base of a friend."""
    return Point(one.lat, one.lon)


def near(point: Point, within_m: float, chance: Random) -> Point:
    """A random point in the circle."""
    away, turn = within_m * sqrt(chance.random()), 2 * pi * chance.random()
    return Point(
        point.lat + away * cos(turn) / METRES,
        point.lon + away * sin(turn) / METRES / cos(radians(point.lat)),
    )


def world(
    chance: Random,
    *,
    rank_by: RankBy = RankBy.DOOR,
    colluders: int = MANY,
    gathered: bool = False,
    address_chance: Random | None = None,
) -> World:
    """Friends all over a town; colluders live among them, or have `gathered` around the cell.

    The customer lives anywhere in the cell; `address_chance` draws where, and nothing else.
    """
    centre = cells.centre(near(TOWN, TOWN_M / 2, chance))
    friends = [create_friend(n, near(TOWN, TOWN_M, chance), chance) for n in range(1, FRIENDS + 1)]
    if gathered:
        friends[:colluders] = [
            move(one, near(centre, GATHERED_M, chance)) for one in friends[:colluders]
        ]
    address = random_point(centre, address_chance or chance)
    order = booking(lat=address.lat, lon=address.lon, cell_lat=centre.lat, cell_lon=centre.lon)
    policy = replace(POLICY, rank_by=rank_by)
    return World(address, order, policy, friends, friends[:colluders], cell_grid(centre))


def create_friend(number: int, at: Point, chance: Random) -> Friend:
    """A friend at this point with a radius of 1 to 8 km."""
    radius_m = chance.randrange(1_000, 8_000)
    return friend(number, id=FriendId(UUID(int=number)), lat=at.lat, lon=at.lon, radius_m=radius_m)


def move(one: Friend, to: Point) -> Friend:
    """The friend with another base."""
    return replace(one, lat=to.lat, lon=to.lon)


def random_point(centre: Point, chance: Random) -> Point:
    """A random point in a cell."""
    up, right = edge_distance(centre, 1, 0), edge_distance(centre, 0, 1)
    return Point(
        centre.lat + up * chance.uniform(-1, 1), centre.lon + right * chance.uniform(-1, 1)
    )


def cell_grid(centre: Point) -> list[Point]:
    """A grid of points over a cell."""
    up, right = edge_distance(centre, 1, 0), edge_distance(centre, 0, 1)
    steps = [(n + 0.5) / GRID * 2 - 1 for n in range(GRID)]
    return [Point(centre.lat + a * up, centre.lon + b * right) for a in steps for b in steps]


def edge_distance(centre: Point, north: int, east: int) -> float:
    """Degrees from the centre to the edge of the cell, by bisection."""
    low, high = 0.0, 0.05
    for _ in range(40):
        middle = (low + high) / 2
        there = Point(centre.lat + north * middle, centre.lon + east * middle)
        low, high = (middle, high) if cells.centre(there) == centre else (low, middle)
    return low


def area_m2(centre: Point) -> float:
    """The area of a cell in square metres."""
    up, right = edge_distance(centre, 1, 0), edge_distance(centre, 0, 1)
    height_m = distance_m(Point(centre.lat - up, centre.lon), Point(centre.lat + up, centre.lon))
    width_m = distance_m(
        Point(centre.lat, centre.lon - right), Point(centre.lat, centre.lon + right)
    )
    return height_m * width_m


def by_cell(at: World, chance: Random) -> Residuals:
    """Know the cell alone."""
    return np.zeros(len(at.grid))


def by_rings(at: World, chance: Random) -> Residuals:
    """The four who were asked take the distances shown as distances to the address."""
    outcomes = at.decide()
    residuals = np.zeros(len(at.grid))
    for one in at.friends:
        if outcomes.get(one.id) is Outcome.OFFERED:
            shown_m = matching.rounded_distance_m(at.order, one, at.policy)
            residuals += (at.away(one) - shown_m + at.policy.shown_step_m / 2) ** 2
    return residuals


def by_outcomes(at: World, chance: Random) -> Residuals:
    """The colluders combine their outcomes of one decision."""
    return conclude(at, at.decide())


def by_declining(at: World, chance: Random) -> Residuals:
    """The colluders decline one after another and see in which order they are asked."""
    return _decline_in_turn(at, lambda residuals, excluded: None)


def by_radii(at: World, chance: Random) -> Residuals:
    """They decline, and set radii before every decision that halve what is left."""

    def halve(residuals: Residuals, excluded: Collection[FriendId]) -> None:
        left = residuals <= residuals.min() + 1e-6
        at.replace_colluders(
            [
                one
                if one.id in excluded
                else replace(one, radius_m=max(500, int(np.median(at.away(one)[left]))))
                for one in at.colluders
            ]
        )

    return _decline_in_turn(at, halve)


def _decline_in_turn(
    at: World, prepare: Callable[[Residuals, Collection[FriendId]], None]
) -> Residuals:
    residuals, excluded = np.zeros(len(at.grid)), set[FriendId]()
    for _ in range(2 * MANY):
        prepare(residuals, excluded)
        outcomes = at.decide(excluded)
        residuals = residuals + conclude(at, outcomes)
        asked = [one.id for one in at.colluders if outcomes.get(one.id) is Outcome.OFFERED]
        if not asked:
            break
        excluded.add(asked[0])
    return residuals


def by_days(at: World, chance: Random) -> Residuals:
    """Nobody accepts; day after day those not asked yet move around the present guess."""
    outcomes, excluded = at.decide(), set[FriendId]()
    residuals = conclude(at, outcomes)
    for within_m in CLOSER_M:
        excluded |= {
            friend_id for friend_id, outcome in outcomes.items() if outcome is Outcome.OFFERED
        }
        guess = at.guess(residuals)
        at.replace_colluders(
            [
                one if one.id in excluded else move(one, near(guess, within_m, chance))
                for one in at.colluders
            ]
        )
        outcomes = at.decide(excluded)
        residuals = residuals + conclude(at, outcomes)
    return residuals


def conclude(at: World, outcomes: Outcomes) -> Residuals:
    """All that follows from the outcomes of one decision ranked by the address."""
    asked = [one for one in at.colluders if outcomes.get(one.id) is Outcome.OFFERED]
    far = [one for one in at.colluders if outcomes.get(one.id) is Nearness.NOT_NEAR_ENOUGH]
    framed = [one for one in at.colluders if outcomes.get(one.id) not in (None, Outcome.OFFERED)]
    unseen = [one for one in at.colluders if one.id not in outcomes]
    residuals = np.zeros(len(at.grid))
    for one in asked:  # the customer lives within their radius
        residuals += np.maximum(0, at.away(one) - one.radius_m)
    if asked:  # those passed over live farther away than these, or than their own radius
        farthest = np.max([at.away(one) for one in asked], axis=0)
        for one in far:
            away = at.away(one)
            residuals += np.maximum(0, np.minimum(one.radius_m - away, farthest - away))
    if framed and unseen:  # the frame holds the nearest of any kind
        outermost = np.max([at.away(one) for one in framed], axis=0)
        residuals += np.maximum(0, outermost - np.min([at.away(one) for one in unseen], axis=0))
    return residuals


@dataclass(frozen=True, kw_only=True)
class Attack:
    """How many collude by what; `gathered` ones have moved around the cell before."""

    by: Callable[[World, Random], Residuals]
    colluders: int = MANY
    gathered: bool = False


ATTACKS: dict[str, Attack] = {
    "nobody: guess the centre of the cell": Attack(by=by_cell),
    "the four who were asked, by the distances shown": Attack(by=by_rings),
    "4 of 60 in the town, by their outcomes": Attack(by=by_outcomes, colluders=FEW),
    "4 moved around the cell once, and decline in turn": Attack(
        by=by_declining, colluders=FEW, gathered=True
    ),
    "24 of 60 in the town, by their outcomes": Attack(by=by_outcomes),
    "24 of 60, and decline in turn": Attack(by=by_declining),
    "24 of 60, and change their radii between": Attack(by=by_radii),
    "24 moved around the cell once, by their outcomes": Attack(by=by_outcomes, gathered=True),
    "24 moved once, and decline in turn": Attack(by=by_declining, gathered=True),
    "24 moved once a day, five days, nobody takes it": Attack(by=by_days, gathered=True),
}


@dataclass(frozen=True)
class Result:
    """The errors of an attack over all worlds."""

    name: str
    errors_m: tuple[float, ...]

    @property
    def median_m(self) -> float:
        return median(self.errors_m)

    @property
    def nearest_tenth_m(self) -> float:
        return sorted(self.errors_m)[len(self.errors_m) // 10]

    @property
    def p_value(self) -> float:
        """The smallest probability over WITHIN_M of so many hits without further knowledge.

        Customers live anywhere in their cell. So any guess from the cell alone lies within r of an
        address with a probability of at most πr² / area.
        """
        smallest_m2 = 0.99 * area_m2(cells.centre(TOWN))
        return min(
            probability_of_at_least(
                sum(error <= r for error in self.errors_m),
                len(self.errors_m),
                pi * r * r / smallest_m2,
            )
            for r in WITHIN_M
        )

    @property
    def is_uniform(self) -> bool:
        """Whether the guesses are no better than uniform within the cell."""
        return self.p_value >= SIGNIFICANCE


def probability_of_at_least(hits: int, tries: int, each: float) -> float:
    """The probability of as many hits or more among so many tries."""

    def exactly(k: int) -> float:
        ways = lgamma(tries + 1) - lgamma(k + 1) - lgamma(tries - k + 1)
        return exp(ways + k * log(each) + (tries - k) * log1p(-each))

    return sum(exactly(k) for k in range(hits, tries + 1))


def run_attack(name: str, rank_by: RankBy, worlds: int, seed: int) -> Result:
    """One attack on so many customers."""
    return Result(name, tuple(_errors(ATTACKS[name], rank_by, worlds, seed)))


def _errors(attack: Attack, rank_by: RankBy, worlds: int, seed: int) -> Iterator[float]:
    for number in range(worlds):
        chance = Random(f"{seed}:{number}")
        at = world(chance, rank_by=rank_by, colluders=attack.colluders, gathered=attack.gathered)
        yield distance_m(at.customer, at.guess(attack.by(at, chance)))


def cost_of_ranking_by_cell(worlds: int, seed: int) -> tuple[float, float]:
    """What it costs to rank by the cell.

    The share of bookings for which other friends are asked, and how many metres farther from the
    customer the four live on average.
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
    outcomes = at.decide()
    return [one for one in at.friends if outcomes.get(one.id) is Outcome.OFFERED]


def _mean_m(customer: Point, friends: Sequence[Friend]) -> float:
    return sum(distance_m(customer, base(one)) for one in friends) / len(friends)
