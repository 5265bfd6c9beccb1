"""What providers answer: errands are claimed for a call, and the answer is heard once.

A crash between the call and its mark leaves the errand claimed; when the lease ends it is claimed
again and sent with the same id. An answer is heard by the flow of its kind in the transaction that
marks the errand, under the lock of its row: a second answer finds it ended.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from data.db import Connection, transaction
from data.enums import ErrandState
from data.records.errands import Errand, Heard
from data.records.subjects import Subject
from data.store import audit, errands, phone_codes
from data.store.errands import ClaimedErrand, ClaimedNotice
from data.store.outbox import DeliveryOutcome
from data.store.phone_codes import CodeToSend
from dispatch.flows.people import phone_numbers
from dispatch.rules.errands import ERRANDS, SEND_TEXT, declared_answer
from dispatch.rules.refusals import NotFound
from dispatch.runtime import Runtime

Hear = Callable[[Connection, Errand, Heard], Awaitable[None]]
HEARS: Final[Mapping[str, Hear]] = {SEND_TEXT: phone_numbers.hear}
"""Which flow hears the answer of each kind, and what notices tell of it later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """A claimed errand with what its call needs; `to` is None for one of no more use."""

    claimed: ClaimedErrand
    to: CodeToSend | None

    @property
    def id(self) -> UUID:
        """The errand's id."""
        return self.claimed.errand.id

    @property
    def tries(self) -> int:
        """How many attempts were begun, this one included."""
        return self.claimed.tries


async def claim(rt: Runtime, limit: int, *, lease_s: float) -> list[Claimed]:
    """Claim due errands, with the personal data that their calls need as it is now."""
    async with transaction(rt.pool) as tx:
        claimed = await errands.claim(tx, limit, lease_s=lease_s)
        known = await phone_codes.to_send(tx, [one.errand.id for one in claimed])
    return [
        Claimed(claimed=one, to=None if one.is_expired else known.get(one.errand.id))
        for one in claimed
    ]


async def hear(rt: Runtime, errand_id: UUID, heard: Heard) -> bool:
    """Mark an errand with its answer and let its flow decide; False if it had ended before."""
    async with transaction(rt.pool) as tx:
        errand = await errands.lock(tx, errand_id)
        if errand is None:
            return False
        if heard.answer is not None:
            answer = declared_answer(errand.kind, heard.answer)
            heard = Heard(state=heard.state, answer=answer, problem=heard.problem)
        await errands.end(tx, errand_id, heard)
        await HEARS[errand.kind](tx, errand, heard)
    return True


async def postpone(rt: Runtime, outcomes: Sequence[DeliveryOutcome]) -> None:
    """Let errands be tried again after their back-off."""
    async with transaction(rt.pool) as tx:
        await errands.postpone(tx, outcomes)


async def store_notice(rt: Runtime, *, provider: str, event_id: str, reference: str) -> None:
    """Store a verified event of a provider, once."""
    async with transaction(rt.pool) as tx:
        await errands.insert_notice(
            tx, rt.new_id(), provider=provider, event_id=event_id, reference=reference
        )


async def claim_notices(rt: Runtime, limit: int, *, lease_s: float) -> list[ClaimedNotice]:
    """Claim notices to be dealt with."""
    async with transaction(rt.pool) as tx:
        return await errands.claim_notices(tx, limit, lease_s=lease_s)


async def hear_notice(rt: Runtime, notice: ClaimedNotice, present: Mapping[str, Any]) -> bool:
    """Let an errand's flow hear the present state that a notice led to; False if none is known.

    The answer to the errand may still be on its way: the notice is then to be tried again.
    """
    kinds = [kind for kind, one in ERRANDS.items() if one.provider == notice.provider]
    async with transaction(rt.pool) as tx:
        errand = await errands.by_reference(tx, notice.reference, kinds)
        if errand is None:
            return False
        if await errands.end_notice(tx, notice.id, ErrandState.DONE, None):
            heard = Heard(state=ErrandState.DONE, answer=declared_answer(errand.kind, present))
            await HEARS[errand.kind](tx, errand, heard)
    return True


async def give_up_notice(rt: Runtime, notice_id: UUID, problem: str) -> None:
    """Deal no more with a notice."""
    async with transaction(rt.pool) as tx:
        await errands.end_notice(tx, notice_id, ErrandState.REFUSED, problem)


async def postpone_notices(rt: Runtime, outcomes: Sequence[DeliveryOutcome]) -> None:
    """Let notices be tried again after their back-off."""
    async with transaction(rt.pool) as tx:
        await errands.postpone_notices(tx, outcomes)


async def parked(
    rt: Runtime, *, after: tuple[datetime, UUID] | None, limit: int
) -> list[dict[str, Any]]:
    """A page of parked errands, the longest waiting first."""
    async with transaction(rt.pool) as tx:
        return await errands.parked(tx, after=after, limit=limit)


async def retry(rt: Runtime, errand_id: UUID, *, actor: str) -> Subject:
    """Try a parked errand again, for the desk. Raises NotFound."""
    async with transaction(rt.pool) as tx:
        subject = await errands.unpark(tx, errand_id)
        if subject is None:
            raise NotFound("there is no such parked errand")
        data = {"errand": str(errand_id)}
        await audit.record(tx, actor=actor, act="errand.retried", subject=subject, data=data)
    rt.notify([])
    return subject
