"""The audit log of changes to friends, partners and operators; bookings have events instead."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from data import sql_loader
from data.db import Connection

sql = sql_loader.load("audit")


async def record(
    tx: Connection, *, actor: str, act: str, subject: str, data: Mapping[str, Any] | None = None
) -> None:
    """Append one line, which is immutable; `data` holds ids and codes only."""
    await tx.execute(sql.record, actor, act, subject, dict(data or {}))


async def record_many(
    tx: Connection, *, actor: str, act: str, lines: Sequence[tuple[str, Mapping[str, Any]]]
) -> None:
    """Append a line for each subject with its data."""
    if lines:
        subjects, data = zip(*lines, strict=True)
        await tx.execute(sql.record_many, actor, act, subjects, [dict(one) for one in data])
