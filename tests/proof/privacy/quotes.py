"""Somebody who asks for quotes until a friend's base is known, as often as they like.

The attacker knows roughly where the friend lives and that nobody else can come. By bisection they
find the edge of what is served to the north and south, then to the east and west of the middle of
that chord: for a circle the middles give its centre and half a chord its radius.
"""

from collections.abc import Callable, Iterator
from math import cos, radians
from random import Random

from data.records.people import Friend
from dispatch.flows.places.supply import count_supply
from dispatch.rules.policy import POLICY
from geo import cells
from geo.point import Point, distance_m
from tests.proof.privacy.collusion import (
    METRES,
    TOWN,
    TOWN_M,
    Result,
    create_friend,
    near,
    random_point,
)
from tests.rules.facts import need

FARTHEST_M = 12_000.0
BISECTIONS = 30
ROUNDS = 2

Ask = Callable[[Point], bool]


def ask_of(friend: Friend) -> Ask:
    """Whether a quote says that somebody could come to a point."""
    supply = count_supply([friend], [need()], POLICY)
    return lambda point: supply.helpers(point) != "0"


def measure_base(ask: Ask, start: Point) -> Point:
    """The estimate of the base, from a point that is served."""
    middle = start
    for _ in range(ROUNDS):
        middle = _middle(ask, middle, 1 / METRES, 0)
        middle = _middle(ask, middle, 0, 1 / METRES / cos(radians(middle.lat)))
    return middle


def _middle(ask: Ask, start: Point, lat: float, lon: float) -> Point:
    ahead, behind = (_edge_m(ask, start, lat * way, lon * way) for way in (1, -1))
    along = (ahead - behind) / 2
    return Point(start.lat + lat * along, start.lon + lon * along)


def _edge_m(ask: Ask, start: Point, lat: float, lon: float) -> float:
    inside, outside = 0.0, FARTHEST_M
    for _ in range(BISECTIONS):
        half = (inside + outside) / 2
        if ask(Point(start.lat + lat * half, start.lon + lon * half)):
            inside = half
        else:
            outside = half
    return inside


def run_quotes(worlds: int, seed: int) -> Result:
    """The errors of the attack on so many friends, each anywhere in the cell."""
    return Result("by quotes", tuple(_errors(worlds, seed)))


def _errors(worlds: int, seed: int) -> Iterator[float]:
    for number in range(worlds):
        chance = Random(f"{seed}:{number}")
        middle = cells.centre(near(TOWN, TOWN_M, chance))
        base = random_point(middle, chance)
        friend = create_friend(1, base, chance)
        yield distance_m(base, measure_base(ask_of(friend), base))
