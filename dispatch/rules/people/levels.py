"""The level of a friend: counts of the last months give points, and points move a level by a step.

The weights, limits and thresholds are published in `dispatch/rules/policy.py`. A level rises at the
threshold of the next one and falls only `level_margin` below its own, so that one job more or less
does not move it up and down. No level suspends anybody.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from data.records.levels import LEVEL_MAX, LevelRecord
from dispatch.rules.policy import Policy


class LevelPart(StrEnum):
    """What counts for a level, in the order of the weights and limits of the policy."""

    STARS = "stars"
    PROMPT = "prompt"
    HAND_BACKS = "hand_backs"
    FORFEITS = "forfeits"
    CONTESTS = "contests"


@dataclass(frozen=True, slots=True)
class PartPoints:
    """The points of one part, of `weight` at most: `count` out of `of`.

    Of stars, `count` is their sum and `of` the number of ratings.
    """

    part: LevelPart
    count: int
    of: int
    weight: int
    points: int


@dataclass(frozen=True, slots=True)
class Working:
    """How the points come about; `enough` is whether there are jobs enough to move a level."""

    parts: tuple[PartPoints, ...]
    points: int
    jobs: int
    enough: bool


def assess(record: LevelRecord, policy: Policy) -> Working:
    """The points of a record, with the working."""
    lost = (record.handed_back, record.forfeited, record.contested)
    weights = policy.level_weights
    parts = (
        _stars(record, weights[0], policy.level_usual_ratings),
        _prompt(record, weights[1]),
        *(
            _losses(part, count, record.jobs, weight, percent)
            for part, count, weight, percent in zip(
                list(LevelPart)[2:], lost, weights[2:], policy.level_loss_percents, strict=True
            )
        ),
    )
    return Working(
        parts=parts,
        points=sum(one.points for one in parts),
        jobs=record.jobs,
        enough=record.jobs >= policy.level_jobs_min,
    )


def _stars(record: LevelRecord, weight: int, usual: int) -> PartPoints:
    """Few ratings count little: `usual` ratings of four stars are mixed in."""
    number = record.ratings + usual
    points = weight * (record.stars + 4 * usual - number) // (4 * number) if number else weight
    return PartPoints(LevelPart.STARS, record.stars, record.ratings, weight, points)


def _prompt(record: LevelRecord, weight: int) -> PartPoints:
    points = weight * record.prompt // record.contacted if record.contacted else weight
    return PartPoints(LevelPart.PROMPT, record.prompt, record.contacted, weight, points)


def _losses(part: LevelPart, count: int, jobs: int, weight: int, percent: int) -> PartPoints:
    """All points for no loss, none for `percent` of the jobs or more."""
    most = jobs * percent
    points = weight * max(most - 100 * count, 0) // most if most else weight
    return PartPoints(part, count, jobs, weight, points)


def rises_at(level: int, policy: Policy) -> int | None:
    """The points at which this level rises; None for the highest."""
    return policy.level_points[level - 1] if level < LEVEL_MAX else None


def falls_below(level: int, policy: Policy) -> int | None:
    """The points below which this level falls; None for the lowest."""
    return policy.level_points[level - 2] - policy.level_margin if level > 1 else None


def next_level(level: int, working: Working, policy: Policy) -> int:
    """The level after a look at the working: the same, or one step up or down."""
    if not working.enough:
        return level
    up, down = rises_at(level, policy), falls_below(level, policy)
    if up is not None and working.points >= up:
        return level + 1
    return level - 1 if down is not None and working.points < down else level
