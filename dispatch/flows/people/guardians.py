"""Guardians: asked by mail, consent on a page, and may withdraw later."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from data.db import Connection, transaction
from data.markets import Language, Market
from data.records import subjects
from data.records.ids import FriendId
from data.store import account_mails, friend_admin
from data.store import applications as store
from data.store.account_mails import Addressee
from dispatch.flows import journal
from dispatch.flows.people import friends
from dispatch.rules.journal import Happening
from dispatch.rules.people import applications as rules
from dispatch.rules.people.names import first_name
from dispatch.rules.refusals import NotFound
from dispatch.rules.trust import mailed_secrets
from dispatch.rules.trust.mailed_secrets import Proof
from dispatch.runtime import Runtime


def token(key: bytes, guardianship_id: UUID) -> str:
    """What the link to a guardian carries."""
    return f"{guardianship_id}.{mailed_secrets.of_guardianship(key, guardianship_id).link}"


async def ask(rt: Runtime, tx: Connection, row: Mapping[str, Any]) -> None:
    """Ask the guardian of an applicant by mail, in a caller's transaction; ends an earlier one."""
    friend_id = FriendId(row["friend_id"])
    if await store.guardians_asked_lately(tx, friend_id) >= rules.GUARDIANS_A_DAY:
        raise rules.GuardianRefused("Too many were asked today; try again tomorrow.")
    await store.end_guardianship(tx, friend_id)
    asked = rt.new_id()
    await store.insert_guardianship(tx, asked, friend_id)
    to = Addressee(
        email=row["guardian_email"],
        name=first_name(row["name"]),
        language=Language(row["language"]),
        market=Market(row["market"]),
    )
    life = rules.GUARDIAN_MAIL_LIFE
    await account_mails.insert_guardian_asked(tx, rt.new_id(), to, asked, life)
    await _record(tx, friend_id, "guardian.asked", f"friend:{friend_id}")


async def look(rt: Runtime, given: str) -> dict[str, Any]:
    """What a guardian is asked, by the token of the link. Raises NotFound."""
    async with transaction(rt.pool) as tx:
        return await _find(rt, tx, given)


async def confirm(rt: Runtime, given: str) -> dict[str, Any]:
    """Record the consent of a guardian, an adult by own statement. Raises NotFound."""
    async with transaction(rt.pool) as tx:
        row = await _lock(rt, tx, given)
        friend_id = FriendId(row["friend_id"])
        if await store.confirm_guardianship(tx, row["id"]):
            await _record(tx, friend_id, "guardian.confirmed", "guardian")
        found = await _find(rt, tx, given)
    await friends.refresh_and_retry(rt, {friend_id})
    return found


async def withdraw(rt: Runtime, given: str) -> dict[str, Any]:
    """End the consent of a guardian: from now on the friend is not asked. Raises NotFound."""
    async with transaction(rt.pool) as tx:
        row = await _lock(rt, tx, given)
        friend_id = FriendId(row["friend_id"])
        if row["ended_at"] is None:
            await store.end_guardianship(tx, friend_id)
            await _record(tx, friend_id, "guardian.withdrawn", "guardian")
        found = await _find(rt, tx, given)
    await friends.refresh_and_retry(rt, {friend_id})
    return found


async def _lock(rt: Runtime, tx: Connection, given: str) -> dict[str, Any]:
    """The consent as it is once the friend is locked, who comes before it in every transaction."""
    row = await _find(rt, tx, given)
    await friend_admin.lock_friend(tx, FriendId(row["friend_id"]))
    return await _find(rt, tx, given)


async def _find(rt: Runtime, tx: Connection, given: str) -> dict[str, Any]:
    word, _, secret = given.partition(".")
    try:
        named = UUID(word)
    except ValueError:
        raise NotFound("there is no such consent") from None
    made = mailed_secrets.of_guardianship(rt.settings.key(), named)
    row = await store.guardianship(tx, named) if made.proof(secret) is Proof.LINK else None
    if row is None:
        raise NotFound("there is no such consent")
    return row


async def _record(tx: Connection, friend_id: FriendId, kind: str, actor: str) -> None:
    await journal.record(tx, Happening(subjects.person(friend_id), kind), actor=actor)
