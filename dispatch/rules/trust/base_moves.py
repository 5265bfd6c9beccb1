"""How often a friend may move the base or add areas: frequent moves could locate a customer."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from data.records.people import Area
from dispatch.rules.policy import Policy
from dispatch.rules.refusals import Refused
from geo.point import Point


class BaseMovedLately(Refused):
    """You have moved your base point recently."""

    code = "base-moved-lately"
    field = "base"


def is_move(before: Point | None, base: Point) -> bool:
    """Whether the base point changes; setting it for the first time is not a move."""
    return before is not None and before != base


def adds_area(before: Iterable[Area], areas: Iterable[Area]) -> bool:
    """Whether there is an area that was not there; a smaller one is another one too."""
    return bool({*areas} - {*before})


def check_move_allowed(
    moved_at: datetime | None, now: datetime, policy: Policy, field: str = "base"
) -> None:
    """Raise BaseMovedLately before `base_moves_every` has passed since the last move."""
    if moved_at is None:
        return
    again_at = moved_at + policy.base_moves_every
    if now < again_at:
        # Rounded up to whole seconds, so that a request at this time succeeds.
        allowed_at = (again_at + timedelta(microseconds=999_999)).replace(microsecond=0)
        when = allowed_at.isoformat().replace("+00:00", "Z")
        lately = BaseMovedLately(f"It can be moved again at {when}; leave it out until then.")
        lately.field = field
        raise lately
