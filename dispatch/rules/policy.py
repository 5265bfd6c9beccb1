"""The numbers of dispatch. Whoever changes how tekkie asks changes this file and no other."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum


class RankBy(StrEnum):
    """From where nearness is counted: the customer's door, or the middle of her coarse cell."""

    DOOR = "door"
    CELL = "cell"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How many are asked, how long, how often, and what is written down about it.

    The twelve hours of `contact_within` and the four of `fan_out` are promises to the customer:
    the database holds them too (`award_twelve_hours`, `offers.slot`). `rank_by` weighs who is asked
    against what that gives away: `docs/decisions/0008-selection-leak.md`.
    """

    version: str = "2026-11"
    rank_by: RankBy = RankBy.DOOR
    fan_out: int = 4
    offer_life: timedelta = timedelta(minutes=60)
    rounds: int = 5
    live_offers_max: int = 5
    contact_within: timedelta = timedelta(hours=12)
    contact_reminders: tuple[timedelta, ...] = (timedelta(hours=4), timedelta(hours=1))
    retry_every: timedelta = timedelta(minutes=15)
    retry_for: timedelta = timedelta(days=7)
    privacy_after: timedelta = timedelta(days=14)
    quote_life: timedelta = timedelta(minutes=15)
    appointment_ahead: timedelta = timedelta(days=60)
    commission_percent: int = 20
    cancel_free_until: timedelta = timedelta(hours=24)
    cancel_late_percent: int = 25
    travel_detour_percent: int = 140
    travel_kmh: int = 20
    shown_step_m: int = 100
    base_moves_every: timedelta = timedelta(hours=24)
    frame: int = 16

    def __post_init__(self) -> None:
        """Refuse numbers that contradict each other, naming the two."""
        if not 1 <= self.fan_out <= 4:
            raise ValueError("fan_out must be 1 to 4: the database has four slots per booking")
        if self.contact_within != timedelta(hours=12):
            raise ValueError(
                "contact_within is 12 hours: the constraint award_twelve_hours says so"
            )
        if any(not timedelta(0) < r < self.contact_within for r in self.contact_reminders):
            raise ValueError("contact_reminders must lie between 0 and contact_within")
        if list(self.contact_reminders) != sorted(self.contact_reminders, reverse=True):
            raise ValueError("contact_reminders must run from the longest to the shortest")
        if self.rounds < 1 or self.offer_life <= timedelta(0) or self.live_offers_max < 1:
            raise ValueError("rounds, offer_life and live_offers_max must be positive")
        if self.retry_every <= timedelta(0) or self.shown_step_m < 1:
            raise ValueError("retry_every and shown_step_m must be positive")
        if not 0 <= self.commission_percent < 100:
            raise ValueError("commission_percent must be 0 to 99")
        self._check_visits()
        self._check_what_it_gives_away()

    def _check_what_it_gives_away(self) -> None:
        if self.rank_by not in set(RankBy):
            raise ValueError(f"rank_by must be one of: {', '.join(RankBy)}")
        if self.base_moves_every < timedelta(0):
            raise ValueError("base_moves_every must not be negative")

    def _check_visits(self) -> None:
        if self.cancel_free_until < timedelta(0) or not 0 <= self.cancel_late_percent <= 100:
            raise ValueError("cancel_free_until and cancel_late_percent: 0 or more, at most 100 %")
        if self.travel_detour_percent < 100 or self.travel_kmh < 1:
            raise ValueError("travel_detour_percent must be 100 or more, travel_kmh 1 or more")

    @property
    def name(self) -> str:
        """How the record of a decision names the policy by which it was made."""
        return f"{self.version} by {self.rank_by}"


POLICY = Policy()
