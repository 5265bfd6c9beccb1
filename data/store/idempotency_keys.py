"""Idempotency keys: claimed first; the response is stored in the transaction of the work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from data import sql_loader
from data.db import Connection

sql = sql_loader.load("idempotency_keys")

ClaimKey = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredResponse:
    """The stored response to a request with an idempotency key, replayed unchanged."""

    principal: str
    key: str
    request_sha256: bytes
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Claim:
    """The caller, the key and the hash of a request."""

    principal: str
    key: str
    request_sha256: bytes

    @property
    def name(self) -> ClaimKey:
        """The caller and the key, which are unique together."""
        return self.principal, self.key


async def claim(tx: Connection, claims: Sequence[Claim]) -> Mapping[ClaimKey, StoredResponse]:
    """Claim these distinct keys; return the stored responses of keys already used.

    Waits for another process that has claimed the same key and not yet committed.
    """
    if not claims:
        return {}
    columns = [list(column) for column in zip(*((c.principal, c.key) for c in claims), strict=True)]
    rows = await tx.fetch(sql.claim, *columns, [c.request_sha256 for c in claims])
    if len(rows) == len(claims):
        return {}
    claimed = {(row["principal"], row["key"]) for row in rows}
    return {
        (row["principal"], row["key"]): StoredResponse(
            principal=row["principal"],
            key=row["key"],
            request_sha256=row["request_sha256"],
            body=row["body"],
        )
        for row in await tx.fetch(sql.stored, *columns)
        if (row["principal"], row["key"]) not in claimed
    }


async def store_responses(tx: Connection, responses: Mapping[ClaimKey, Mapping[str, Any]]) -> None:
    """Store the responses of these claims."""
    if responses:
        callers, keys = zip(*responses, strict=True)
        await tx.execute(sql.store, callers, keys, list(responses.values()))


async def release(tx: Connection, names: Sequence[ClaimKey]) -> None:
    """Release claims whose request was refused."""
    if names:
        await tx.execute(sql.release, [p for p, _ in names], [k for _, k in names])


async def delete_old(tx: Connection) -> None:
    """Delete at most a thousand responses older than seven days."""
    await tx.execute(sql.delete_old)
