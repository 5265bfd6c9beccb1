"""Exams: what a sitting draws, when it may begin, how long it lasts, and what it leads to."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from random import Random
from typing import Final

from data.records.exams import (
    OPTIONS,
    Answered,
    CertificateHeld,
    CurrentQuestion,
    Drawn,
    Exam,
    Sitting,
    SittingState,
)
from dispatch.rules.policy import Policy
from dispatch.rules.refusals import Refused

FULL: Final = 10_000
BALANCE: Final = 4.0
"""How strongly a question that was drawn less often than others is preferred."""
UNSUCCESSFUL: Final = frozenset({SittingState.FAILED, SittingState.DECLINED})


class SittingOver(Refused):
    """This sitting is over."""

    code = "sitting-over"
    detail = "Its answers are those that arrived in time; see its result."


class TooManyAnswers(Refused):
    """This sitting has changed its answers too often."""

    code = "too-many-answers"
    detail = "The last answers stand; finish the exam."


class AnotherSitting(Refused):
    """Another exam of yours is running."""

    code = "another-sitting"
    detail = "Finish it first; it also ends by itself when its time is up."


class ExamNotOpen(Refused):
    """You cannot sit this exam now."""

    code = "exam-not-open"


class PracticalNotDue(Refused):
    """This practical check is not due."""

    code = "practical-not-due"
    detail = "It was decided already; reload the list."


class ExamStatus(StrEnum):
    """What a friend can do about one exam."""

    READY = "ready"
    RUNNING = "running"
    WAITING = "waiting"
    PRACTICAL_DUE = "practical_due"
    HELD = "held"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What a friend can do about one exam; `opens_at` is from when on, if not now."""

    status: ExamStatus
    attempts_left: int
    opens_at: datetime | None = None


def standing(
    exam: Exam,
    sittings: Sequence[Sitting],
    held: CertificateHeld | None,
    now: datetime,
    policy: Policy,
) -> Standing:
    """What a friend with these sittings of `exam` and this certificate can do now.

    A certificate opens the retake some time before its end, with all attempts.
    """
    opening = held.until - policy.certificate_told_before if held and held.until else None
    states = {one.state for one in sittings}
    failed = _failures(sittings, opening)
    used = len(failed) % exam.attempts if failed else 0
    left = exam.attempts - used
    if SittingState.OPEN in states:
        return Standing(status=ExamStatus.RUNNING, attempts_left=left)
    if SittingState.PRACTICAL_DUE in states:
        return Standing(status=ExamStatus.PRACTICAL_DUE, attempts_left=left)
    if held and (opening is None or now < opening):
        return Standing(status=ExamStatus.HELD, attempts_left=left, opens_at=opening)
    if failed:
        wait = timedelta(days=exam.cooldown_days) if used else policy.exam_long_wait
        opens_at = failed[-1] + wait
        if now < opens_at:
            return Standing(
                status=ExamStatus.WAITING, attempts_left=left if used else 0, opens_at=opens_at
            )
    return Standing(status=ExamStatus.READY, attempts_left=left)


def _failures(sittings: Iterable[Sitting], opening: datetime | None) -> list[datetime]:
    """When sittings ended without success, since the last pass and since a retake opened."""
    ends: list[datetime] = []
    for one in sorted(sittings, key=lambda one: one.started_at):
        if one.state is SittingState.PASSED:
            ends.clear()
        elif (
            one.state in UNSUCCESSFUL
            and one.ended_at
            and (opening is None or one.started_at >= opening)
        ):
            ends.append(one.ended_at)
    return ends


def check_may_start(found: Standing) -> None:
    """Raise ExamNotOpen with the reason, unless an exam can be sat now."""
    if found.status is ExamStatus.WAITING:
        assert found.opens_at is not None
        raise ExamNotOpen(f"the next attempt is possible from {found.opens_at.isoformat()} on")
    if found.status is ExamStatus.PRACTICAL_DUE:
        raise ExamNotOpen("you passed; the practical check at the desk is due")
    if found.status is ExamStatus.HELD:
        until = f"; it opens at {found.opens_at.isoformat()}" if found.opens_at else ""
        raise ExamNotOpen(f"you hold this certificate{until}")


def extra_minutes(exam: Exam, policy: Policy, *, more_time: bool) -> int:
    """How many minutes a sitting lasts beyond those of the exam, rounded up."""
    return math.ceil(exam.minutes * policy.exam_more_time_percent / 100) if more_time else 0


def draw(exam: Exam, bank: Sequence[CurrentQuestion], seed: int) -> list[Drawn]:
    """Draw a sitting's questions by the quotas of their topics, in the order they are asked.

    Those the friend has seen least come first, then by chance those drawn less often by everybody.
    The same seed and bank draw the same.
    """
    chance = Random(seed)  # noqa: S311 - a seed that is kept, so that a drawing can be repeated
    drawn = [
        one.id
        for topic, quota in sorted(exam.topics.items())
        for one in _least_exposed([one for one in bank if one.topic == topic], chance)[:quota]
    ]
    chance.shuffle(drawn)
    return [
        Drawn(question_id=id_, options="".join(chance.sample(OPTIONS, len(OPTIONS))))
        for id_ in drawn
    ]


def _least_exposed(bank: Sequence[CurrentQuestion], chance: Random) -> list[CurrentQuestion]:
    """Order a topic: weighted by exposure without replacement (Efraimidis and Spirakis 2006)."""
    least = min((one.drawn for one in bank), default=0)

    def rank(one: CurrentQuestion) -> tuple[int, float]:
        weight = ((least + 1) / (one.drawn + 1)) ** BALANCE
        return one.seen, -(chance.random() ** (1 / weight))

    return sorted(sorted(bank, key=lambda one: one.id), key=rank)


def count_right(paper: Iterable[Answered]) -> int:
    """How many answers of a sitting are right; none is wrong."""
    return sum(one.is_right for one in paper)


def verdict(correct: int, asked: int, pass_bp: int, *, practical: bool) -> SittingState:
    """What a sitting becomes at its end; `pass_bp` exactly is enough."""
    if correct * FULL < asked * pass_bp:
        return SittingState.FAILED
    return SittingState.PRACTICAL_DUE if practical else SittingState.PASSED


def topics_to_learn(paper: Iterable[Answered]) -> list[str]:
    """The topics with wrong answers, the weakest first."""
    asked, wrong = Counter[str](), Counter[str]()
    for one in paper:
        asked[one.topic] += 1
        wrong[one.topic] += not one.is_right
    missed = [topic for topic in wrong if wrong[topic]]
    return sorted(missed, key=lambda topic: (-wrong[topic] / asked[topic], topic))


def shown_choice(one: Answered) -> int | None:
    """Which of the options as shown, from 1 on, was answered."""
    return one.options.index(one.choice) + 1 if one.choice else None


def practical_state(*, confirmed: bool) -> SittingState:
    """What the desk's look makes of a sitting whose practical check is due."""
    return SittingState.PASSED if confirmed else SittingState.DECLINED


def entry_kind(state: SittingState, *, checked: bool = False) -> str:
    """The entry of the journal for a sitting that has become `state`."""
    return ENTRIES[state, checked]


ENTRIES: Final[Mapping[tuple[SittingState, bool], str]] = {
    (SittingState.PASSED, False): "exam.passed",
    (SittingState.FAILED, False): "exam.failed",
    (SittingState.PRACTICAL_DUE, False): "exam.practical_due",
    (SittingState.PASSED, True): "exam.practical_confirmed",
    (SittingState.DECLINED, True): "exam.practical_declined",
}
