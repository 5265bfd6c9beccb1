"""The pool, the transaction and what may go wrong with them, in words.

    DatabaseError                something about the database, not about the request
    ├── DatabaseAway             nobody answers, or the connection broke; the outcome may be unknown
    ├── DatabaseBusy             no free connection, or a statement took too long
    ├── DatabaseConflict         deadlock, lock timeout or serialization; the same work may repeat
    ├── ConstraintBroken         the schema refused a row: the same work never succeeds
    ├── DatabaseFull             no disk or memory left on the server
    ├── ServerUnfit              a server tekkie cannot keep its promises on (check_server)
    └── SchemaError              (data.migrate) too old, too new, or migration files that disagree

asyncpg's pool would send `RESET ALL` with every release, which doubles the price of a short read.
It is left out, because there is nothing to reset: no statement of tekkie sets, listens, or takes a
session's advisory lock, and a test reads all statements for that.
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
# A plan made while a table was small (those of its foreign keys too) would read it from end to end,
# and is kept while the table grows: each row would make every booking dearer. What no index serves
# is still read so; it must not look expensive enough to be compiled first.
PREFER_INDEXES: Final = {"enable_seqscan": "off", "jit": "off"}

# With a traceback for every try, as long as the database is away; whoever asks it says so once.
logging.getLogger("asyncpg.pool").setLevel(logging.ERROR)

clock_sql = sql_loader.load("clock")
server_sql = sql_loader.load("server")


class DatabaseError(Exception):
    """Something about the database, not about the request; the text is fit to be shown."""


class DatabaseUnavailable(DatabaseError):
    """Nobody answers, or the connection broke; whether a commit happened may be unknown."""


class DatabaseBusy(DatabaseError):
    """No connection became free, or a statement ran into its time limit."""


class DatabaseConflict(DatabaseError):
    """Another transaction was in the way and this one was undone: the same work may repeat."""


@dataclass
class ConstraintViolation(DatabaseError):
    """A constraint of the schema refused what was to be written; nothing was."""

    constraint: str

    def __str__(self) -> str:
        return f"The database refused it: {self.constraint}."


class DatabaseFull(DatabaseError):
    """The server has no disk, memory or connection slots left; nothing was written."""


@dataclass
class ServerUnfit(DatabaseError):
    """A server on which tekkie cannot keep its promises: one sentence with its cure each."""

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

# What asyncpg raises -> what it is called here and how it is said; the first that fits counts.
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
            # A migration gave a table a column: plans made before it are thrown away and made anew.
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
    """Turn what asyncpg raises about server and connection into this module's errors."""
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
            f"The database does not let us act as {role} ({_cause(error)}): run `tekkie migrate`."
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
    """Open a pool of at most `size` connections acting as `role`; DatabaseAway or DatabaseBusy."""
    with translate_errors(), _translate_role_errors(role):
        return await asyncpg.create_pool(
            dsn,
            min_size=1,
            max_size=size,
            timeout=CONNECT_TIMEOUT_S,
            # The server cancels first, so that the clear error arrives instead of a cut line.
            command_timeout=statement_timeout_s + 1,
            init=_register_json,
            reset=_skip_reset,
            server_settings=session_settings(role, application, statement_timeout_s)
            | PREFER_INDEXES,
        )


async def connect(
    dsn: str, *, application: str, role: str | None = None, path: str = "tekkie"
) -> asyncpg.Connection[asyncpg.Record]:
    """Open one connection outside any pool and without a statement limit (migrations, checks)."""
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
    """Return the server settings of one session; the server's own RESET comes back to these."""
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
    """Sessions hold no state of their callers."""


async def _register_json(connection: Connection) -> None:
    await connection.set_type_codec(
        "jsonb", schema="pg_catalog", encoder=_encode_json, decoder=_decode_json, format="binary"
    )


# The binary form is a version and the text: only in it can jsonb stand within a row or an array.
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

    A caller that is cancelled or told DatabaseAway cannot know whether the commit happened: what
    it asked for must be repeatable.
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
    """Yield a connection for statements that each stand alone; raises the errors above."""
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
    """Run `work` in a transaction, three times at most when others are in the way.

    `jitter_s(attempt)` says how many seconds to wait after the failed attempt 1 or 2: it is where
    chance comes in. The third DatabaseConflict goes to the caller.
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
    """Return the moment it is for the trade, in UTC; read it after the lock, never before."""
    now = await tx.fetchval(clock_sql.moment)
    assert isinstance(now, datetime)
    return now


async def check_server(dsn: str) -> None:
    """Raise ServerUnfit naming everything that keeps tekkie from trusting this server."""
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
    found = {
        f"It is PostgreSQL {row['version_text']}: tekkie needs 15 or newer.": (
            row["version"] < OLDEST_SERVER
        ),
        "fsync is off, so a crash may lose bookings: set fsync = on.": row["fsync"] != "on",
        "full_page_writes is off, so a crash may tear pages: set full_page_writes = on.": (
            row["full_page_writes"] != "on"
        ),
        "synchronous_commit is off, so a crash loses what was answered: "
        "set synchronous_commit = on.": row["synchronous_commit"] == "off",
        "It is a read-only standby: name the primary in TEKKIE_DATABASE_URL.": row["in_recovery"],
        f"The database has the encoding {row['encoding']}: "
        "create one with TEMPLATE template0 ENCODING 'UTF8'.": row["encoding"] != "UTF8",
        "The extension btree_gist is missing: install the contrib package of the server.": (
            not row["btree_gist"]
        ),
        f"The role {SERVICE_ROLE} is a superuser, whom no constraint of rights stops: "
        f"ALTER ROLE {SERVICE_ROLE} NOSUPERUSER.": row["service_is_superuser"],
        f"The URL connects as the superuser {row['user_name']}: make a role for tekkie (CREATE "
        f"ROLE tekkie LOGIN CREATEROLE PASSWORD '…'; ALTER DATABASE \"{row['database']}\" OWNER TO "
        "tekkie) and connect as that.": row["is_superuser"],
    }
    return (sentence for sentence, wrong in found.items() if wrong)
