"""The numbers of dispatch: the only place to change how tekkie asks.

`POLICY` holds the numbers for every job; an `Override` replaces some of them for a tier, a package
or both. Rules ask `policy.at(tier, package)`. Texts are filled with these numbers and never state
one themselves.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import timedelta
from enum import StrEnum
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

from data.enums import Tier
from data.records.levels import LEVEL_MAX

FAN_OUT_MAX: Final = 8
"""As many slots as the database allows a booking (`offer_slot_within`)."""
CONTACT_WITHIN_MAX: Final = timedelta(hours=48)
"""The longest that the database allows (`award_contact_within`)."""
DAY_LIMIT_MAX: Final = 100
"""As many moments as the database keeps of what a friend took or handed back in a day."""
HOUR: Final = timedelta(hours=1)


class RankBy(StrEnum):
    """From where distance is counted: the customer's address, or the centre of its coarse cell."""

    DOOR = "door"
    CELL = "cell"


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """Other numbers for one tier, one package or both; None stands for all of them."""

    tier: Tier | None = None
    package: str | None = None
    numbers: Mapping[str, Any]

    def applies(self, tier: Tier, package: str) -> bool:
        """Whether a job of this tier and package goes by these numbers."""
        return self.tier in (None, tier) and self.package in (None, package)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How many are asked, how long, how often, and what is recorded about it.

    `contact_within` and `fan_out` are promises to the customer: every award and every offer is
    stored with its own, and the database holds it to them. A friend that the customer asked for is
    asked alone `favourite_first_for`. A departure more than `early_departure`
    before the appointment is probably a mistake. A job can be completed without the customer's
    signature from `complete_after_percent` of the package's minutes on. `rank_by` weighs who is
    asked against what that gives away: `docs/decisions/0008-selection-leak.md`. The data of a
    customer are erased `customers_kept` after the last change of the booking. A friend is told
    `certificate_told_before` the end of a certificate, and may sit its exam again from then on.
    More time in an exam is `exam_more_time_percent` more; after all attempts at one the next begin
    `exam_long_wait` later. A person uploads `uploads_per_day` pictures, keeps `evidence_max` unseen
    pieces of evidence for `evidence_kept` at most, and a job has `results_per_job` pictures.
    Who asks a person to look at a decision again is answered within `review_answered_within`; the
    desk is reminded `review_reminded_before` the end.
    An errand is parked after `errand_attempts`. Of codes by SMS a number, a network and a person
    each get `phone_codes_max` within `phone_codes_within`.
    A job is offered to friends of `least_level` and above. A level is looked at `level_every`, with
    the jobs that ended in `level_window`, of which there must be `level_jobs_min`. Points are
    weighed by `level_weights` (stars, prompt contacts, hand-backs, forfeits, upheld objections;
    1000 in all): a contact is prompt within `level_prompt_within`, and losses of so many per cent
    of the jobs as `level_loss_percents` say leave no points. `level_points` are those of each level
    above the first; a level is kept down to `level_margin` less.
    `bookings_…` are quotas of bookings without a partner, `proof_after_…` how many of them need no
    proof of work. A friend takes `jobs_per_day` at most in 24 hours, is paused after more than
    `hand_backs_per_day`, and sets capacity and radius up to `…_max`, unless the desk allows this
    friend otherwise. Of several overrides that apply, the later one wins.
    """

    version: str = "2026-11"
    rank_by: RankBy = RankBy.DOOR
    fan_out: int = 4
    offer_life: timedelta = timedelta(minutes=60)
    favourite_first_for: timedelta = timedelta(minutes=30)
    rounds: int = 5
    live_offers_max: int = 5
    contact_within: timedelta = timedelta(hours=12)
    contact_reminders: tuple[timedelta, ...] = (timedelta(hours=4), timedelta(hours=1))
    retry_every: timedelta = timedelta(minutes=15)
    retry_for: timedelta = timedelta(days=7)
    confirm_within: timedelta = timedelta(hours=24)
    confirmed_for: timedelta = timedelta(days=180)
    wrong_codes_max: int = 5
    bookings_within: timedelta = timedelta(hours=24)
    bookings_per_email: int = 5
    bookings_per_phone: int = 5
    bookings_per_network: int = 200
    bookings_per_place: int = 20
    proof_after_bookings: int = 2
    proof_after_network: int = 10
    privacy_after: timedelta = timedelta(days=14)
    quote_life: timedelta = timedelta(minutes=15)
    agree_within: timedelta = timedelta(days=3)
    answer_contest_within: timedelta = timedelta(hours=12)
    messages_for: timedelta = timedelta(days=14)
    messages_kept: timedelta = timedelta(days=90)
    messages_within: timedelta = timedelta(hours=1)
    messages_per_author: int = 60
    letter_after: timedelta = timedelta(minutes=1)
    letters_every: timedelta = timedelta(minutes=15)
    appointment_ahead: timedelta = timedelta(days=60)
    appointment_max: timedelta = timedelta(hours=24)
    early_departure: timedelta = timedelta(hours=2)
    complete_after_percent: int = 25
    contest_within: timedelta = timedelta(days=14)
    review_within: timedelta = timedelta(days=14)
    commission_percent: int = 20
    cancel_free_until: timedelta = timedelta(hours=24)
    cancel_late_percent: int = 25
    travel_detour_percent: int = 140
    travel_kmh: int = 20
    shown_step_m: int = 100
    base_moves_every: timedelta = timedelta(hours=24)
    jobs_per_day: int = 30
    hand_backs_per_day: int = 5
    capacity_max: int = 10
    radius_max_m: int = 50_000
    supply_step: timedelta = timedelta(minutes=15)
    supply_radius_step_m: int = 1_000
    quotes_per_minute: int = 60
    quotes_per_minute_of_partner: int = 600
    login_links_per_minute: int = 30
    customers_kept: timedelta = timedelta(days=365)
    mails_kept: timedelta = timedelta(days=30)
    certificate_told_before: timedelta = timedelta(days=30)
    uploads_per_day: int = 60
    evidence_max: int = 6
    evidence_kept: timedelta = timedelta(days=30)
    results_per_job: int = 12
    review_answered_within: timedelta = timedelta(days=14)
    review_reminded_before: timedelta = timedelta(days=3)
    exam_more_time_percent: int = 50
    exam_long_wait: timedelta = timedelta(days=90)
    errand_attempts: int = 8
    errands_kept: timedelta = timedelta(days=90)
    phone_code_life: timedelta = timedelta(minutes=10)
    phone_code_tries: int = 5
    phone_codes_max: int = 3
    phone_codes_within: timedelta = timedelta(hours=1)
    least_level: int = 1
    level_every: timedelta = timedelta(days=30)
    level_window: timedelta = timedelta(days=90)
    level_jobs_min: int = 10
    level_weights: tuple[int, ...] = (400, 200, 150, 150, 100)
    level_loss_percents: tuple[int, ...] = (25, 20, 10)
    level_usual_ratings: int = 5
    level_prompt_within: timedelta = timedelta(hours=4)
    level_points: tuple[int, ...] = (650, 800)
    level_margin: int = 150
    frame: int = 16
    overrides: tuple[Override, ...] = ()
    _at: dict[tuple[Tier, str], Policy] = field(
        init=False, repr=False, compare=False, default_factory=dict
    )
    _fingerprint: list[UUID] = field(init=False, repr=False, compare=False, default_factory=list)

    def __post_init__(self) -> None:
        """Refuse numbers that contradict each other, naming the two."""
        if not 1 <= self.fan_out <= FAN_OUT_MAX:
            raise ValueError(f"fan_out must be 1 to {FAN_OUT_MAX}, as many slots as a booking has")
        if self.contact_within % HOUR or not HOUR <= self.contact_within <= CONTACT_WITHIN_MAX:
            most = CONTACT_WITHIN_MAX // HOUR
            raise ValueError(f"contact_within must be whole hours, 1 to {most}")
        if any(not timedelta(0) < r < self.contact_within for r in self.contact_reminders):
            raise ValueError("contact_reminders must lie between 0 and contact_within")
        if list(self.contact_reminders) != sorted(self.contact_reminders, reverse=True):
            raise ValueError("contact_reminders must run from the longest to the shortest")
        if min(self.rounds, self.live_offers_max) < 1 or self.shortest_offer <= timedelta(0):
            raise ValueError(
                "rounds, live_offers_max, offer_life and favourite_first_for must be positive"
            )
        if self.retry_every <= timedelta(0) or self.shown_step_m < 1:
            raise ValueError("retry_every and shown_step_m must be positive")
        if not 0 <= self.commission_percent < 100:
            raise ValueError("commission_percent must be 0 to 99")
        self._check_trust()
        self._check_visits()
        self._check_privacy()
        self._check_kept()
        self._check_friends()
        self._check_errands()
        self._check_levels()
        self._check_messages()
        self._check_overrides()

    def _check_errands(self) -> None:
        if not 1 <= self.errand_attempts <= 20 or self.errands_kept <= self.phone_code_life:
            raise ValueError("errand_attempts must be 1 to 20, errands_kept over phone_code_life")
        times = (self.phone_code_life, self.phone_codes_within)
        if min(times) <= timedelta(0) or min(self.phone_code_tries, self.phone_codes_max) < 1:
            raise ValueError("phone_code_… and phone_codes_… must be positive")

    def _check_levels(self) -> None:
        if not 1 <= self.least_level <= LEVEL_MAX:
            raise ValueError(f"least_level must be 1 to {LEVEL_MAX}")
        if not timedelta(0) < self.level_every <= self.level_window:
            raise ValueError("level_every must be positive, and level_window at most")
        if len(self.level_weights) != 5 or min(self.level_weights) < 0:
            raise ValueError("level_weights must be five numbers, none negative")
        if sum(self.level_weights) != 1000:
            raise ValueError("level_weights must add up to 1000")
        if len(self.level_loss_percents) != 3 or min(self.level_loss_percents) < 1:
            raise ValueError("level_loss_percents must be three positive numbers")
        if self.level_prompt_within <= timedelta(0) or self.level_jobs_min < 1:
            raise ValueError("level_prompt_within and level_jobs_min must be positive")
        self._check_level_points()

    def _check_level_points(self) -> None:
        points = [self.level_margin, *self.level_points, 1001]
        if len(points) != LEVEL_MAX + 1 or points != sorted({*points}):
            raise ValueError("level_points must rise, one for each level above the first")
        if self.level_margin < 0 or self.level_usual_ratings < 0:
            raise ValueError("level_margin and level_usual_ratings must not be negative")

    def _check_friends(self) -> None:
        limits = (self.jobs_per_day, self.hand_backs_per_day)
        if min(limits) < 0 or max(limits) > DAY_LIMIT_MAX:
            raise ValueError(f"jobs_per_day and hand_backs_per_day must be 0 to {DAY_LIMIT_MAX}")
        if not (1 <= self.capacity_max <= 20 and 500 <= self.radius_max_m <= 100_000):
            raise ValueError("capacity_max must be 1 to 20, radius_max_m 500 to 100000")
        if not timedelta(0) < self.review_reminded_before < self.review_answered_within:
            raise ValueError("review_reminded_before must lie between 0 and review_answered_within")

    def _check_trust(self) -> None:
        if min(self.confirm_within, self.confirmed_for) <= timedelta(0) or self.wrong_codes_max < 1:
            raise ValueError("confirm_within, confirmed_for and wrong_codes_max must be positive")
        quotas = (self.bookings_per_email, self.bookings_per_phone, self.bookings_per_network)
        proofs = (self.bookings_per_place, self.proof_after_bookings, self.proof_after_network)
        if min(*quotas, *proofs) < 1 or self.bookings_within <= timedelta(0):
            raise ValueError("bookings_… and proof_after_… must be positive")

    def _check_privacy(self) -> None:
        if self.rank_by not in set(RankBy):
            raise ValueError(f"rank_by must be one of: {', '.join(RankBy)}")
        if self.base_moves_every < timedelta(0):
            raise ValueError("base_moves_every must not be negative")
        if self.supply_step <= timedelta(0) or self.supply_radius_step_m < 1:
            raise ValueError("supply_step and supply_radius_step_m must be positive")
        for name in ("quotes_per_minute", "quotes_per_minute_of_partner", "login_links_per_minute"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be positive")

    def _check_kept(self) -> None:
        if self.customers_kept < self.privacy_after or self.mails_kept <= timedelta(0):
            raise ValueError("customers_kept must be privacy_after or more, mails_kept positive")
        if self.certificate_told_before <= timedelta(0):
            raise ValueError("certificate_told_before must be positive")
        if min(self.uploads_per_day, self.evidence_max, self.results_per_job) < 1:
            raise ValueError("uploads_per_day, evidence_max and results_per_job must be positive")
        if self.evidence_kept <= timedelta(0):
            raise ValueError("evidence_kept must be positive")
        if self.exam_long_wait <= timedelta(0) or not 0 <= self.exam_more_time_percent <= 200:
            raise ValueError("exam_long_wait must be positive, exam_more_time_percent 0 to 200")

    def _check_visits(self) -> None:
        if min(self.agree_within, self.answer_contest_within) <= timedelta(0):
            raise ValueError("agree_within and answer_contest_within must be positive")
        if self.contest_within <= timedelta(0):
            raise ValueError("contest_within must be positive")
        if self.review_within <= timedelta(0):
            raise ValueError("review_within must be positive")
        if self.early_departure < timedelta(0):
            raise ValueError("early_departure must not be negative")
        if not 0 <= self.complete_after_percent <= 100:
            raise ValueError("complete_after_percent must be 0 to 100")
        hours = self.cancel_free_until
        if hours < timedelta(0) or hours % HOUR or not 0 <= self.cancel_late_percent <= 100:
            raise ValueError("cancel_free_until must be whole hours, cancel_late_percent 0 to 100")
        if self.travel_detour_percent < 100 or self.travel_kmh < 1:
            raise ValueError("travel_detour_percent must be 100 or more, travel_kmh 1 or more")

    def _check_messages(self) -> None:
        if not timedelta(0) <= self.messages_for <= min(self.privacy_after, self.messages_kept):
            raise ValueError("messages_for must be privacy_after and messages_kept at most")
        if min(self.messages_within, self.letter_after, self.letters_every) <= timedelta(0):
            raise ValueError("messages_within, letter_after and letters_every must be positive")
        if self.messages_per_author < 1:
            raise ValueError("messages_per_author must be positive")

    def _check_overrides(self) -> None:
        for override in self.overrides:
            unknown = sorted(override.numbers.keys() - OVERRIDABLE)
            if unknown:
                raise ValueError(
                    f"overrides: {unknown[0]} is not one of: {', '.join(sorted(OVERRIDABLE))}"
                )
            replace(self, overrides=(), **override.numbers)

    def at(self, tier: Tier, package: str) -> Policy:
        """The numbers for a job of this tier and package."""
        if not self.overrides:
            return self
        found = self._at.get((tier, package))
        if found is None:
            numbers: dict[str, Any] = {}
            for override in self.overrides:
                if override.applies(tier, package):
                    numbers |= override.numbers
            found = self._at[tier, package] = replace(self, overrides=(), **numbers)
        return found

    @property
    def shortest_offer(self) -> timedelta:
        """The shortest that an offer lives."""
        return min(self.offer_life, self.favourite_first_for)

    @property
    def contact_within_h(self) -> int:
        """`contact_within` in hours."""
        return self.contact_within // HOUR

    @property
    def name(self) -> str:
        """How the record of a decision names the policy by which it was made."""
        return f"{self.version} by {self.rank_by}"

    @property
    def numbers(self) -> dict[str, Any]:
        """All numbers by name, times in seconds, as they are stored; `restore` reads them."""
        names = (one.name for one in fields(self) if one.init)
        return {name: _plain(getattr(self, name)) for name in names}

    @property
    def fingerprint(self) -> UUID:
        """A hash of all numbers: two policies that differ in anything have different ones."""
        if not self._fingerprint:
            digest = sha256(json.dumps(self.numbers, sort_keys=True).encode()).digest()
            self._fingerprint.append(UUID(bytes=digest[:16]))
        return self._fingerprint[0]


def restore(numbers: Mapping[str, Any]) -> Policy:
    """A policy from its stored `numbers`. Raises ValueError.

    A number that this release does not know is left out; one that the stored policy did not have
    gets its default.
    """
    known = {one.name: one.default for one in fields(Policy) if one.init}
    return Policy(
        **{name: _typed(known[name], value) for name, value in numbers.items() if name in known}
    )


def _plain(value: Any) -> Any:
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Override):
        numbers = {name: _plain(one) for name, one in value.numbers.items()}
        return {"tier": value.tier, "package": value.package, "numbers": numbers}
    return [_plain(one) for one in value] if isinstance(value, tuple) else value


def _typed(default: Any, value: Any) -> Any:
    """A stored value as one of the type of `default`; only the overrides have no default."""
    if isinstance(default, timedelta):
        return timedelta(seconds=value)
    if isinstance(default, tuple):
        return tuple(_typed(default[0], one) if default else _override(one) for one in value)
    return type(default)(value)


def _override(stored: Mapping[str, Any]) -> Override:
    defaults = {one.name: one.default for one in fields(Policy)}
    return Override(
        tier=stored["tier"] and Tier(stored["tier"]),
        package=stored["package"],
        numbers={
            name: _typed(defaults[name], value)
            for name, value in stored["numbers"].items()
            if name in defaults
        },
    )


# What is decided before a tier is known, or holds for all jobs of a friend, is the same for all.
FOR_ALL: Final = frozenset(
    {"version", "rank_by", "live_offers_max", "privacy_after", "quote_life", "frame"}
    | {"confirm_within", "confirmed_for", "wrong_codes_max"}
    | {"bookings_within", "bookings_per_email", "bookings_per_phone", "bookings_per_network"}
    | {"bookings_per_place", "proof_after_bookings", "proof_after_network"}
    | {"shown_step_m", "base_moves_every", "supply_step", "supply_radius_step_m"}
    | {"quotes_per_minute", "quotes_per_minute_of_partner", "login_links_per_minute"}
    | {"messages_kept", "messages_within", "messages_per_author", "letter_after", "letters_every"}
    | {"messages_for", "customers_kept", "mails_kept", "agree_within", "early_departure"}
    | {"uploads_per_day", "evidence_max", "evidence_kept"}
    | {"review_answered_within", "review_reminded_before"}
    | {"errand_attempts", "errands_kept", "phone_code_life", "phone_code_tries"}
    | {"phone_codes_max", "phone_codes_within"}
    | {"jobs_per_day", "hand_backs_per_day", "capacity_max", "radius_max_m"}
    | {"level_every", "level_window", "level_jobs_min", "level_weights", "level_loss_percents"}
    | {"level_usual_ratings", "level_prompt_within", "level_points", "level_margin"}
    | {"overrides", "_at", "_fingerprint"}
)
OVERRIDABLE: Final = frozenset(one.name for one in fields(Policy)) - FOR_ALL

POLICY = Policy(
    overrides=(Override(tier=Tier.PRO, numbers={"contact_within": timedelta(hours=8)}),),
)
