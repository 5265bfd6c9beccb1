"""What quotes reveal of where a friend lives, over many friends."""

from random import Random

from dispatch.flows.places import supply
from geo import cells
from geo.point import Point
from tests.proof.privacy.collusion import TOWN, TOWN_M, create_friend, near, random_point
from tests.proof.privacy.quotes import ask_of, measure_base, run_quotes
from tests.proof.report import is_whole

WORLDS = 2_000 if is_whole() else 150


def test_the_best_estimate_of_a_base_by_quotes_is_not_better_than_the_cell():
    found = run_quotes(WORLDS, seed=1)
    assert found.is_uniform, f"median {found.median_m:.0f} m, p = {found.p_value:.1g}"


def test_every_quote_is_the_same_wherever_in_the_cell_the_friend_lives():
    for number in range(5):
        chance = Random(number)
        middle = cells.centre(near(TOWN, TOWN_M, chance))
        start = random_point(middle, chance)
        points = [near(middle, 12_000, chance) for _ in range(300)]
        answers, estimates = set(), set()
        for _ in range(4):
            radius = Random(number)
            ask = ask_of(create_friend(1, random_point(middle, chance), radius))
            answers.add(tuple(map(ask, points)))
            estimates.add(measure_base(ask, start))
        assert (len(answers), len(estimates)) == (1, 1)
        assert len(set(answers.pop())) == 2


def test_the_same_attack_finds_the_base_where_helpers_are_counted_exactly(monkeypatch):
    """A check that would pass a bad count fails here: this must not be uniform."""
    with monkeypatch.context() as patch:
        patch.setattr(supply.cells, "centre", lambda point: Point(point.lat, point.lon))
        exact = run_quotes(20, seed=1)
    assert exact.median_m < 1
    assert not exact.is_uniform


def test_the_radius_is_known_in_whole_steps_only():
    chance = Random(1)
    middle = cells.centre(TOWN)
    base = random_point(middle, chance)
    points = [near(middle, 12_000, chance) for _ in range(300)]

    def answers(radius_m):
        one = create_friend(1, base, chance)
        return [ask_of(supply.replace(one, radius_m=radius_m))(point) for point in points]

    assert answers(3_001) == answers(3_500) == answers(4_000)
    assert answers(4_000) != answers(4_001)
