"""The audit log of changes to friends, partners and operators; bookings have events instead."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from data import sql_loader
from data.db import Connection

sql = sql_loader.load("audit")


async def record(
    tx: Connection, *, actor: str, act: str, subject: str, data: Mapping[str, Any] | None = None
) -> None:
    """Append one line, which is immutable; `data` holds ids and codes only."""
    await tx.execute(sql.record, actor, act, subject, dict(data or {}))
