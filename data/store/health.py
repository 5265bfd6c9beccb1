"""What tells whether this process and its database go together."""

from __future__ import annotations

from dataclasses import dataclass

from data import migrate, sql_loader
from data.db import Connection

sql = sql_loader.load("health")


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """The last migration the database has, and whether there is any friend in it.

    `works_from` is the last one that the code must know to work there.
    """

    version: int
    works_from: int
    has_friends: bool


async def facts(tx: Connection) -> Facts:
    """Read both in one question."""
    row = await tx.fetchrow(sql.facts)
    assert row is not None
    return Facts(
        version=row["version"], works_from=row["works_from"], has_friends=row["has_friends"]
    )


def version_of_code() -> int:
    """The last migration this code knows."""
    return migrate.read_migrations(migrate.MIGRATIONS)[-1].version
