"""Partners and their keys; only the prefix and the hash of a key are stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

import asyncpg

from data import sql_loader
from data.db import Connection
from data.records.ids import PartnerId

sql = sql_loader.load("partners")


@dataclass(frozen=True, slots=True, kw_only=True)
class PartnerKey:
    """The public part of a key, never the key itself."""

    prefix: str
    created_at: datetime
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Partner:
    """A retailer that books for its customers; `members_only` limits offers to its community."""

    id: PartnerId
    name: str
    members_only: bool
    created_at: datetime
    keys: tuple[PartnerKey, ...] = ()


async def insert(
    tx: Connection, partner_id: PartnerId, *, name: str, members_only: bool
) -> Partner | None:
    """Add a partner; None if the name is taken."""
    row = await tx.fetchrow(sql.insert, partner_id, name, members_only)
    return _partner(row) if row else None


async def find(tx: Connection, word: str) -> Partner | None:
    """Find a partner by name or id."""
    row = await tx.fetchrow(sql.find, word)
    return _partner(row) if row else None


async def insert_key(
    tx: Connection,
    key_id: UUID,
    partner_id: PartnerId,
    *,
    prefix: str,
    secret_sha256: bytes,
) -> None:
    """Store the hash of a new key."""
    await tx.execute(sql.insert_key, key_id, partner_id, prefix, secret_sha256)


async def partners_by_key(tx: Connection, secrets_sha256: Sequence[bytes]) -> dict[bytes, Partner]:
    """Return the partners of these keys by hash; revoked keys are left out."""
    rows = await tx.fetch(sql.partners_by_key, secrets_sha256)
    return {row["secret_sha256"]: _partner(row) for row in rows}


async def revoke_key(
    tx: Connection, prefix: str, *, partner_id: PartnerId | None
) -> list[tuple[UUID, PartnerId]]:
    """Revoke the valid keys with this prefix, of one partner or of all; return whose they are."""
    rows = await tx.fetch(sql.revoke_key, prefix, partner_id)
    return [(row["id"], PartnerId(row["partner_id"])) for row in rows]


async def all_partners(tx: Connection) -> list[Partner]:
    """Return all partners with their keys, ordered by name."""
    partners: dict[PartnerId, Partner] = {}
    for row in await tx.fetch(sql.all_partners):
        partner = partners.setdefault(PartnerId(row["id"]), _partner(row))
        if row["prefix"] is not None:
            key = PartnerKey(
                prefix=row["prefix"],
                created_at=row["key_created_at"],
                revoked_at=row["revoked_at"],
            )
            partners[partner.id] = replace(partner, keys=(*partner.keys, key))
    return list(partners.values())


def _partner(row: asyncpg.Record) -> Partner:
    return Partner(
        id=PartnerId(row["id"]),
        name=row["name"],
        members_only=row["members_only"],
        created_at=row["created_at"],
    )
