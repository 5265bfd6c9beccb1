"""Reads that show whether this process can work on its database."""

from __future__ import annotations

from dataclasses import dataclass

from data import migrate, sql_loader
from data.db import Connection

sql = sql_loader.load("health")


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """The last migration of the database, whether it has friends, and whether it refuses writes.

    `works_from` is the last migration that the code must know to work on it.
    """

    version: int
    works_from: int
    has_friends: bool
    accepts_only_reads: bool


async def facts(tx: Connection) -> Facts:
    """Read the facts in one query."""
    row = await tx.fetchrow(sql.facts)
    assert row is not None
    return Facts(**row)


def version_of_code() -> int:
    """Return the last migration this code knows."""
    return migrate.read_migrations(migrate.MIGRATIONS)[-1].version
