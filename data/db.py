"""The connection pool and transactions; the errors are those of data.db_errors.

asyncpg's pool would send `RESET ALL` with every release, which doubles the cost of a short read.
It is skipped, because there is nothing to reset: no statement of tekkie sets session parameters,
listens, or takes a session-level advisory lock. A test checks all statements for that.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Final, TypeAlias, TypeVar

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from data import sql_loader
from data.db_errors import (
    CONNECTION_ERRORS,
    READ_ONLY_CURE,
    ConstraintViolation,
    DatabaseBusy,
    DatabaseConflict,
    DatabaseError,
    DatabaseFull,
    DatabaseReadOnly,
    DatabaseUnavailable,
    ServerUnfit,
    SessionUnfit,
    translate_errors,
    translate_role_errors,
)
from data.server_session import (
    CONNECT_TIMEOUT_S,
    PREFER_INDEXES,
    STATEMENT_TIMEOUT_S,
    Connector,
    server_sql,
    session_settings,
)

__all__ = [
    "CONNECTION_ERRORS",
    "CONNECT_TIMEOUT_S",
    "READ_ONLY_CURE",
    "ConstraintViolation",
    "DatabaseBusy",
    "DatabaseConflict",
    "DatabaseError",
    "DatabaseFull",
    "DatabaseReadOnly",
    "DatabaseUnavailable",
    "ServerUnfit",
    "SessionUnfit",
    "server_sql",
    "translate_errors",
]

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]"
Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"
T = TypeVar("T")

SERVICE_ROLE: Final = "tekkie_service"
OLDEST_SERVER: Final = 150000
ACQUIRE_TIMEOUT_S: Final = 1.5
TRIES: Final = 3

# asyncpg logs a traceback for every attempt while the database is unavailable; callers log it once.
logging.getLogger("asyncpg.pool").setLevel(logging.ERROR)

clock_sql = sql_loader.load("clock")


async def open_pool(
    dsn: str,
    *,
    role: str | None,
    size: int,
    application: str,
    statement_timeout_s: float = STATEMENT_TIMEOUT_S,
) -> Pool:
    """Open a pool of at most `size` connections with the role `role`.

    Raises DatabaseUnavailable, DatabaseBusy.
    """
    settings = session_settings(role, application, statement_timeout_s) | PREFER_INDEXES
    with translate_errors(), translate_role_errors(role):
        return await asyncpg.create_pool(
            min_size=1,
            max_size=size,
            connect=Connector(dsn, settings, verified=True),
            # The server cancels first, so that its error arrives instead of a lost connection.
            command_timeout=statement_timeout_s + 1,
            reset=_skip_reset,
        )


async def connect(
    dsn: str, *, application: str, role: str | None = None, path: str = "tekkie"
) -> asyncpg.Connection[asyncpg.Record]:
    """Open one connection outside any pool, without a statement timeout (migrations, checks)."""
    settings = session_settings(role, application, 0) | {"search_path": path, "lock_timeout": "0"}
    with translate_errors():
        return await Connector(dsn, settings, verified=False)()


async def _skip_reset(connection: Connection) -> None:
    """Do nothing: sessions hold no state of their callers."""


@asynccontextmanager
async def transaction(
    pool: Pool, *, acquire_timeout_s: float = ACQUIRE_TIMEOUT_S
) -> AsyncIterator[Connection]:
    """Yield a connection in one READ COMMITTED transaction; raises the errors above.

    A caller that is cancelled or gets DatabaseUnavailable cannot know whether the commit happened:
    its work must be idempotent.
    """
    async with (
        _acquired(pool, acquire_timeout_s) as connection,
        connection.transaction(isolation="read_committed"),
    ):
        yield connection


@asynccontextmanager
async def autocommit(
    pool: Pool, *, acquire_timeout_s: float = ACQUIRE_TIMEOUT_S
) -> AsyncIterator[Connection]:
    """Yield a connection in which each statement commits by itself; raises the errors above."""
    async with _acquired(pool, acquire_timeout_s) as connection:
        yield connection


@asynccontextmanager
async def _acquired(pool: Pool, timeout_s: float) -> AsyncIterator[Connection]:
    with translate_errors():
        connection = await _acquire(pool, timeout_s)
        try:
            yield connection
        except asyncpg.ReadOnlySQLTransactionError:
            # The others lead to the same server; new ones may find the primary.
            await pool.expire_connections()
            raise
        finally:
            await pool.release(connection, timeout=CONNECT_TIMEOUT_S)


async def _acquire(pool: Pool, timeout_s: float) -> PoolConnectionProxy[asyncpg.Record]:
    try:
        return await pool.acquire(timeout=timeout_s)
    except TimeoutError as error:
        if pool.get_size() < pool.get_max_size():
            raise DatabaseUnavailable("The database does not answer a new connection.") from error
        raise DatabaseBusy(
            f"All {pool.get_max_size()} database connections are in use; try again, or raise "
            "TEKKIE_POOL_SIZE."
        ) from error


async def run_with_retries(
    pool: Pool, work: Callable[[Connection], Awaitable[T]], *, jitter_s: Callable[[int], float]
) -> T:
    """Run `work` in a transaction, at most three times while it raises DatabaseConflict.

    `jitter_s(attempt)` returns the seconds to wait after failed attempt 1 or 2, the only source of
    randomness here. The third DatabaseConflict is raised to the caller.
    """
    for attempt in range(1, TRIES):
        try:
            async with transaction(pool) as tx:
                return await work(tx)
        except DatabaseConflict:
            await asyncio.sleep(jitter_s(attempt))
    async with transaction(pool) as tx:
        return await work(tx)


async def moment(tx: Connection) -> datetime:
    """Return the current time of the trade in UTC; read it after taking locks, never before."""
    now = await tx.fetchval(clock_sql.moment)
    assert isinstance(now, datetime)
    return now


async def check_server(dsn: str) -> None:
    """Raise ServerUnfit with every requirement that this server does not meet."""
    connection = await connect(dsn, application="tekkie check", path="pg_catalog")
    try:
        with translate_errors():
            row = await connection.fetchrow(server_sql.facts, SERVICE_ROLE)
    finally:
        await connection.close(timeout=CONNECT_TIMEOUT_S)
    assert row is not None
    if problems := list(_problems(row)):
        raise ServerUnfit(problems)


def _problems(row: asyncpg.Record) -> Iterator[str]:
    checks = {
        f"It is PostgreSQL {row['version_text']}: tekkie needs 15 or newer.": (
            row["version"] < OLDEST_SERVER
        ),
        "fsync is off, so a crash may lose bookings: set fsync = on.": row["fsync"] != "on",
        "full_page_writes is off, so a crash may tear pages: set full_page_writes = on.": (
            row["full_page_writes"] != "on"
        ),
        "synchronous_commit is off, so a crash loses confirmed requests: "
        "set synchronous_commit = on.": row["synchronous_commit"] == "off",
        f"It accepts only reads: {READ_ONLY_CURE}.": row["accepts_only_reads"],
        f"The database has the encoding {row['encoding']}: "
        "create one with TEMPLATE template0 ENCODING 'UTF8'.": row["encoding"] != "UTF8",
        "The extension btree_gist is missing: install the contrib package of the server.": (
            not row["btree_gist"]
        ),
        f"The role {SERVICE_ROLE} is a superuser, which no permission limits: "
        f"ALTER ROLE {SERVICE_ROLE} NOSUPERUSER.": row["service_is_superuser"],
        f"The URL connects as the superuser {row['user_name']}: create a role for tekkie (CREATE "
        f"ROLE tekkie LOGIN CREATEROLE PASSWORD '…'; ALTER DATABASE \"{row['database']}\" OWNER TO "
        "tekkie) and connect as that.": row["is_superuser"],
    }
    return (sentence for sentence, failed in checks.items() if failed)
