"""What the answers to an exam tell about its questions, and about sittings worth a human's look.

Facility is the share of right answers, discrimination the point-biserial correlation of a right
answer with the share of right answers to the other questions of the same sitting (Henrysson 1963).
Nothing follows from a flag by itself.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from itertools import combinations
from typing import Final
from uuid import UUID

ANSWERS_MIN: Final = 50
TOO_EASY: Final = 0.97
TOO_HARD: Final = 0.2
WEAK: Final = 0.1
GOOD_SHARE: Final = 0.27
"""The share of sittings at either end that are compared (Kelley 1939)."""
SHARED_WRONG_MIN: Final = 4
SHARED_SHARE: Final = 0.75
FAST_ANSWER: Final = timedelta(seconds=4)
FAST_SHARE: Final = 0.5


class ItemFlag(StrEnum):
    """What is conspicuous about a question."""

    TOO_EASY = "too_easy"
    TOO_HARD = "too_hard"
    DOES_NOT_DISCRIMINATE = "does_not_discriminate"
    WRONG_OPTION = "wrong_option"


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """One question of one finished sitting; `pause` is the time since the answer before."""

    sitting_id: UUID
    question_id: int
    choice: str | None
    is_right: bool
    pause: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemStatistics:
    """One question: how many answers, and what they tell; None where they are too few to tell.

    `attractive` is the wrong option that the best chose more often than the right one.
    """

    question_id: int
    answers: int
    facility: float | None = None
    discrimination: float | None = None
    attractive: str | None = None
    flags: tuple[ItemFlag, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SimilarPair:
    """Two sittings with the same wrong answers to most questions that both got wrong."""

    one: UUID
    other: UUID
    same: int
    both_wrong: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FastSitting:
    """A sitting that answered many questions faster than they can be read."""

    sitting_id: UUID
    fast: int
    asked: int


Sittings = Mapping[UUID, Sequence[Response]]


def by_sitting(responses: Iterable[Response]) -> Sittings:
    """The responses of each sitting."""
    found: dict[UUID, list[Response]] = defaultdict(list)
    for one in responses:
        found[one.sitting_id].append(one)
    return found


def item_statistics(sittings: Sittings) -> list[ItemStatistics]:
    """The statistics of every question that was asked, in the order of their ids."""
    answers: dict[int, list[tuple[Response, float]]] = defaultdict(list)
    for rows in sittings.values():
        right = sum(one.is_right for one in rows)
        for one in rows:
            rest = (right - one.is_right) / max(1, len(rows) - 1)
            answers[one.question_id].append((one, rest))
    return [_statistics(id_, rows) for id_, rows in sorted(answers.items())]


def _statistics(question_id: int, rows: Sequence[tuple[Response, float]]) -> ItemStatistics:
    if len(rows) < ANSWERS_MIN:
        return ItemStatistics(question_id=question_id, answers=len(rows))
    facility = sum(one.is_right for one, _ in rows) / len(rows)
    discrimination = point_biserial([(one.is_right, rest) for one, rest in rows])
    attractive = _attractive(rows)
    return ItemStatistics(
        question_id=question_id,
        answers=len(rows),
        facility=facility,
        discrimination=discrimination,
        attractive=attractive,
        flags=tuple(_flags(facility, discrimination, attractive)),
    )


def _flags(
    facility: float, discrimination: float | None, attractive: str | None
) -> Iterator[ItemFlag]:
    if facility > TOO_EASY:
        yield ItemFlag.TOO_EASY
    if facility < TOO_HARD:
        yield ItemFlag.TOO_HARD
    if discrimination is not None and discrimination < WEAK:
        yield ItemFlag.DOES_NOT_DISCRIMINATE
    if attractive is not None:
        yield ItemFlag.WRONG_OPTION


def point_biserial(rows: Sequence[tuple[bool, float]]) -> float | None:
    """The correlation of a right answer with the rest of its sitting; None where either is flat."""
    share = sum(right for right, _ in rows) / len(rows)
    mean = sum(rest for _, rest in rows) / len(rows)
    spread = math.sqrt(sum((rest - mean) ** 2 for _, rest in rows) / len(rows))
    if not 0 < share < 1 or spread < 1e-9:
        return None
    of_right = sum(rest for right, rest in rows if right) / (share * len(rows))
    return (of_right - mean) / spread * math.sqrt(share / (1 - share))


def _attractive(rows: Sequence[tuple[Response, float]]) -> str | None:
    best = sorted(rows, key=lambda row: -row[1])[: max(1, round(len(rows) * GOOD_SHARE))]
    wrong = Counter(one.choice for one, _ in best if one.choice and not one.is_right)
    if not wrong:
        return None
    option, count = max(wrong.items(), key=lambda item: (item[1], item[0]))
    return option if count > sum(one.is_right for one, _ in best) else None


def similar_pairs(sittings: Sittings) -> list[SimilarPair]:
    """The pairs of sittings that chose the same wrong options, the most alike first."""
    wrong = {
        id_: {one.question_id: one.choice for one in rows if one.choice and not one.is_right}
        for id_, rows in sittings.items()
    }
    pairs = (_compare(one, other, wrong) for one, other in combinations(sorted(wrong), 2))
    return sorted(filter(None, pairs), key=lambda pair: (-pair.same, pair.one, pair.other))


def _compare(
    one: UUID, other: UUID, wrong: Mapping[UUID, Mapping[int, str | None]]
) -> SimilarPair | None:
    both = wrong[one].keys() & wrong[other].keys()
    same = sum(wrong[one][id_] == wrong[other][id_] for id_ in both)
    if same < SHARED_WRONG_MIN or same < SHARED_SHARE * len(both):
        return None
    return SimilarPair(one=one, other=other, same=same, both_wrong=len(both))


def fast_sittings(sittings: Sittings) -> list[FastSitting]:
    """The sittings where at least half of the answers came faster than a question is read."""
    found = []
    for id_, rows in sorted(sittings.items()):
        fast = sum(one.pause is not None and one.pause < FAST_ANSWER for one in rows)
        if fast >= FAST_SHARE * len(rows):
            found.append(FastSitting(sitting_id=id_, fast=fast, asked=len(rows)))
    return found
