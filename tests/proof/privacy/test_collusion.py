"""What friends find out together from all they are told, over many towns, by door and by cell."""

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
    HARDLY_EVER,
    Result,
    anywhere,
    area_m2,
    at_least,
    attacked,
    base,
    price_of_the_cell,
    world,
)
from tests.proof.report import is_whole, table, write

measured = cache(attacked)
WORLDS = 1_000 if is_whole() else 40
RINGS = list(ATTACKS)[1]
WORST = "24 moved once, and decline in turn"
pytestmark = pytest.mark.timeout(900)


def in_world(name: str, number: int, **changes):
    """The world of an attack, and the chance that goes on from there."""
    attack, chance = ATTACKS[name], Random(f"3:{number}")
    return world(chance, band=attack.band, gathered=attack.gathered, **changes), chance


@pytest.mark.parametrize("name", ATTACKS)
def test_by_cell_no_band_comes_nearer_than_luck(name):
    found = measured(name, RankBy.CELL, WORLDS, seed=1)
    assert found.is_luck, f"median {found.median_m:.0f} m, by luck {found.luck:.1g}"


@pytest.mark.parametrize("rank_by", RankBy)
def test_the_distances_shown_tell_no_more_than_the_cell(rank_by):
    assert measured(RINGS, rank_by, WORLDS, seed=1).is_luck


def test_by_door_the_selection_finds_her_and_the_bound_says_so():
    """What would let a bad ranking by the cell pass is seen here: the bound must not hold."""
    found = attacked(WORST, RankBy.DOOR, 20, seed=1)
    assert not found.is_luck
    assert found.median_m < 60


@pytest.mark.parametrize("name", ATTACKS)
def test_by_cell_every_band_guesses_the_same_wherever_in_the_cell_she_lives(name):
    for number in range(2):
        guesses, doors = set(), set()
        for door in range(3):
            at, chance = in_world(name, number, rank_by=RankBy.CELL, doors=Random(door))
            doors.add(at.customer)
            guesses.add(at.guess(ATTACKS[name].by(at, chance)))
        assert (len(guesses), len(doors)) == (1, 3)


@pytest.mark.parametrize("rank_by", RankBy)
@pytest.mark.parametrize("name", [n for n in ATTACKS if n != RINGS])
def test_what_the_band_concludes_is_true_of_where_it_is_asked_from(name, rank_by):
    for number in range(4):
        at, chance = in_world(name, number, rank_by=rank_by)
        at = replace(at, grid=[matching.asked_from(at.order, at.policy)])
        assert ATTACKS[name].by(at, chance)[0] < 0.01


def test_the_same_attack_finds_the_door_where_distances_are_counted_to_it(monkeypatch):
    def exact(order, friend, policy):
        away_m = distance_m(base(friend), Point(order.lat, order.lon))
        return ceil(away_m / policy.shown_step_m) * policy.shown_step_m

    monkeypatch.setattr(matching, "shown_distance_m", exact)
    found = attacked(RINGS, RankBy.DOOR, WORLDS, seed=1)
    assert found.median_m < 60
    assert not found.is_luck


def test_luck_is_the_share_of_the_cell():
    """Guesses drawn anywhere, and those in the very middle, are luck; with a hint they are not."""
    chance, centre = Random(1), cells.centre(Point(47.3767, 8.5410))
    doors = [anywhere(centre, chance) for _ in range(1_000)]
    blind = [distance_m(door, anywhere(centre, chance)) for door in doors]
    middle = [distance_m(door, centre) for door in doors]
    assert Result("", tuple(blind)).is_luck
    assert Result("", tuple(middle)).is_luck
    assert sum(error <= 200 for error in middle) / 1_000 == pytest.approx(
        pi * 200**2 / area_m2(centre), abs=0.03
    )
    assert not Result("", tuple(0.8 * error for error in middle)).is_luck
    assert at_least(0, 10, 0.3) == pytest.approx(1)
    assert at_least(10, 10, 0.3) == pytest.approx(0.3**10)


@pytest.mark.skipif(not is_whole(), reason="takes minutes: python -m tests.proof.privacy")
def test_what_was_found_out_is_written_down():
    door = {name: measured(name, RankBy.DOOR, WORLDS, seed=1) for name in ATTACKS}
    cell = {name: measured(name, RankBy.CELL, WORLDS, seed=1) for name in ATTACKS}
    assert [name for name, found in cell.items() if not found.is_luck] == []
    assert door[RINGS].is_luck
    rows = [(name, *said(door[name]), *said(cell[name])) for name in ATTACKS]
    others, farther_m = price_of_the_cell(WORLDS, seed=1)
    head = ("who guesses, and by what", "by door", "luck?", "by cell", "luck?")
    write("collusion", page(table(head, rows), others, farther_m))


def said(found: Result) -> tuple[str, str]:
    near = f"{found.median_m:,.0f} m ({found.nearest_tenth_m:,.0f} m)"
    return near, "yes" if found.is_luck else "**no**"


def page(figures: str, others: float, farther_m: float) -> str:
    return (
        "## What friends find out together\n\n"
        f"{WORLDS:,} invented customers, each anywhere in her cell; 60 friends within 6 km, of "
        "whom 4 or 24 put together all they are told: the cell, the distances, who was asked, and "
        "what `/v1/me/why` says to each of himself. Their guess is the middle of all points of the "
        "cell that agree. The figures are the median error and, in brackets, that of the nearest "
        "tenth, under either setting of `rank_by` in `dispatch/rules/policy.py`.\n\n"
        f"{figures}\n\n"
        "“Luck” is the bound: whoever knows nothing but the cell is within r of the door with "
        "probability πr² / area at most, whatever he guesses; a row is called luck unless so many "
        "hits within 50, 100, 200 or 300 m would happen by it less often than once in "
        f"{1 / HARDLY_EVER:,.0f} times.\n\n"
        "**By cell** (`rank_by = cell`) every row is luck, and must be: whatever anybody is told "
        "is the same wherever in the cell she lives, which a test demands word for word. The "
        f"price: of {others:.0%} of these bookings other friends are asked, and the four live "
        f"{farther_m:.0f} m farther away on average.\n\n"
        "**By door** (`rank_by = door`, the default) what is shown tells no more than the cell; "
        "**who was asked does**. To be among the four nearest, or in the frame of the sixteen "
        "nearest, is itself a fact about the door. That a friend hears one word for “too far” and "
        "“others were nearer” keeps his radius from being a ruler while he is passed over; when he "
        "is asked, he knows that she lives within it, and may change it as often as he likes. That "
        "a base moves once a day keeps a band from feeling its way within the hours in which a "
        "booking finds its friend; it does not keep one from moving around the cell once, and that "
        "is enough. Whoever of a band accepts sees the address anyhow. The promise “not better "
        "than uniform within the cell” holds by door for what is shown alone, and by cell for "
        "everything. [The decision](decisions/0008-selection-leak.md) weighs the two."
    )
