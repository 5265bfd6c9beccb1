"""Obstacles that keep offers from a friend, as reported by the alarm test."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from data.enums import FriendState
from data.markets import Market
from data.records.people import Plan, QuietHours
from dispatch.rules.people.ages import local_day
from dispatch.rules.people.quiet_hours import is_quiet, local_minute
from dispatch.rules.people.weekly_plan import is_off


class Obstacle(StrEnum):
    """What keeps offers, or their push messages, from a friend."""

    NO_PHONE = "no_phone"
    APPLICANT = "applicant"
    PAUSED = "paused"
    SUSPENDED = "suspended"
    QUIET_HOURS = "quiet_hours"
    OUTSIDE_PLAN = "outside_plan"
    AT_CAPACITY = "at_capacity"
    NO_BASE = "no_base"
    NO_CERTIFICATE = "no_certificate"


class AlarmState(StrEnum):
    """Whether a phone of a friend rings for new offers."""

    NO_PHONE = "no_phone"
    UNCONFIRMED = "unconfirmed"
    CONFIRMED = "confirmed"


def alarm_state(phones: Collection[bool]) -> AlarmState:
    """The state by the subscribed phones: for each, whether the friend confirmed that it rings."""
    if any(phones):
        return AlarmState.CONFIRMED
    return AlarmState.UNCONFIRMED if phones else AlarmState.NO_PHONE


class FriendStatus(Protocol):
    """The facts about a friend that decide about obstacles."""

    @property
    def now(self) -> datetime: ...
    @property
    def state(self) -> FriendState: ...
    @property
    def market(self) -> Market: ...
    @property
    def quiet(self) -> QuietHours | None: ...
    @property
    def plan(self) -> Plan | None: ...
    @property
    def open_jobs(self) -> int: ...
    @property
    def capacity(self) -> int: ...
    @property
    def placed(self) -> bool: ...
    @property
    def certified(self) -> bool: ...


def obstacles(friend: FriendStatus, *, phones: int) -> tuple[Obstacle, ...]:
    """All obstacles to the next offer of a friend with this number of subscribed phones."""
    minute, today = local_minute(friend.now, friend.market), local_day(friend.now, friend.market)
    hindered = {
        Obstacle.NO_PHONE: phones == 0,
        Obstacle.APPLICANT: friend.state is FriendState.APPLICANT,
        Obstacle.PAUSED: friend.state is FriendState.PAUSED,
        Obstacle.SUSPENDED: friend.state is FriendState.SUSPENDED,
        Obstacle.QUIET_HOURS: is_quiet(friend.quiet, minute),
        Obstacle.OUTSIDE_PLAN: friend.plan is not None and is_off(friend.plan, today, minute),
        Obstacle.AT_CAPACITY: friend.open_jobs >= friend.capacity,
        Obstacle.NO_BASE: not friend.placed,
        Obstacle.NO_CERTIFICATE: not friend.certified,
    }
    return tuple(one for one, stands in hindered.items() if stands)
