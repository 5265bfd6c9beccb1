"""The rights of a person: export and erasure, on request and when the policy says so."""

from __future__ import annotations

import base64
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from data.db import Connection, transaction
from data.enums import FileKind
from data.records import subjects
from data.records.ids import FileId, FriendId, MessageId, PersonId
from data.store import audit, errands, friends, rights
from data.store import files as file_rows
from data.store.rights import FoundPerson, OverdueCustomers, PersonKind
from dispatch.flows import journal
from dispatch.flows.people import files
from dispatch.flows.people.friends import refresh_index
from dispatch.rules.jobs.draft import SYSTEM
from dispatch.rules.journal import Happening
from dispatch.rules.refusals import NotFound, Refused
from dispatch.runtime import Runtime

PAGE: Final = 500
BEGINNING: Final = (datetime(1, 1, 1, tzinfo=UTC), UUID(int=0))


class StillNeeded(Refused):
    """This person has a job that has not ended."""

    code = "still-needed"
    field = "person"


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """What was erased: `kept` are those whose name and postal address the law asks for.

    Mails kept as files may still hold the `addresses` or be about `messages`; SMS kept as files are
    those of `errands`.
    """

    people: Sequence[PersonId]
    kept: Collection[PersonId]
    addresses: Collection[str]
    messages: Sequence[MessageId]
    errands: Sequence[UUID]


async def export(rt: Runtime, word: str, *, actor: str) -> list[Mapping[str, Any]]:
    """Everything kept about whose address, id, booking or ref this is. Raises NotFound."""
    async with transaction(rt.pool) as tx:
        return await _export_all(rt, tx, await _find(tx, word), actor=actor)


async def export_friend(rt: Runtime, friend_id: FriendId, *, actor: str) -> list[Mapping[str, Any]]:
    """Everything kept about a friend, for the friend."""
    async with transaction(rt.pool) as tx:
        return await _export_all(rt, tx, await rights.by_id(tx, PersonId(friend_id)), actor=actor)


async def export_account(
    rt: Runtime, account_id: PersonId, *, actor: str
) -> list[Mapping[str, Any]]:
    """Everything kept about a customer: the account and each of its bookings."""
    async with transaction(rt.pool) as tx:
        return await _export_all(rt, tx, await rights.of_account(tx, account_id), actor=actor)


async def _export_all(
    rt: Runtime, tx: Connection, found: Sequence[FoundPerson], *, actor: str
) -> list[Mapping[str, Any]]:
    lines = [(subjects.person(one.id), dict[str, Any]()) for one in found]
    await audit.record_many(tx, actor=actor, act="person.exported", lines=lines)
    return [await _export(rt, tx, one) for one in found]


async def erase(rt: Runtime, word: str, *, actor: str) -> Erasure:
    """Erase whose address, id, booking or ref this is. Raises NotFound, StillNeeded."""
    async with transaction(rt.pool) as tx:
        found = await _find(tx, word)
        helpers = [one.id for one in found if one.kind is PersonKind.FRIEND]
        messages = await rights.messages_about(tx, helpers) if helpers else []
        kept = await _erase(tx, found, actor=actor)
        gone = await file_rows.delete_of(tx, [one.id for one in found])
        texts = await errands.of_people(tx, [one.id for one in found])
    await files.forget(rt, gone)
    await refresh_index(rt, [FriendId(one) for one in helpers])
    return Erasure(
        people=[one.id for one in found],
        kept=kept,
        addresses={one.email for one in found},
        messages=messages,
        errands=texts,
    )


async def erase_account(rt: Runtime, account_id: PersonId, *, actor: str) -> Erasure:
    """Erase a customer: the account and what each of its bookings holds. Raises StillNeeded."""
    async with transaction(rt.pool) as tx:
        found = await rights.of_account(tx, account_id)
        messages = await rights.messages_to(tx, [one.id for one in found])
        await _erase(tx, found, actor=actor)
        gone = await file_rows.delete_of(tx, [one.id for one in found])
        addresses = {one.email for one in found}
        used = await rights.still_used(tx, addresses)
        texts = await errands.of_people(tx, [one.id for one in found])
    await files.forget(rt, gone)
    return Erasure(
        people=[one.id for one in found],
        kept=(),
        addresses=addresses - used,
        messages=messages,
        errands=texts,
    )


async def customers_over(rt: Runtime, after: tuple[datetime, UUID] = BEGINNING) -> OverdueCustomers:
    """The customers of one page of bookings whose time by the policy is over."""
    async with transaction(rt.pool) as tx:
        return await rights.customers_over(tx, after, rt.policy.customers_kept, PAGE)


async def erase_customers(rt: Runtime, customers: Sequence[FoundPerson]) -> Erasure:
    """Erase these customers by the policy, unless a booking of theirs has not ended.

    Of an address that somebody else still uses, only the mails to these customers are to go.
    """
    async with transaction(rt.pool) as tx:
        kept = (await rights.lock_not_ended(tx, [one.id for one in customers])).values()
        over = [one for one in customers if one.id not in kept]
        if over:
            over += await rights.accounts_left(tx, [one.id for one in over])
            await _erase_silently(tx, over)
        gone = await file_rows.delete_of(tx, [one.id for one in over])
        addresses = {one.email for one in over}
        used = await rights.still_used(tx, addresses) if over else set()
        sharing = [one.id for one in over if one.email in used]
        messages = await rights.messages_to(tx, sharing) if sharing else []
        texts = await errands.of_people(tx, [one.id for one in over]) if over else []
    await files.forget(rt, gone)
    return Erasure(
        people=[one.id for one in over],
        kept=(),
        addresses=addresses - used,
        messages=messages,
        errands=texts,
    )


async def erase_documents_over(rt: Runtime) -> None:
    """Erase names and addresses of erased friends that were kept only because of the law."""
    async with transaction(rt.pool) as tx:
        if over := await rights.documents_over(tx):
            friend = PersonKind.FRIEND
            await _erase_silently(tx, [FoundPerson(id=one, kind=friend, email="") for one in over])


async def _export(rt: Runtime, tx: Connection, person: FoundPerson) -> Mapping[str, Any]:
    """Everything kept about a person, with the pictures that are of nobody else."""
    whole = await rights.export(tx, person)
    for one in whole["files"]:
        if one["kind"] != FileKind.RESULT:
            content = await files.read(rt, tx, FileId(UUID(one["id"])), one["stored"])
            one["content"] = base64.b64encode(content or b"").decode()
        del one["stored"]
    return whole


async def _erase_silently(tx: Connection, found: Sequence[FoundPerson]) -> None:
    await rights.erase(tx, found, keep_address_of=())
    erased = [Happening(subjects.person(one.id), "person.erased") for one in found]
    await journal.record(tx, *erased, actor=SYSTEM)


async def _find(tx: Connection, word: str) -> list[FoundPerson]:
    found = await rights.find(tx, word)
    if not found:
        raise NotFound(f"nothing is kept about {word[:80]!r}; give an e-mail address, id or ref")
    return found


async def _erase(tx: Connection, found: Sequence[FoundPerson], *, actor: str) -> set[PersonId]:
    ids = [one.id for one in found]
    open_jobs = [*await rights.lock_not_ended(tx, ids)]
    await friends.lock(tx, [FriendId(one) for one in ids])
    open_jobs += await rights.jobs_held(tx, ids)
    if open_jobs:
        listed = ", ".join(map(str, open_jobs[:5]))
        raise StillNeeded(f"cancel or complete first: {listed}")
    kept = await rights.paid_lately(tx, ids)
    await rights.erase(tx, found, keep_address_of=kept)
    erased = [
        Happening(
            subjects.person(one),
            "person.erased",
            {"kept": ["name", "address"] if one in kept else []},
        )
        for one in ids
    ]
    await journal.record(tx, *erased, actor=actor)
    return kept
