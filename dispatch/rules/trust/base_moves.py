"""How often a friend may move his base: whoever moved it at will could feel for the door."""

from __future__ import annotations

from datetime import datetime, timedelta

from dispatch.rules.policy import Policy
from dispatch.rules.refusals import Refused
from geo.point import Point


class BaseMovedLately(Refused):
    """You have moved your base point lately."""

    code = "base-moved-lately"
    field = "base"


def is_move(before: Point | None, base: Point) -> bool:
    """Whether this is a move; to say for the first time where he starts from is none."""
    return before is not None and before != base


def check_move_allowed(moved_at: datetime | None, now: datetime, policy: Policy) -> None:
    """Refuse a move before `base_moves_every` has passed since the last one."""
    if moved_at is None:
        return
    again_at = moved_at + policy.base_moves_every
    if now < again_at:
        # Whole seconds, and not one too early for whoever comes back at that very moment.
        said = (again_at + timedelta(microseconds=999_999)).replace(microsecond=0)
        when = said.isoformat().replace("+00:00", "Z")
        raise BaseMovedLately(f"It can be moved again at {when}; leave it out until then.")
