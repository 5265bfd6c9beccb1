"""What colluding friends find out, over many towns, ranked by address and by cell."""

from dataclasses import replace
from functools import cache
from math import ceil, pi
from random import Random

import pytest

from dispatch.rules.jobs import matching
from dispatch.rules.policy import RankBy
from geo import cells
from geo.point import Point, distance_m
from tests.proof.privacy.collusion import (
    ATTACKS,
    SIGNIFICANCE,
    Result,
    area_m2,
    base,
    cost_of_ranking_by_cell,
    probability_of_at_least,
    random_point,
    run_attack,
    world,
)
from tests.proof.report import is_whole, table, write

measured = cache(run_attack)
WORLDS = 1_000 if is_whole() else 40
RINGS = list(ATTACKS)[1]
WORST = "24 moved once, and decline in turn"
pytestmark = pytest.mark.timeout(900)


def in_world(name: str, number: int, **changes):
    """The world of an attack, and the chance that continues from it."""
    attack, chance = ATTACKS[name], Random(f"3:{number}")
    return world(chance, colluders=attack.colluders, gathered=attack.gathered, **changes), chance


@pytest.mark.parametrize("name", ATTACKS)
def test_by_cell_no_colluders_do_better_than_uniform(name):
    found = measured(name, RankBy.CELL, WORLDS, seed=1)
    assert found.is_uniform, f"median {found.median_m:.0f} m, p = {found.p_value:.1g}"


@pytest.mark.parametrize("rank_by", RankBy)
def test_the_distances_shown_reveal_no_more_than_the_cell(rank_by):
    assert measured(RINGS, rank_by, WORLDS, seed=1).is_uniform


def test_by_door_the_selection_reveals_the_address():
    """A check that would pass a bad ranking by the cell fails here: this must not be uniform."""
    found = run_attack(WORST, RankBy.DOOR, 20, seed=1)
    assert not found.is_uniform
    assert found.median_m < 60


@pytest.mark.parametrize("name", ATTACKS)
def test_by_cell_every_guess_is_the_same_wherever_in_the_cell_the_customer_lives(name):
    for number in range(2):
        guesses, addresses = set(), set()
        for seed in range(3):
            at, chance = in_world(name, number, rank_by=RankBy.CELL, address_chance=Random(seed))
            addresses.add(at.customer)
            guesses.add(at.guess(ATTACKS[name].by(at, chance)))
        assert (len(guesses), len(addresses)) == (1, 3)


@pytest.mark.parametrize("rank_by", RankBy)
@pytest.mark.parametrize("name", [n for n in ATTACKS if n != RINGS])
def test_what_colluders_conclude_is_true_of_the_point_that_is_ranked_by(name, rank_by):
    for number in range(4):
        at, chance = in_world(name, number, rank_by=rank_by)
        at = replace(at, grid=[matching.booking_reference_point(at.order, at.policy)])
        assert ATTACKS[name].by(at, chance)[0] < 0.01


def test_the_same_attack_finds_the_address_where_distances_are_measured_to_it(monkeypatch):
    def exact(order, friend, policy):
        away_m = distance_m(base(friend), Point(order.lat, order.lon))
        return ceil(away_m / policy.shown_step_m) * policy.shown_step_m

    monkeypatch.setattr(matching, "rounded_distance_m", exact)
    found = run_attack(RINGS, RankBy.DOOR, WORLDS, seed=1)
    assert found.median_m < 60
    assert not found.is_uniform


def test_uniform_guesses_are_recognized():
    """Random guesses and the centre are uniform; guesses with a hint are not."""
    chance, centre = Random(1), cells.centre(Point(47.3767, 8.5410))
    addresses = [random_point(centre, chance) for _ in range(1_000)]
    blind = [distance_m(address, random_point(centre, chance)) for address in addresses]
    middle = [distance_m(address, centre) for address in addresses]
    assert Result("", tuple(blind)).is_uniform
    assert Result("", tuple(middle)).is_uniform
    assert sum(error <= 200 for error in middle) / 1_000 == pytest.approx(
        pi * 200**2 / area_m2(centre), abs=0.03
    )
    assert not Result("", tuple(0.8 * error for error in middle)).is_uniform
    assert probability_of_at_least(0, 10, 0.3) == pytest.approx(1)
    assert probability_of_at_least(10, 10, 0.3) == pytest.approx(0.3**10)


@pytest.mark.skipif(not is_whole(), reason="takes minutes: python -m tests.proof.privacy")
def test_the_figures_are_written():
    door = {name: measured(name, RankBy.DOOR, WORLDS, seed=1) for name in ATTACKS}
    cell = {name: measured(name, RankBy.CELL, WORLDS, seed=1) for name in ATTACKS}
    assert [name for name, found in cell.items() if not found.is_uniform] == []
    assert door[RINGS].is_uniform
    rows = [(name, *format_result(door[name]), *format_result(cell[name])) for name in ATTACKS]
    others, farther_m = cost_of_ranking_by_cell(WORLDS, seed=1)
    head = ("who guesses, and by what", "by door", "uniform?", "by cell", "uniform?")
    write("collusion", describe(table(head, rows), others, farther_m))


def format_result(found: Result) -> tuple[str, str]:
    near = f"{found.median_m:,.0f} m ({found.nearest_tenth_m:,.0f} m)"
    return near, "yes" if found.is_uniform else "**no**"


def describe(figures: str, others: float, farther_m: float) -> str:
    return (
        "## What friends find out together\n\n"
        f"{WORLDS:,} invented customers, each anywhere in their cell; 60 friends within 6 km. "
        "Of these 4 or 24 collude and combine all they are shown: the cell, the distances, who was "
        "asked, and what `/v1/me/why` shows each of themselves. Their guess is the mean of all "
        "points of the cell that agree. The figures are the median error and, in brackets, that "
        "of the best tenth, under either setting of `rank_by` in `dispatch/rules/policy.py`.\n\n"
        f"{figures}\n\n"
        "“Uniform” is the bound: any guess from the cell alone is within r of the address with a "
        "probability of at most πr² / area. A row is called uniform unless so many hits within "
        "50, 100, 200 or 300 m would happen by it less often than once in "
        f"{1 / SIGNIFICANCE:,.0f} times.\n\n"
        "**By cell** (`rank_by = cell`) every row is uniform, and must be: whatever anybody is "
        "shown is the same wherever in the cell the customer lives, which a test checks word for "
        f"word. The cost: for {others:.0%} of these bookings other friends are asked, and the four "
        f"live {farther_m:.0f} m farther away on average.\n\n"
        "**By door** (`rank_by = door`, the default) what is shown reveals no more than the cell; "
        "**who was asked does**. To be among the four nearest, or in the frame of the sixteen "
        "nearest, is itself a fact about the address. One word for “too far” and “others were "
        "nearer” keeps a friend's radius from being a ruler while the friend is passed over; a "
        "friend who is asked knows that the customer lives within it, and may change it as often "
        "as they like. That a base moves once a day keeps colluders from closing in within the "
        "hours in which a booking finds its friend; it does not keep them from moving around the "
        "cell once, and that is enough. A colluder who accepts sees the address in any case. The "
        "promise “not better than uniform within the cell” holds by door for what is shown alone, "
        "and by cell for everything. [The decision](decisions/0008-selection-leak.md) weighs the "
        "two."
    )
