import math
from datetime import timedelta
from random import Random
from statistics import correlation
from uuid import UUID

import pytest

from dispatch.rules.people.exam_statistics import (
    ANSWERS_MIN,
    ItemFlag,
    Response,
    by_sitting,
    fast_sittings,
    item_statistics,
    point_biserial,
    similar_pairs,
)

SLOW = timedelta(seconds=30)
BACKWARDS, EASY, HARD = 7, 11, 13


def response(sitting: int, question: int, choice: str | None, **changes) -> Response:
    facts = {"is_right": choice == "b", "pause": SLOW} | changes
    return Response(sitting_id=UUID(int=sitting), question_id=question, choice=choice, **facts)


def simulate(sittings: int) -> list[Response]:
    """Answers by a two-parameter model to 40 questions, 20 a sitting, three of them broken."""
    chance = Random(3)
    sharp = [chance.uniform(1.0, 2.0) for _ in range(40)]
    hard = [chance.gauss(-0.8, 0.5) for _ in range(40)]
    sharp[BACKWARDS], hard[EASY], hard[HARD] = -1.2, -6.0, 4.5
    found = []
    for number in range(sittings):
        skill = chance.gauss(0, 1)
        for question in sorted(chance.sample(range(40), 20)):
            odds = sharp[question] * (skill - hard[question])
            is_right = chance.random() < 1 / (1 + math.exp(-odds))
            wrong = "a" if question == BACKWARDS else chance.choice("acd")
            found.append(response(number, question, "b" if is_right else wrong))
    return found


def test_the_planted_bad_questions_are_flagged_and_no_good_one():
    found = {one.question_id: one for one in item_statistics(by_sitting(simulate(400)))}
    flagged = {id_: set(one.flags) for id_, one in found.items() if one.flags}
    assert flagged == {
        BACKWARDS: {ItemFlag.DOES_NOT_DISCRIMINATE, ItemFlag.WRONG_OPTION},
        EASY: {ItemFlag.TOO_EASY},
        HARD: flagged[HARD],
    }
    assert ItemFlag.TOO_HARD in flagged[HARD]
    assert found[BACKWARDS].attractive == "a"
    assert found[BACKWARDS].discrimination < 0


def test_a_question_with_few_answers_has_no_flag():
    few = [response(number, 1, "a") for number in range(ANSWERS_MIN - 1)]
    [one] = item_statistics(by_sitting(few))
    assert (one.answers, one.facility, one.flags) == (ANSWERS_MIN - 1, None, ())
    [one] = item_statistics(by_sitting([*few, response(99, 1, "a")]))
    assert ItemFlag.TOO_HARD in one.flags


def test_the_correlation_leaves_out_the_question_itself():
    """Two questions answered independently: with the question in its own total it would be 0.7."""
    rows = [
        response(number, question, "b" if right else "a")
        for number in range(80)
        for question, right in ((1, number % 2 == 0), (2, number % 4 < 2))
    ]
    one, other = item_statistics(by_sitting(rows))
    assert one.discrimination == pytest.approx(0)
    assert other.discrimination == pytest.approx(0)


def test_the_correlation_is_that_of_pearson():
    rows = [(True, 0.9), (True, 0.6), (False, 0.5), (False, 0.2), (True, 0.4)]
    assert point_biserial(rows) == pytest.approx(correlation(*zip(*rows, strict=True)))
    assert point_biserial([(True, 0.5), (True, 0.9)]) is None
    assert point_biserial([(True, 0.5), (False, 0.5)]) is None


def test_two_sittings_with_the_same_wrong_answers_are_a_pair():
    rows = [response(1, question, "a") for question in range(8)]
    rows += [response(2, question, "a" if question < 7 else "c") for question in range(8)]
    rows += [response(3, question, "c" if question % 2 else "a") for question in range(8)]
    rows += [response(4, question, "b") for question in range(8)]
    [pair] = similar_pairs(by_sitting(rows))
    assert (pair.one.int, pair.other.int, pair.same, pair.both_wrong) == (1, 2, 7, 8)


def test_independent_sittings_are_hardly_ever_a_pair():
    sittings = by_sitting(simulate(60))
    assert len(similar_pairs(sittings)) <= 0.01 * 60 * 59 / 2


def test_a_sitting_answered_faster_than_it_can_be_read_is_shown():
    quick = timedelta(seconds=2)
    rows = [
        response(1, question, "b", pause=quick if question < 5 else SLOW) for question in range(10)
    ]
    rows += [
        response(2, question, "b", pause=quick if question < 4 else SLOW) for question in range(10)
    ]
    rows += [response(3, question, None, pause=None) for question in range(10)]
    [one] = fast_sittings(by_sitting(rows))
    assert (one.sitting_id.int, one.fast, one.asked) == (1, 5, 10)
