"""Partners and their keys. A key is available once, when created; only its hash is stored."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from hashlib import sha256
from uuid import UUID

from data.db import Connection, transaction
from data.records import subjects
from data.records.ids import PartnerId
from data.store import partners
from data.store.partners import Partner
from dispatch.flows import journal
from dispatch.flows.batched_lookups import lookups
from dispatch.rules.journal import Happening
from dispatch.rules.people.names import checked_name
from dispatch.rules.refusals import NotFound, Refused
from dispatch.runtime import Runtime

KEY_PREFIX = "tk_live_"
SECRET_BYTES = 32
PREFIX_LENGTH = len(KEY_PREFIX) + 8


class NameTaken(Refused):
    """There is a partner with this name."""

    code = "name-taken"
    field = "name"
    detail = "Choose another name, or add a key to the existing partner."


async def add(
    rt: Runtime, name: str, *, members_only: bool = False, actor: str = "system"
) -> tuple[Partner, str]:
    """Add a partner; returns it with its first key. Raises NameTaken, NameRefused."""
    key, name = _key(), checked_name(name)
    async with transaction(rt.pool) as tx:
        partner = await partners.insert(
            tx, PartnerId(rt.new_id()), name=name, members_only=members_only
        )
        if partner is None:
            raise NameTaken
        added = Happening(subjects.partner(partner.id), "partner.added")
        await journal.record(tx, added, actor=actor)
        await _insert_key(rt, tx, partner.id, key, actor)
    return partner, key


async def add_key(rt: Runtime, partner: str, *, actor: str = "system") -> str:
    """Add another key to a partner, given by name or id; returns the key. Raises NotFound."""
    key = _key()
    async with transaction(rt.pool) as tx:
        found = await partners.find(tx, partner)
        if found is None:
            raise NotFound(f"there is no partner {partner[:60]!r}; see `tekkie partners list`")
        await _insert_key(rt, tx, found.id, key, actor)
    return key


async def _insert_key(
    rt: Runtime, tx: Connection, partner_id: PartnerId, key: str, actor: str
) -> None:
    key_id, prefix = rt.new_id(), key[:PREFIX_LENGTH]
    await partners.insert_key(tx, key_id, partner_id, prefix=prefix, secret_sha256=_hash(key))
    made = _of_key("partner.key_made", key_id, partner_id, prefix)
    await journal.record(tx, made, actor=actor)


def _of_key(kind: str, key_id: UUID, partner_id: PartnerId, prefix: str) -> Happening:
    data = {"key": str(key_id), "prefix": prefix}
    return Happening(subjects.partner(partner_id), kind, data)


async def revoke_key(
    rt: Runtime, prefix: str, *, partner_id: PartnerId | None = None, actor: str = "system"
) -> None:
    """Revoke a key, given by its prefix as listed; with `partner_id` only a key of this partner.

    Raises NotFound.
    """
    async with transaction(rt.pool) as tx:
        revoked = await partners.revoke_key(tx, prefix, partner_id=partner_id)
        if not revoked:
            raise NotFound(f"no valid key begins with {prefix[:20]!r}; see `tekkie partners list`")
        ended = [_of_key("partner.key_revoked", *one, prefix) for one in revoked]
        await journal.record(tx, *ended, actor=actor)


async def find_by_key(rt: Runtime, key: str) -> Partner | None:
    """The partner of a key that is still valid, or None."""
    return await lookups(rt).partners.get(_hash(key))


async def list_partners(rt: Runtime) -> Sequence[Partner]:
    """All partners by name, each with the prefixes of its keys."""
    async with transaction(rt.pool) as tx:
        return await partners.all_partners(tx)


def _key() -> str:
    return KEY_PREFIX + secrets.token_urlsafe(SECRET_BYTES)


def _hash(key: str) -> bytes:
    return sha256(key.encode()).digest()
