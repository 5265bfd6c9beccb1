"""The connection pool, transactions and the errors of the database.

    DatabaseError                an error of the database, not of the request
    ├── DatabaseUnavailable      no answer, or the connection broke; the outcome may be unknown
    ├── DatabaseBusy             no free connection, or a statement took too long
    ├── DatabaseConflict         deadlock, lock timeout or serialization; a retry may succeed
    ├── ConstraintViolation      the schema refused a row; a retry never succeeds
    ├── DatabaseFull             no disk or memory left on the server
    ├── ServerUnfit              a server that does not meet tekkie's requirements (check_server)
    └── SchemaError              (data.migrate) too old, too new, or migration files that disagree

asyncpg's pool would send `RESET ALL` with every release, which doubles the cost of a short read.
It is skipped, because there is nothing to reset: no statement of tekkie sets session parameters,
listens, or takes a session-level advisory lock. A test checks all statements for that.
"""

from __future__ import annotations

import asyncio
import json
import logging
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from data import sql_loader

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]"
Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"
T = TypeVar("T")

SERVICE_ROLE: Final = "tekkie_service"
OLDEST_SERVER: Final = 150000
CONNECT_TIMEOUT_S: Final = 5.0
ACQUIRE_TIMEOUT_S: Final = 1.5
TRIES: Final = 3
# A plan made while a table is small (for foreign keys too) would be a sequential scan, and stay
# cached while the table grows and slows every booking. Where no index fits, a sequential scan is
# still used; its inflated cost must not trigger JIT compilation.
PREFER_INDEXES: Final = {"enable_seqscan": "off", "jit": "off"}

# asyncpg logs a traceback for every attempt while the database is unavailable; callers log it once.
logging.getLogger("asyncpg.pool").setLevel(logging.ERROR)

clock_sql = sql_loader.load("clock")
server_sql = sql_loader.load("server")


class DatabaseError(Exception):
    """An error of the database, not of the request; the message may be shown to users."""


class DatabaseUnavailable(DatabaseError):
    """The server does not answer or the connection broke; a commit may have happened or not."""


class DatabaseBusy(DatabaseError):
    """No connection became free, or a statement exceeded its time limit."""


class DatabaseConflict(DatabaseError):
    """Rolled back because of a concurrent transaction; a retry may succeed."""


@dataclass
class ConstraintViolation(DatabaseError):
    """A constraint of the schema was violated; nothing was written."""

    constraint: str

    def __str__(self) -> str:
        return f"The database refused it: {self.constraint}."


class DatabaseFull(DatabaseError):
    """The server has no disk, memory or connection slots left; nothing was written."""


@dataclass
class ServerUnfit(DatabaseError):
    """A server that does not meet tekkie's requirements: one sentence with its cure per problem."""

    problems: list[str]

    def __str__(self) -> str:
        return "\n".join(["This PostgreSQL server cannot be used:", *self.problems])


CONNECTION_ERRORS: Final = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.InternalClientError,
)

# asyncpg's exceptions -> this module's exception and its message; the first match counts.
TRANSLATIONS: Final[
    tuple[tuple[tuple[type[BaseException], ...], type[DatabaseError], str], ...]
] = (
    ((TimeoutError,), DatabaseBusy, "The database did not answer in time; try again."),
    (
        (asyncpg.QueryCanceledError,),
        DatabaseBusy,
        "A statement took longer than its time limit; try again.",
    ),
    (
        (
            asyncpg.SerializationError,
            asyncpg.DeadlockDetectedError,
            asyncpg.LockNotAvailableError,
            # A migration changed a table: cached plans are discarded and made anew.
            asyncpg.InvalidCachedStatementError,
            asyncpg.OutdatedSchemaCacheError,
        ),
        DatabaseConflict,
        "Another transaction was in the way; try again.",
    ),
    (
        (asyncpg.InsufficientResourcesError,),
        DatabaseFull,
        "The database server is full ({cause}); nothing was written.",
    ),
    (
        (
            asyncpg.InvalidAuthorizationSpecificationError,
            asyncpg.InvalidCatalogNameError,
            asyncpg.ClientConfigurationError,
        ),
        DatabaseUnavailable,
        "The database refuses TEKKIE_DATABASE_URL: {cause}",
    ),
    (CONNECTION_ERRORS, DatabaseUnavailable, "The database does not answer: {cause}"),
)


@contextmanager
def translate_errors() -> Iterator[None]:
    """Raise this module's errors in place of asyncpg's errors of server and connection."""
    try:
        yield
    except asyncpg.IntegrityConstraintViolationError as error:
        raise ConstraintViolation(str(error.constraint_name)) from error
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, *CONNECTION_ERRORS) as error:
        for kinds, ours, text in TRANSLATIONS:
            if isinstance(error, kinds):
                raise ours(text.format(cause=_cause(error))) from error
        if isinstance(error, asyncpg.InterfaceError) and "closed" in str(error):
            raise DatabaseUnavailable("The connection to the database broke; try again.") from error
        raise


@contextmanager
def _translate_role_errors(role: str | None) -> Iterator[None]:
    try:
        yield
    except (asyncpg.InvalidParameterValueError, asyncpg.InsufficientPrivilegeError) as error:
        raise DatabaseUnavailable(
            f"The database does not permit the role {role} ({_cause(error)}): run `tekkie migrate`."
        ) from error


def _cause(error: BaseException) -> str:
    return str(error).strip() or type(error).__name__


async def open_pool(
    dsn: str,
    *,
    role: str | None,
    size: int,
    application: str,
    statement_timeout_s: float = 5.0,
) -> Pool:
    """Open a pool of at most `size` connections with the role `role`.

    Raises DatabaseUnavailable, DatabaseBusy.
    """
    with translate_errors(), _translate_role_errors(role):
        return await asyncpg.create_pool(
            dsn,
            min_size=1,
            max_size=size,
            timeout=CONNECT_TIMEOUT_S,
            # The server cancels first, so that its error arrives instead of a lost connection.
            command_timeout=statement_timeout_s + 1,
            init=_register_json,
            reset=_skip_reset,
            server_settings=session_settings(role, application, statement_timeout_s)
            | PREFER_INDEXES,
        )


async def connect(
    dsn: str, *, application: str, role: str | None = None, path: str = "tekkie"
) -> asyncpg.Connection[asyncpg.Record]:
    """Open one connection outside any pool, without a statement timeout (migrations, checks)."""
    with translate_errors():
        connection: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(
            dsn,
            timeout=CONNECT_TIMEOUT_S,
            server_settings=session_settings(role, application, 0)
            | {"search_path": path, "lock_timeout": "0"},
        )
        await _register_json(connection)
        return connection


def session_settings(
    role: str | None, application: str, statement_timeout_s: float
) -> dict[str, str]:
    """Return the server settings of one session; RESET returns to these values."""
    settings = {
        "application_name": application,
        "search_path": "tekkie",
        "timezone": "UTC",
        "statement_timeout": str(round(statement_timeout_s * 1000)),
        "lock_timeout": "2000",
        "idle_in_transaction_session_timeout": "10000",
    }
    return settings if role is None else settings | {"role": role}


async def _skip_reset(connection: Connection) -> None:
    """Do nothing: sessions hold no state of their callers."""


async def _register_json(connection: Connection) -> None:
    await connection.set_type_codec(
        "jsonb", schema="pg_catalog", encoder=_encode_json, decoder=_decode_json, format="binary"
    )


# The binary format is a version byte and the text; jsonb within rows and arrays requires it.
_JSONB_VERSION: Final = b"\x01"
_json_text = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def _encode_json(value: Any) -> bytes:
    return _JSONB_VERSION + _json_text(value).encode()


def _decode_json(data: bytes) -> Any:
    return json.loads(data[1:].decode())


@asynccontextmanager
async def transaction(
    pool: Pool, *, acquire_timeout_s: float = ACQUIRE_TIMEOUT_S
) -> AsyncIterator[Connection]:
    """Yield a connection in one READ COMMITTED transaction; raises the errors above.

    A caller that is cancelled or gets DatabaseUnavailable cannot know whether the commit happened:
    its work must be idempotent.
    """
    with translate_errors():
        connection = await _acquire(pool, acquire_timeout_s)
        try:
            async with connection.transaction(isolation="read_committed"):
                yield connection
        finally:
            await pool.release(connection, timeout=CONNECT_TIMEOUT_S)


@asynccontextmanager
async def autocommit(
    pool: Pool, *, acquire_timeout_s: float = ACQUIRE_TIMEOUT_S
) -> AsyncIterator[Connection]:
    """Yield a connection in which each statement commits by itself; raises the errors above."""
    with translate_errors():
        connection = await _acquire(pool, acquire_timeout_s)
        try:
            yield connection
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
        "It is a read-only standby: name the primary in TEKKIE_DATABASE_URL.": row["in_recovery"],
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
