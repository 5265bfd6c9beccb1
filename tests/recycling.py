"""Databases that are emptied and used again, because creating one costs more than most tests.

A database goes back to the rows of its template between two tests. It is dropped instead once its
schema was touched, its statistics were gathered, or it was used USES times (rows that were deleted
stay in the files). Rows are removed without triggers, which only a superuser may do: on a server
where the tests are none every test gets a new database.
"""

import asyncio
import io
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import asyncpg

USES = 60
TERMINATE_WITHIN_MS = 5000
GIVE_BACK_WITHIN_S = 5

KEPT = "tests"
OTHERS = """
SELECT pg_terminate_backend(pid, $1) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
  AND (application_name <> $2 OR state <> 'idle')
"""
TABLES = """
SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'
ORDER BY 1
"""
SEQUENCES = "SELECT oid::regclass::text FROM pg_class WHERE relkind = 'S' ORDER BY 1"
# A row of a catalogue is rewritten by whatever changes it.
SCHEMA = "SELECT " + ", ".join(
    f"(SELECT row(count(*), max(xmin::text::bigint))::text FROM pg_catalog.{catalogue})"
    for catalogue in (
        "pg_class",
        "pg_attribute",
        "pg_attrdef",
        "pg_constraint",
        "pg_index",
        "pg_namespace",
        "pg_policy",
        "pg_proc",
        "pg_rewrite",
        "pg_sequence",
        "pg_statistic",
        "pg_trigger",
        "pg_type",
        "pg_enum",
        "pg_db_role_setting",
    )
)


@dataclass
class Recycled:
    """One database, its connection as a superuser, and what its template held."""

    name: str
    template: str
    connection: "asyncpg.Connection[asyncpg.Record]"
    schema: Any
    rows: dict[str, bytes]
    filled: str
    sequences: str
    uses: int = 0


class KeptPool:
    """A pool that stays open for the next test on its database."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
        self._pool = pool

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pool, name)

    def is_closed(self) -> bool:
        return self._pool.is_closing()

    async def __aenter__(self) -> "KeptPool":
        return self

    async def __aexit__(self, *_: object) -> None:
        """Reset the sessions, or end them all if one was lost or left in a transaction.

        Raises TimeoutError when a session is not given back, like a pool that is closed.
        """
        pool = self._pool
        if pool.is_closing():
            return
        try:
            async with asyncio.timeout(GIVE_BACK_WITHIN_S):
                for one in [await pool.acquire() for _ in range(pool.get_size())]:
                    await reset(one)
                    await pool.release(one)
        except TimeoutError:
            pool.terminate()
            raise
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            pool.terminate()


async def reset(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Bring a session to its beginning. Raises asyncpg's errors."""
    if connection.is_in_transaction():
        raise asyncpg.InterfaceError("a test left a transaction open")
    await connection.reset()
    await connection.execute("RESET ROLE; DISCARD TEMP")


Kept = Any  # KeptPool or a connection of asyncpg


@dataclass
class Recycling:
    """Lends databases of a template; `run` waits for a coroutine."""

    run: Callable[[Any], Any]
    create: Callable[[str], str]
    drop: Callable[[str], None]
    connect: Callable[[str], Any]
    idle: dict[str, list[Recycled]] = field(default_factory=dict)
    kept: dict[str, dict[str, Kept]] = field(default_factory=dict)
    checked: set[str] = field(default_factory=set)

    def take(self, template: str) -> Recycled:
        """A database with the rows of the template."""
        if self.idle.get(template):
            return self.idle[template].pop()
        return self.run(self._open(self.create(template), template))

    def put(self, used: Recycled) -> None:
        """Empty a database for the next test, or drop it."""
        used.uses += 1
        if used.uses < USES and self.run(_can_restore(used)):
            self.idle.setdefault(used.template, []).append(used)
        else:
            self._end(used)

    async def keep(self, dsn: str, use: str, connect: Callable[[], Awaitable[Kept]]) -> Any:
        """The connection or pool of this database that stays open for `use`."""
        kept = self.kept.setdefault(urlsplit(dsn).path.lstrip("/"), {})
        if use not in kept or kept[use].is_closed():
            kept[use] = await connect()
        return kept[use]

    async def once(self, check: Callable[..., Awaitable[None]], dsn: str, *rest: Any) -> None:
        """Await `check` for the first test on a database."""
        name = urlsplit(dsn).path.lstrip("/")
        if name not in self.checked:
            await check(dsn, *rest)
            self.checked.add(name)

    async def end_kept(self) -> None:
        """Close all connections that were kept."""
        for name in list(self.kept):
            for one in self.kept.pop(name).values():
                await one.close()

    def close(self) -> None:
        """Drop all that nobody uses."""
        for databases in self.idle.values():
            while databases:
                self._end(databases.pop())

    def _end(self, used: Recycled) -> None:
        for one in self.kept.pop(used.name, {}).values():
            one.terminate()
        self.run(used.connection.close())
        self.drop(used.name)

    async def _open(self, name: str, template: str) -> Recycled:
        connection = await self.connect(name)
        await connection.execute("SET session_replication_role = replica")
        tables = [row[0] for row in await connection.fetch(TABLES)]
        rows = {table: await _copy(connection, table) for table in tables}
        filled = " UNION ALL ".join(
            f"SELECT '{table}' WHERE EXISTS (SELECT FROM {table})"
            for table, content in rows.items()
            if not content
        )
        sequences = [row[0] for row in await connection.fetch(SEQUENCES)]
        states = [
            (one, await connection.fetchrow(f"SELECT last_value, is_called FROM {one}"))
            for one in sequences
        ]
        return Recycled(
            name,
            template,
            connection,
            schema=await connection.fetchrow(SCHEMA),
            rows={table: content for table, content in rows.items() if content},
            filled=filled,
            sequences="SELECT "
            + ", ".join(f"setval('{one}', {value}, {called})" for one, (value, called) in states),
        )


async def _copy(connection: "asyncpg.Connection[asyncpg.Record]", table: str) -> bytes:
    """The rows of a table without its generated columns, which cannot be written."""
    content = io.BytesIO()
    schema, _, name = table.rpartition(".")
    await connection.copy_from_table(name, schema_name=schema or None, output=content)
    return content.getvalue()


async def _can_restore(used: Recycled) -> bool:
    """Bring back the rows of the template; False if the schema is another or its session lost."""
    try:
        return await _restore(used)
    except (OSError, asyncpg.InterfaceError, asyncpg.OperatorInterventionError):
        return False


async def _restore(used: Recycled) -> bool:
    connection = used.connection
    if not all(row[0] for row in await connection.fetch(OTHERS, TERMINATE_WITHIN_MS, KEPT)):
        return False
    if await connection.fetchrow(SCHEMA) != used.schema:
        return False
    changed = [row[0] for row in await connection.fetch(used.filled)]
    again = [
        table for table, content in used.rows.items() if await _copy(connection, table) != content
    ]
    async with connection.transaction():
        for table in changed + again:
            await connection.execute(f"DELETE FROM {table}")
        for table in again:
            schema, _, name = table.rpartition(".")
            await connection.copy_to_table(
                name, schema_name=schema or None, source=io.BytesIO(used.rows[table])
            )
        await connection.execute(used.sequences)
    await connection.execute("SELECT pg_stat_reset()")
    return True
