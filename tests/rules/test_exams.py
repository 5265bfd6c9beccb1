from collections import Counter
from datetime import timedelta
from uuid import UUID

import pytest

from data.markets import Language
from data.records.exams import Answered, CertificateHeld, CurrentQuestion, Sitting, SittingState
from data.records.ids import FriendId
from dispatch.rules.people import exams
from dispatch.rules.people.exams import ExamNotOpen, ExamStatus, draw, standing, verdict
from dispatch.rules.policy import POLICY
from tests.exam_banks import bank
from tests.rules.facts import NOW

EXAM = bank().exam
DAY = timedelta(days=1)
BANK = [
    CurrentQuestion(id=id_, topic=topic)
    for topic, ids in {"signal": range(20), "safety": range(20, 40)}.items()
    for id_ in ids
]


def sitting(state: SittingState, days_ago: float) -> Sitting:
    ended = NOW - days_ago * DAY
    return Sitting(
        id=UUID(int=int(days_ago * 100)),
        friend_id=FriendId(UUID(int=1)),
        certificate="wifi",
        pass_bp=8000,
        extra_minutes=0,
        started_at=ended - timedelta(minutes=20),
        due_at=ended,
        state=state,
        ended_at=None if state is SittingState.OPEN else ended,
    )


def failed(*days_ago: float) -> list[Sitting]:
    return [sitting(SittingState.FAILED, days) for days in days_ago]


def stand(sittings: list[Sitting], held: CertificateHeld | None = None) -> exams.Standing:
    return standing(EXAM, sittings, held, NOW, POLICY)


def test_a_sitting_draws_the_quota_of_every_topic_and_no_question_twice():
    for seed in range(50):
        drawn = draw(EXAM, BANK, seed)
        topics = Counter("signal" if one.question_id < 20 else "safety" for one in drawn)
        assert topics == EXAM.topics
        assert len({one.question_id for one in drawn}) == len(drawn)
        assert all(sorted(one.options) == ["a", "b", "c", "d"] for one in drawn)


def test_the_same_seed_draws_the_same_and_another_one_another():
    assert draw(EXAM, BANK, 7) == draw(EXAM, BANK[::-1], 7)
    assert draw(EXAM, BANK, 7) != draw(EXAM, BANK, 8)


def test_every_option_comes_to_every_place():
    firsts = Counter(one.options[0] for seed in range(100) for one in draw(EXAM, BANK, seed))
    assert min(firsts[option] for option in "abcd") > 150


def test_questions_are_drawn_equally_often():
    counts = Counter[int]()
    for seed in range(400):
        now = [CurrentQuestion(id=one.id, topic=one.topic, drawn=counts[one.id]) for one in BANK]
        counts.update(one.question_id for one in draw(EXAM, now, seed))
    for ids in (range(20), range(20, 40)):
        of_topic = [counts[id_] for id_ in ids]
        assert max(of_topic) - min(of_topic) < 0.15 * max(of_topic)


def test_concurrent_sittings_do_not_all_draw_the_same():
    """Those who start at once see the same counts; the least drawn are likely, not certain."""
    uneven = [CurrentQuestion(id=id_, topic="signal", drawn=50 + id_) for id_ in range(20)]
    papers = {frozenset(one.question_id for one in draw(EXAM, uneven, s)) for s in range(50)}
    assert len(papers) > 25


def test_a_friend_is_asked_first_what_that_friend_has_not_seen():
    seen = [
        CurrentQuestion(id=one.id, topic=one.topic, drawn=one.id % 5, seen=int(one.id % 2))
        for one in BANK
    ]
    assert all(one.question_id % 2 == 0 for one in draw(EXAM, seen, 3))


def test_without_an_earlier_sitting_an_exam_can_be_started():
    assert stand([]) == exams.Standing(status=ExamStatus.READY, attempts_left=3)


@pytest.mark.parametrize(
    ("sittings", "status", "left", "opens_in"),
    [
        (failed(1), ExamStatus.WAITING, 2, 6 * DAY),
        (failed(7), ExamStatus.READY, 2, None),
        (failed(20, 1), ExamStatus.WAITING, 1, 6 * DAY),
        (failed(40, 20, 1), ExamStatus.WAITING, 0, POLICY.exam_long_wait - DAY),
        (failed(140, 120, 90), ExamStatus.READY, 3, None),
        (failed(140, 120, 100, 2), ExamStatus.WAITING, 2, 5 * DAY),
        ([sitting(SittingState.DECLINED, 2)], ExamStatus.WAITING, 2, 5 * DAY),
        ([sitting(SittingState.OPEN, 0)], ExamStatus.RUNNING, 3, None),
        ([sitting(SittingState.PRACTICAL_DUE, 9)], ExamStatus.PRACTICAL_DUE, 3, None),
        ([*failed(30, 20), sitting(SittingState.PASSED, 10)], ExamStatus.READY, 3, None),
    ],
)
def test_attempts_and_the_wait_between_them(sittings, status, left, opens_in):
    found = stand(sittings)
    assert (found.status, found.attempts_left) == (status, left)
    assert found.opens_at == (None if opens_in is None else NOW + opens_in)


def test_the_wait_ends_at_its_moment():
    assert stand(failed(7)).status is ExamStatus.READY
    assert stand(failed(7 - 1e-9)).status is ExamStatus.WAITING


def test_the_retake_opens_with_all_attempts_before_the_certificate_ends():
    told = POLICY.certificate_told_before
    held = CertificateHeld(until=NOW + told)
    assert stand(failed(80, 60, 40), held) == exams.Standing(
        status=ExamStatus.READY, attempts_left=3
    )
    later = CertificateHeld(until=NOW + told + DAY)
    assert stand([], later) == exams.Standing(
        status=ExamStatus.HELD, attempts_left=3, opens_at=NOW + DAY
    )
    ended = CertificateHeld(until=NOW - DAY)
    assert stand(failed(3), ended).status is ExamStatus.WAITING


def test_a_certificate_without_end_is_never_sat_again():
    assert stand([], CertificateHeld(until=None)) == exams.Standing(
        status=ExamStatus.HELD, attempts_left=3
    )


@pytest.mark.parametrize(
    ("sittings", "held", "reason"),
    [
        (failed(1), None, "from .* on"),
        ([sitting(SittingState.PRACTICAL_DUE, 1)], None, "practical check"),
        ([], CertificateHeld(until=None), "you hold this certificate$"),
    ],
)
def test_who_may_not_start_is_told_why(sittings, held, reason):
    with pytest.raises(ExamNotOpen, match=reason):
        exams.check_may_start(stand(sittings, held))


@pytest.mark.parametrize(
    ("correct", "state"),
    [(7, SittingState.FAILED), (8, SittingState.PASSED), (10, SittingState.PASSED)],
)
def test_the_pass_mark_exactly_is_enough(correct: int, state: SittingState):
    assert verdict(correct, 10, 8000, practical=False) is state


def test_a_practical_kind_waits_for_the_desk_after_a_pass_only():
    assert verdict(8, 10, 8000, practical=True) is SittingState.PRACTICAL_DUE
    assert verdict(7, 10, 8000, practical=True) is SittingState.FAILED


def test_half_of_the_pass_mark_counts_in_basis_points_without_rounding():
    assert verdict(2, 3, 6667, practical=False) is SittingState.FAILED
    assert verdict(2, 3, 6666, practical=False) is SittingState.PASSED


def test_more_time_is_half_the_minutes_rounded_up():
    assert exams.extra_minutes(EXAM, POLICY, more_time=True) == 10
    assert exams.extra_minutes(EXAM, POLICY, more_time=False) == 0


def answered(topic: str, choice: str | None, position: int = 1) -> Answered:
    return Answered(
        position=position,
        topic=topic,
        options="cabd",
        key="b",
        choice=choice,
        texts={Language.EN: bank().questions[0].texts[Language.EN]},
    )


def test_no_answer_is_a_wrong_one():
    paper = [answered("signal", "b"), answered("signal", None), answered("signal", "a")]
    assert exams.count_right(paper) == 1


def test_the_topics_to_learn_are_those_with_mistakes_the_weakest_first():
    paper = [answered("a", "b"), answered("b", "b"), answered("b", "a")]
    paper += [answered("c", None), answered("d", "b"), answered("d", "b"), answered("d", "c")]
    assert exams.topics_to_learn(paper) == ["c", "b", "d"]


def test_an_answer_is_shown_at_the_place_of_its_option():
    assert [exams.shown_choice(answered("a", c)) for c in ("c", "a", "d", None)] == [1, 2, 4, None]
