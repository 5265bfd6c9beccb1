"""Quotas: how often something was used since its count began."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from data import sql_loader
from data.db import Connection
from data.records.ids import QuotaKey

sql = sql_loader.load("quotas")


async def use(
    tx: Connection, uses: Mapping[QuotaKey, int], within: timedelta
) -> dict[QuotaKey, int]:
    """Add these uses; returns how many there were before, counted anew after `within`."""
    if not uses:
        return {}
    kinds, keys = zip(*uses, strict=True)
    rows = await tx.fetch(sql.use, kinds, keys, list(uses.values()), within)
    found = {(row["kind"], row["key"]): row["used"] for row in rows}
    return {key: found[key] - count for key, count in uses.items()}


async def give_back(tx: Connection, uses: Mapping[QuotaKey, int]) -> None:
    """Take back uses that this transaction has added."""
    if uses:
        kinds, keys = zip(*uses, strict=True)
        await tx.execute(sql.give_back, kinds, keys, list(uses.values()))


async def delete_old(tx: Connection, within: timedelta, confirmed_for: timedelta) -> None:
    """Delete at most a thousand counts and a thousand contacts that no longer matter."""
    await tx.execute(sql.delete_old, within)
    await tx.execute(sql.delete_old_contacts, confirmed_for)
