"""The level of a friend: what is counted for it, and the moves of the past."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

LEVEL_MAX: Final = 3
"""The highest level that the database allows; the lowest is 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelRecord:
    """What a friend did in a window: jobs that ended, and what became of them.

    `stars` is the sum of `ratings` ratings, `prompt` how many of the `contacted` customers were
    contacted soon, `contested` how many objections of customers the desk found right.
    """

    jobs: int = 0
    stars: int = 0
    ratings: int = 0
    contacted: int = 0
    prompt: int = 0
    handed_back: int = 0
    forfeited: int = 0
    contested: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelMove:
    """A move from one level to another, with its points; `by_rule` or by an operator."""

    at: datetime
    before: int
    after: int
    held: bool
    points: int
    by_rule: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelStanding:
    """A friend's level, whether an operator holds it, and when the rule looks at it next.

    `due_at` is None until the first look.
    """

    level: int
    held: bool
    due_at: datetime | None
