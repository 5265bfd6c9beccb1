"""Asking friends: who is asked about a job, when the next ones are, and when nobody is left.

A fan-out has two halves. `begin` (or `restart`, when the job has lost its friend) states what to
look for and returns a `PendingFanOut`; the flow then finds who is near, and `finish` makes the
offers, escalates to the pros or leaves the booking unfilled.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from data.enums import BookingState, OfferState, Tier, TimerKind
from data.records.decisions import Decision, Search
from data.records.ids import OfferId, derived_id
from data.records.jobs import Changes, Offer
from data.replace import replace
from dispatch.rules.jobs import inputs, matching
from dispatch.rules.jobs.draft import Case, Draft, PendingFanOut, Verdict, name_asked
from dispatch.rules.jobs.matching import Nearby, Others, Ranking
from dispatch.rules.jobs.reach import count_reach

NOBODY_ELSE: Final = Others()


def begin(draft: Draft) -> PendingFanOut:
    """Ask as many more friends as there are free slots, in the tier and round of the booking."""
    job = draft.job
    needs = matching.needs(job, draft.now, draft.policy)
    want = max((_free_slots(draft, need) for need in needs), default=0)
    # The favourite has the first round of a booking; later ones, also after a failure, have none.
    favourite = None if draft.booking.round else draft.booking.favourite_id
    return PendingFanOut(draft=draft, job=job, needs=needs, want=want, favourite=favourite)


def restart(draft: Draft) -> PendingFanOut:
    """Ask again: from the first tier of the job, with a full number of rounds, no timer set."""
    draft.stop_timers()
    first = matching.first_tier(draft.case.job.package)
    draft.change(tier=Tier.PRO if draft.booking.needs_pro else first)
    draft.change(round_limit=draft.booking.round + draft.policy.rounds)
    return begin(draft)


def finish(
    pending: PendingFanOut, nearby: tuple[Nearby, ...], others: Others = NOBODY_ELSE
) -> Changes:
    """Offer to the nearest who qualify, or leave the booking unfilled when nobody is left.

    `others` are counted in the record, and never asked.
    """
    draft = pending.draft
    fresh = not draft.live
    search = matching.search_of(pending.job)
    ranking = matching.choose(
        nearby,
        pending.needs,
        asked=[offer.friend_id for offer in draft.live],
        want=lambda need: _free_slots(draft, need),
        favourite=pending.favourite,
    )
    if ranking.alone:
        _offer_to_favourite(draft, ranking.chosen[0])
    elif ranking.met:
        _escalate_to(draft, ranking.met)
        _offer_to(draft, ranking.chosen, fresh=fresh)
    elif fresh:
        _nobody_left(draft, "nobody_left" if pending.needs else "rounds_spent")
    _record(pending, search, ranking, others)
    draft.set_timer(TimerKind.OFFERS_EXPIRE, _next_expiry(draft))
    return draft.changes()


def expire(case: Case) -> Verdict:
    """Let the offers that are due expire and ask the next nearest."""
    draft = Draft(case)
    due = [offer for offer in draft.live if offer.expires_at <= case.now]
    if not due:
        draft.set_timer(TimerKind.OFFERS_EXPIRE, _next_expiry(draft))
        return draft.changes()
    for offer in due:
        draft.close_offer(offer, OfferState.EXPIRED)
    draft.add_event("offer.expired", **name_asked("friends", due))
    return begin(draft)


def retry(case: Case) -> Verdict:
    """Try an unfilled booking again; no event is written when still nobody qualifies."""
    draft = Draft(case)
    draft.set_timer(TimerKind.RETRY, None)
    if draft.booking.state is not BookingState.UNFILLED:
        return draft.changes()
    return restart(draft)


def _free_slots(draft: Draft, need: matching.Need) -> int:
    fan_out = draft.case.policy.at(need.tier, draft.booking.package).fan_out
    return fan_out - len(draft.live)


def _escalate_to(draft: Draft, need: matching.Need) -> None:
    booking = draft.booking
    if need.tier is not booking.tier:
        draft.change(tier=need.tier)
        draft.change(round_limit=booking.round + draft.policy.rounds)
        draft.add_event("booking.escalated", tier=str(need.tier))


def _offer_to_favourite(draft: Draft, near: Nearby) -> None:
    """Ask one friend alone, in a round besides those of the policy."""
    booking = draft.booking
    draft.change(round=booking.round + 1, round_limit=booking.round_limit + 1)
    offer = _new_offer(draft, near, slot=1)
    life = draft.policy.favourite_first_for
    _add_offers(draft, replace(offer, slots=1, expires_at=draft.now + life), favourite=True)


def _offer_to(draft: Draft, chosen: tuple[Nearby, ...], *, fresh: bool) -> None:
    if fresh:
        draft.change(round=draft.booking.round + 1)
    taken = {offer.slot for offer in draft.live}
    slots = [slot for slot in range(1, draft.policy.fan_out + 1) if slot not in taken]
    pairs = zip(chosen, slots, strict=False)
    _add_offers(draft, *(_new_offer(draft, near, slot) for near, slot in pairs))


def _add_offers(draft: Draft, *offers: Offer, **data: bool) -> None:
    for offer in offers:
        draft.add_offer(offer)
    if draft.booking.state is not BookingState.OPEN:
        draft.move(BookingState.OPEN)
    draft.set_timer(TimerKind.RETRY, None)
    draft.add_event(
        "booking.offered",
        round=draft.booking.round,
        offers=[_offer_data(offer) for offer in offers],
        **data,
    )


def _offer_data(offer: Offer) -> dict[str, str]:
    data = {
        "id": str(offer.id),
        "friend": str(offer.friend_id),
        "expires_at": offer.expires_at.isoformat(),
    }
    return data | {"company": str(offer.company)} if offer.company else data


def _new_offer(draft: Draft, near: Nearby, slot: int) -> Offer:
    booking, policy = draft.booking, draft.policy
    return Offer(
        id=OfferId(derived_id(booking.id, "offer", booking.round, str(near.friend.id))),
        booking_id=booking.id,
        friend_id=near.friend.id,
        round=booking.round,
        slot=slot,
        slots=policy.fan_out,
        state=OfferState.LIVE,
        distance_m=int(near.distance_m),
        shown_m=matching.rounded_distance_m(booking, near.friend, policy),
        radius_m=matching.reach_m(
            near.friend, near.distance_m, matching.booking_reference_point(booking, policy)
        ),
        offered_at=draft.now,
        expires_at=draft.now + policy.offer_life,
        company=near.friend.company,
    )


def _nobody_left(draft: Draft, because: str) -> None:
    since = draft.booking.state_at
    already = draft.booking.state is BookingState.UNFILLED and draft.seq > 1
    if not already:
        draft.move(BookingState.UNFILLED)
        draft.add_event("booking.unfilled", round=draft.booking.round, because=because)
        since = draft.now
    if draft.now < since + draft.policy.retry_for:
        draft.set_timer(TimerKind.RETRY, draft.now + draft.policy.retry_every)


def _record(pending: PendingFanOut, search: Search, ranking: Ranking, others: Others) -> None:
    draft, favourite = pending.draft, pending.favourite
    booking = draft.booking
    if draft.seq == draft.case.job.booking.event_seq:
        return
    draft.add_decision(
        Decision(
            booking_id=booking.id,
            seq=draft.seq,
            round=booking.round,
            tier=booking.tier,
            at=draft.now,
            policy=draft.case.policy.name,
            friends=ranking.considered,
            policy_id=draft.case.policy.fingerprint,
            inputs=inputs.collect(search, ranking, favourite),
            reach=count_reach(ranking, others),
        )
    )


def _next_expiry(draft: Draft) -> datetime | None:
    return min((offer.expires_at for offer in draft.live), default=None)
