"""The policies by which decisions were made: kept once each, for good."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from data import sql_loader
from data.db import Connection

sql = sql_loader.load("policies")


async def keep(tx: Connection, policy_id: UUID, version: str, numbers: Mapping[str, Any]) -> None:
    """Keep the numbers of a policy under their fingerprint, unless they are there."""
    await tx.execute(sql.keep, policy_id, version, numbers)


async def numbers(tx: Connection, policy_id: UUID) -> Mapping[str, Any] | None:
    """Return the numbers of a policy, or None."""
    found: Mapping[str, Any] | None = await tx.fetchval(sql.numbers, policy_id)
    return found
