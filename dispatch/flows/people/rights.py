"""The rights of a person: export and erasure, on request and when the policy says so."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from data.db import Connection, transaction
from data.enums import BookingState
from data.records.ids import FriendId, MessageId, PersonId
from data.store import audit, rights
from data.store.rights import FoundPerson, PersonKind
from dispatch.flows.people.friends import refresh_index
from dispatch.rules.refusals import NotFound, Refused
from dispatch.runtime import Runtime

ENDED: Final = frozenset({BookingState.COMPLETED, BookingState.CANCELLED})
PAGE: Final = 500
BEGINNING: Final = (datetime(1, 1, 1, tzinfo=UTC), UUID(int=0))


class StillNeeded(Refused):
    """This person has a job that has not ended."""

    code = "still-needed"
    field = "person"


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """What was erased: `kept` are those whose name and postal address the law asks for.

    Mails kept as files may still hold the `addresses` or be about `messages`.
    """

    people: Sequence[PersonId]
    kept: Collection[PersonId]
    addresses: Collection[str]
    messages: Sequence[MessageId]


async def export(rt: Runtime, word: str, *, actor: str) -> list[Mapping[str, Any]]:
    """Everything kept about whose address, id, booking or ref this is. Raises NotFound."""
    async with transaction(rt.pool) as tx:
        found = await _find(tx, word)
        lines: list[tuple[str, Mapping[str, Any]]] = [(str(one.id), {}) for one in found]
        await audit.record_many(tx, actor=actor, act="person.exported", lines=lines)
        return [await rights.export(tx, one.id) for one in found]


async def erase(rt: Runtime, word: str, *, actor: str) -> Erasure:
    """Erase whose address, id, booking or ref this is. Raises NotFound, StillNeeded."""
    async with transaction(rt.pool) as tx:
        found = await _find(tx, word)
        friends = [one.id for one in found if one.kind is PersonKind.FRIEND]
        messages = await rights.messages_about(tx, friends) if friends else []
        kept = await _erase(tx, found, actor=actor)
    await refresh_index(rt, [FriendId(one) for one in friends])
    return Erasure(
        people=[one.id for one in found],
        kept=kept,
        addresses={one.email for one in found},
        messages=messages,
    )


async def erase_customers_over(
    rt: Runtime, after: tuple[datetime, UUID] = BEGINNING
) -> tuple[datetime, UUID] | None:
    """Erase the customers of one page of bookings whose time by the policy is over.

    Returns where the next page begins; None after the last one.
    """
    async with transaction(rt.pool) as tx:
        page = await rights.customers_over(tx, after, rt.policy.customers_kept, PAGE)
        if page.customers:
            await _erase_silently(tx, page.customers, PersonKind.CUSTOMER)
    return page.next


async def erase_documents_over(rt: Runtime) -> None:
    """Erase names and addresses of erased friends that were kept only because of the law."""
    async with transaction(rt.pool) as tx:
        if over := await rights.documents_over(tx):
            await _erase_silently(tx, over, PersonKind.FRIEND)


async def _erase_silently(tx: Connection, ids: Sequence[PersonId], kind: PersonKind) -> None:
    found = [FoundPerson(id=one, kind=kind, email="") for one in ids]
    await rights.erase(tx, found, keep_address_of=())
    lines = [(str(one), {"by": "policy"}) for one in ids]
    await audit.record_many(tx, actor="system", act="person.erased", lines=lines)


async def _find(tx: Connection, word: str) -> list[FoundPerson]:
    found = await rights.find(tx, word)
    if not found:
        raise NotFound(f"nothing is kept about {word[:80]!r}; give an e-mail address, id or ref")
    return found


async def _erase(tx: Connection, found: Sequence[FoundPerson], *, actor: str) -> set[PersonId]:
    ids = [one.id for one in found]
    bookings = await rights.lock_bookings(tx, ids)
    open_jobs = [one for one, state in bookings.items() if state not in ENDED]
    open_jobs += await rights.jobs_held(tx, ids)
    if open_jobs:
        listed = ", ".join(map(str, open_jobs[:5]))
        raise StillNeeded(f"cancel or complete first: {listed}")
    kept = await rights.paid_lately(tx, ids)
    await rights.erase(tx, found, keep_address_of=kept)
    lines = [(str(one), {"kept": ["name", "address"] if one in kept else []}) for one in ids]
    await audit.record_many(tx, actor=actor, act="person.erased", lines=lines)
    return kept
