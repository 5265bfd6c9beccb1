"""The JSON about levels: the level, the working with its points, and the moves of the past."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import Field, Strict

from api.schemas.base import RequestModel, ResponseModel, example
from api.schemas.fields import WHOLE, Flag, Reason
from data.records.levels import LEVEL_MAX
from dispatch.flows.people.levels import LevelOf
from dispatch.rules.people.levels import LevelPart, falls_below, rises_at
from dispatch.rules.policy import Policy


class LevelRequest(RequestModel):
    """The level of a friend; while `held` no rule moves it. The reason is kept as a note."""

    model_config = example({"level": 2, "held": False, "reason": "A mistake of the import."})

    level: Annotated[int, Strict(), Field(ge=1, le=LEVEL_MAX), WHOLE]
    held: Flag
    reason: Reason


class LevelPoints(ResponseModel):
    """The points of one part, of `weight` at most: `count` out of `of`.

    Of stars, `count` is their sum and `of` the number of ratings.
    """

    part: LevelPart
    count: int
    of: int
    weight: int
    points: int


class LevelMoveLine(ResponseModel):
    """A move of the level; `by_rule` once a month, otherwise by an operator."""

    at: datetime
    before: int
    after: int
    held: bool
    points: int
    by_rule: bool


class LevelResponse(ResponseModel):
    """A level and its working as of now.

    It rises at `rises_at` points and falls under `falls_below` when looked at on `due_at`, provided
    that `jobs_min` jobs or more ended in the last `window_days`. Null: it cannot rise or fall, or
    was never looked at.
    """

    level: int
    highest: int
    held: bool
    due_at: datetime | None
    points: int
    rises_at: int | None
    falls_below: int | None
    jobs: int
    jobs_min: int
    window_days: int
    prompt_hours: int
    parts: list[LevelPoints]
    moves: list[LevelMoveLine]


def present_level(found: LevelOf, policy: Policy) -> LevelResponse:
    """The level of a friend with its working."""
    level, working = found.standing.level, found.working
    return LevelResponse(
        level=level,
        highest=LEVEL_MAX,
        held=found.standing.held,
        due_at=found.standing.due_at,
        points=working.points,
        rises_at=rises_at(level, policy),
        falls_below=falls_below(level, policy),
        jobs=working.jobs,
        jobs_min=policy.level_jobs_min,
        window_days=policy.level_window.days,
        prompt_hours=round(policy.level_prompt_within.total_seconds() / 3600),
        parts=[LevelPoints.model_validate(one) for one in working.parts],
        moves=[LevelMoveLine.model_validate(one) for one in found.moves],
    )
