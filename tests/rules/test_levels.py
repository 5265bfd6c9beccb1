"""Levels: points rise with every good count, and move a level by one step, without ping-pong."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from data.records.levels import LEVEL_MAX, LevelRecord
from dispatch.rules.people.levels import (
    LevelPart,
    assess,
    falls_below,
    next_level,
    rises_at,
)
from dispatch.rules.policy import POLICY

LEVELS = range(1, LEVEL_MAX + 1)
GOOD = LevelRecord(jobs=20, stars=50, ratings=10, contacted=20, prompt=20)


@st.composite
def records(draw: st.DrawFn) -> LevelRecord:
    jobs = draw(st.integers(0, 60))
    handed_back = draw(st.integers(0, jobs))
    forfeited = draw(st.integers(0, jobs - handed_back))
    contacted = draw(st.integers(0, jobs))
    ratings = draw(st.integers(0, jobs))
    return LevelRecord(
        jobs=jobs,
        stars=draw(st.integers(ratings, 5 * ratings)),
        ratings=ratings,
        contacted=contacted,
        prompt=draw(st.integers(0, contacted)),
        handed_back=handed_back,
        forfeited=forfeited,
        contested=draw(st.integers(0, jobs)),
    )


def points(record: LevelRecord) -> int:
    return assess(record, POLICY).points


@given(records())
def test_points_lie_within_their_bounds_and_the_working_adds_up(record):
    working = assess(record, POLICY)
    assert all(0 <= one.points <= one.weight for one in working.parts)
    assert working.points == sum(one.points for one in working.parts) <= 1000
    assert [one.part for one in working.parts] == list(LevelPart)


@given(records())
def test_each_better_count_gives_as_many_points_or_more(record):
    for better in ("stars", "prompt"):
        more = replace(record, **{better: getattr(record, better) + 1})
        assume(more.stars <= 5 * more.ratings and more.prompt <= more.contacted)
        assert points(more) >= points(record)


@given(records(), st.sampled_from(["handed_back", "forfeited", "contested"]))
def test_each_loss_gives_as_many_points_or_fewer(record, loss):
    assume(getattr(record, loss) < record.jobs)
    more = replace(record, **{loss: getattr(record, loss) + 1})
    assert points(more) <= points(record)


@given(records(), st.sampled_from(LEVELS))
def test_a_look_moves_a_level_by_one_step_at_most_and_stays_within_bounds(record, level):
    after = next_level(level, assess(record, POLICY), POLICY)
    assert after in LEVELS
    assert abs(after - level) <= 1


@given(records(), records(), st.sampled_from(LEVELS))
def test_more_points_never_lead_to_a_lower_level(one, other, level):
    less, more = sorted((assess(one, POLICY), assess(other, POLICY)), key=lambda w: w.points)
    assume(less.enough and more.enough)
    assert next_level(level, less, POLICY) <= next_level(level, more, POLICY)


@given(records())
def test_the_same_record_looked_at_again_and_again_comes_to_rest(record):
    working = assess(record, POLICY)
    for begin in LEVELS:
        passed = [begin]
        for _ in range(2 * LEVEL_MAX):
            passed.append(next_level(passed[-1], working, POLICY))
        assert passed[-1] == passed[-2]
        assert len({b - a for a, b in pairwise(passed)} - {0}) <= 1


@given(st.lists(st.integers(0, POLICY.level_margin - 1), min_size=2), st.sampled_from(LEVELS[1:]))
def test_points_that_sway_by_less_than_the_margin_never_move_a_level_both_ways(sway, level):
    working = assess(GOOD, POLICY)
    bottom = falls_below(level, POLICY)
    moves = []
    for by in sway:
        after = next_level(level, replace(working, points=bottom + by), POLICY)
        moves.append(after - level)
        level = after
    assert len(set(moves) - {0}) <= 1


def test_a_level_rises_at_its_threshold_and_falls_a_margin_below():
    working = assess(GOOD, POLICY)
    for level in LEVELS:
        up, down = rises_at(level, POLICY), falls_below(level, POLICY)
        if up is not None:
            assert next_level(level, replace(working, points=up), POLICY) == level + 1
            assert next_level(level, replace(working, points=up - 1), POLICY) == level
        if down is not None:
            assert next_level(level, replace(working, points=down - 1), POLICY) == level - 1
            assert next_level(level, replace(working, points=down), POLICY) == level


@pytest.mark.parametrize("level", LEVELS)
def test_too_few_jobs_move_no_level(level):
    few = replace(GOOD, jobs=POLICY.level_jobs_min - 1, handed_back=POLICY.level_jobs_min - 1)
    assert next_level(level, assess(few, POLICY), POLICY) == level


def test_the_working_of_a_record_is_exact():
    record = LevelRecord(
        jobs=20, stars=45, ratings=10, contacted=18, prompt=9, handed_back=2, forfeited=1
    )
    working = assess(record, POLICY)
    # 45 stars of 10 ratings, with 5 of 4 stars mixed in: 65 of 15, so (65 - 15) / 60 of 400.
    assert [one.points for one in working.parts] == [333, 100, 90, 112, 100]
    assert working.points == 735


def test_a_friend_without_faults_reaches_the_highest_level_one_month_after_the_other():
    working = assess(GOOD, POLICY)
    assert next_level(1, working, POLICY) == 2
    assert next_level(2, working, POLICY) == 3
    assert next_level(3, working, POLICY) == 3
