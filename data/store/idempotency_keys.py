"""Idempotency keys: claimed first, answered in the same transaction as the work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from data import sql_loader
from data.db import Connection

sql = sql_loader.load("idempotency_keys")

KeyOfCaller = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredResponse:
    """What a request with an idempotency key was answered, kept to be said again word for word."""

    principal: str
    key: str
    request_sha256: bytes
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Claim:
    """Who asks, under which key, and the hash of what is asked."""

    principal: str
    key: str
    request_sha256: bytes

    @property
    def name(self) -> KeyOfCaller:
        """What makes it unique: the caller and his key."""
        return self.principal, self.key


async def claim(tx: Connection, claims: Sequence[Claim]) -> Mapping[KeyOfCaller, StoredResponse]:
    """Claim these keys, which must differ; those already answered come back with their answers.

    Waits for a twin in another process that has claimed the same key and not yet committed.
    """
    if not claims:
        return {}
    columns = [list(column) for column in zip(*((c.principal, c.key) for c in claims), strict=True)]
    rows = await tx.fetch(sql.claim, *columns, [c.request_sha256 for c in claims])
    if len(rows) == len(claims):
        return {}
    mine = {(row["principal"], row["key"]) for row in rows}
    return {
        (row["principal"], row["key"]): StoredResponse(
            principal=row["principal"],
            key=row["key"],
            request_sha256=row["request_sha256"],
            body=row["body"],
        )
        for row in await tx.fetch(sql.stored, *columns)
        if (row["principal"], row["key"]) not in mine
    }


async def store_responses(tx: Connection, said: Mapping[KeyOfCaller, Mapping[str, Any]]) -> None:
    """Keep what was answered under these claims."""
    if said:
        await tx.execute(sql.store, [p for p, _ in said], [k for _, k in said], list(said.values()))


async def release(tx: Connection, names: Sequence[KeyOfCaller]) -> None:
    """Give up claims whose request was refused."""
    if names:
        await tx.execute(sql.release, [p for p, _ in names], [k for _, k in names])


async def delete_old(tx: Connection) -> None:
    """Drop at most a thousand answers older than seven days."""
    await tx.execute(sql.delete_old)
