"""What one friend may do in a day, and how far and how much at most.

A friend learns who the customer is by accepting; so accepting and handing back again and again
would collect customers. The desk may allow a friend more or less than the policy.
"""

from __future__ import annotations

from datetime import datetime

from data.enums import FriendState
from data.records.people import Friend
from dispatch.rules.policy import Policy
from dispatch.rules.refusals import Refused


class TooManyToday(Refused):
    """You have taken as many jobs as you may in a day."""

    code = "too-many-jobs-today"


class PausedByAlarm(Refused):
    """You were paused because you handed back too many jobs."""

    code = "paused-by-alarm"
    field = "paused"
    detail = "Only the desk can end this; call us."


class BeyondLimit(Refused):
    """This is more than the desk allows you."""

    code = "beyond-limit"

    def __init__(self, name: str, most: int) -> None:
        super().__init__(f"set {name} to {most} at most, or ask the desk for more")
        self.name, self.most = name, most


def check_may_take(friend: Friend, policy: Policy) -> None:
    """Raise TooManyToday when the friend has taken as many jobs as a day allows."""
    most = policy.jobs_per_day if friend.jobs_per_day is None else friend.jobs_per_day
    if friend.taken >= most:
        raise TooManyToday(f"at most {most} in 24 hours; try again later, or ask the desk for more")


def is_one_too_many(friend: Friend, policy: Policy) -> bool:
    """Whether one more job handed back is more than a day allows."""
    allowed = friend.hand_backs_per_day
    return friend.handed_back >= (policy.hand_backs_per_day if allowed is None else allowed)


def check_may_set(state: FriendState, *, alarmed_at: datetime | None) -> None:
    """Raise PausedByAlarm when a friend ends a pause before the desk has looked into the alarm."""
    if alarmed_at is not None and state is FriendState.ACTIVE:
        raise PausedByAlarm


def check_settable(name: str, wanted: int | None, *, now: int, most: int) -> None:
    """Raise BeyondLimit when a friend raises a number beyond `most`; what stands may stay."""
    if wanted is not None and wanted > max(now, most):
        raise BeyondLimit(name, most)
