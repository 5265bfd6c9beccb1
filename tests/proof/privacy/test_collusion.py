"""What friends find out together from all they are shown, over many towns."""

from math import ceil
from random import Random

import pytest

from dispatch.rules import matching
from geo.point import Point, distance_m
from tests.proof.privacy.collusion import (
    ATTACKS,
    GRID,
    attacked,
    by_cell,
    by_declining,
    by_radius,
    by_rings,
    by_selection,
    price_of_the_cell,
    world,
)
from tests.proof.report import is_whole, table, write

WORLDS = 1_000 if is_whole() else 60
MIDDLE, RINGS = list(ATTACKS)[:2]
pytestmark = pytest.mark.timeout(900)


def errors(attack, worlds: int = WORLDS, *, gathered: bool = False) -> list[float]:
    found = []
    for number in range(worlds):
        chance = Random(f"2:{number}")
        at = world(chance, gathered=gathered)
        found.append(distance_m(at.customer, at.guess(attack(at, chance))))
    return sorted(found)


def test_the_distances_shown_tell_no_more_than_the_cell():
    middle, rings = errors(by_cell), errors(by_rings)
    for share in (0.1, 0.25, 0.5, 0.75):
        at = int(share * WORLDS)
        slack_m = 0.35 * 1000 / WORLDS**0.5
        assert rings[at] > middle[at] - slack_m, f"the nearest {share:.0%}"


def test_the_same_attack_finds_the_door_where_distances_are_counted_to_it(monkeypatch):
    def exact(booking, friend, policy):
        away_m = distance_m(Point(friend.lat, friend.lon), Point(booking.lat, booking.lon))
        return ceil(away_m / policy.shown_step_m) * policy.shown_step_m

    monkeypatch.setattr(matching, "shown_distance_m", exact)
    assert errors(by_rings)[WORLDS // 2] < 60


@pytest.mark.parametrize("attack", [by_selection, by_radius, by_declining])
def test_what_the_band_concludes_is_true(attack):
    for number in range(20):
        chance = Random(number)
        at = world(chance, gathered=True)
        doubt = attack(at, chance)
        away = [distance_m(at.customer, point) for point in at.grid]
        nearest = away.index(min(away))
        # Half a step of the grid, seen from two friends, for every conclusion drawn.
        assert doubt[nearest] < 2 * 24 * 1000 / GRID


@pytest.mark.skipif(not is_whole(), reason="takes minutes: python -m tests.proof.privacy")
def test_what_was_found_out_is_written_down():
    results = attacked(WORLDS, seed=1)
    others, farther_m = price_of_the_cell(WORLDS, seed=1)
    rows = [
        (one.name, f"{one.median_m:,.0f} m", f"{one.nearest_tenth_m:,.0f} m") for one in results
    ]
    write(
        "collusion",
        "## What friends find out together\n\n"
        f"{WORLDS:,} invented customers, 60 friends within 6 km, 24 of whom put together all they "
        "are shown: the cell, the distances, who was asked, and what `/v1/me/why` tells each of "
        "himself. The guess is the middle of all points of the cell that agree.\n\n"
        + table(("who guesses, and by what", "median error", "nearest tenth"), rows)
        + "\n\nThe distances tell no more than the cell. **Who was asked does**: being among the "
        "four nearest to the door is itself a fact about the door, and a band that moves its "
        "bases around the cell, or declines in turn, finds it. The promise “not better than "
        "uniform within the cell” therefore holds for what is shown and not for the selection. "
        "Ranking by the distance to the cell's centre would close it: of "
        f"{others:.0%} of these bookings other friends would be asked, and the four would live "
        f"{farther_m:.0f} m farther away on average. "
        "[The decision](decisions/0008-selection-leak.md) weighs that.",
    )
