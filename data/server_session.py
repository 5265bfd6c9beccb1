"""Opens sessions of the database server: hosts in order, settings, and their verification.

A session is used only if it is what was asked for: with tekkie's role, search path and limits, on a
server that accepts writes. A pooler may drop the settings without a word, and queries would run as
the owner of the schema; after a failover a name may lead to a standby.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import asyncpg

from data import sql_loader
from data.db_errors import (
    READ_ONLY_CURE,
    SESSION_ERRORS,
    DatabaseReadOnly,
    DatabaseUnavailable,
    SessionUnfit,
    describe_cause,
)
from data.hosts import Host, Hosts

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from asyncpg import Record

STATEMENT_TIMEOUT_S: Final = 5.0
CONNECT_TIMEOUT_S: Final = 5.0
# Of several hosts each is first given so long, less than a request waits for a connection; only if
# none answers is each given CONNECT_TIMEOUT_S.
HOST_TIMEOUT_S: Final = 1.0
# A plan made while a table is small (for foreign keys too) would be a sequential scan, and stay
# cached while the table grows and slows every booking. Where no index fits, a sequential scan is
# still used; its inflated cost must not trigger JIT compilation.
PREFER_INDEXES: Final = {"enable_seqscan": "off", "jit": "off"}
NOT_VERIFIED: Final = frozenset({"role", "application_name"})

server_sql = sql_loader.load("server")


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


class Connector:
    """Opens the sessions of one URL, as asyncpg's pool does with `connect`.

    Of several hosts the one that answered last is tried first. `verified`: only a session with
    these settings on a server that accepts writes is returned.
    """

    def __init__(self, url: str, settings: Mapping[str, str], *, verified: bool) -> None:
        self._hosts: Final = Hosts.of(url)
        self._settings: Final = settings
        self._verified: Final = verified

    async def __call__(self, dsn: str | None = None, **options: Any) -> asyncpg.Connection[Record]:
        """Open a session, of the URL given before. Raises DatabaseUnavailable, asyncpg's errors."""
        if self._hosts.pooled:
            options |= {"statement_cache_size": 0, "connection_class": PoolerConnection}
        else:
            options["server_settings"] = self._settings
        if not self._hosts.hosts:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                return await self._open(**options)
        return await self._open_any(**options)

    async def _open_any(self, **options: Any) -> asyncpg.Connection[Record]:
        """Try each host in turn, first in haste."""
        problems: dict[Host, str] = {}
        for limit_s in (HOST_TIMEOUT_S, CONNECT_TIMEOUT_S):
            for host in tuple(self._hosts.hosts):
                # Before the attempt: a caller that gives up has waited for this host too.
                self._hosts.defer(host)
                try:
                    async with asyncio.timeout(limit_s):
                        connection = await self._open(host=host.name, port=host.port, **options)
                except TimeoutError:
                    problems[host] = f"no answer within {limit_s:g} s"
                except (*SESSION_ERRORS, DatabaseReadOnly) as error:
                    problems[host] = describe_cause(error)
                else:
                    self._hosts.prefer(host)
                    return connection
        texts = "; ".join(f"{host}: {problem}" for host, problem in problems.items())
        raise DatabaseUnavailable(f"None of the hosts of the database can be used: {texts}")

    async def _open(self, **options: Any) -> asyncpg.Connection[Record]:
        connection: asyncpg.Connection[Record] = await asyncpg.connect(self._hosts.url, **options)
        try:
            await _register_json(connection)
            if self._verified or self._hosts.hosts:
                await self._verify(connection)
        except BaseException:
            connection.terminate()
            raise
        return connection

    async def _verify(self, connection: asyncpg.Connection[Record]) -> None:
        """Raise DatabaseReadOnly or SessionUnfit unless the session is as asked for."""
        names = [name for name in self._settings if name not in NOT_VERIFIED]
        facts = await connection.fetchrow(server_sql.session, names)
        assert facts is not None
        if facts["accepts_only_reads"]:
            raise DatabaseReadOnly(f"The database accepts only reads: {READ_ONLY_CURE}.")
        if not self._verified:
            return
        found = {"role": facts["role"], **dict(zip(names, facts["settings"], strict=True))}
        wanted = {"role": facts["role"], **self._settings}
        differing = {name: found[name] for name in found if found[name] != wanted[name]}
        if not differing:
            return
        lost = ", ".join(f"{name} is {value or 'empty'}" for name, value in differing.items())
        if not self._hosts.pooled:
            raise SessionUnfit(
                f"Connections to the database lose their settings ({lost}), as behind a pooler: "
                "let TEKKIE_DATABASE_URL name the server itself, or set "
                "TEKKIE_DATABASE_POOLER=transaction."
            )
        statements = await role_statements(connection, wanted["role"], facts["database"])
        first = (
            f"The database does not give sessions of the pooler tekkie's settings ({lost}). Let "
            f"the pooler sign in as {wanted['role']}, run what follows as an administrator, and "
            "let the pooler connect anew (PgBouncer: RECONNECT):"
        )
        raise SessionUnfit("\n".join([first, *statements]))


class PoolerConnection(asyncpg.Connection):
    """A connection through a transaction pooler: a statement by itself is a transaction too.

    The driver sends a statement in two steps, which such a pooler may give to two sessions.
    """

    __slots__ = ()

    @asynccontextmanager
    async def _one_session(self) -> AsyncIterator[None]:
        if self.is_in_transaction():
            yield
            return
        async with self.transaction():
            yield

    async def execute(self, query: str, *arguments: Any, **options: Any) -> Any:
        """As asyncpg."""
        if not arguments:
            # One message, and one that may itself begin or end a transaction.
            return await super().execute(query, **options)
        async with self._one_session():
            return await super().execute(query, *arguments, **options)

    async def fetch(self, query: str, *arguments: Any, **options: Any) -> Any:
        """As asyncpg."""
        async with self._one_session():
            return await super().fetch(query, *arguments, **options)

    async def fetchrow(self, query: str, *arguments: Any, **options: Any) -> Any:
        """As asyncpg."""
        async with self._one_session():
            return await super().fetchrow(query, *arguments, **options)

    async def fetchval(self, query: str, *arguments: Any, **options: Any) -> Any:
        """As asyncpg."""
        async with self._one_session():
            return await super().fetchval(query, *arguments, **options)


async def role_statements(
    connection: asyncpg.Connection[Record], role: str, database: str
) -> list[str]:
    """Return the statements that give every session of a role in a database its settings."""
    settings = session_settings(None, "tekkie", STATEMENT_TIMEOUT_S) | PREFER_INDEXES
    rows = await connection.fetch(
        server_sql.role_statements, role, database, list(settings), list(settings.values())
    )
    return [row["statement"] for row in rows]


async def _register_json(connection: asyncpg.Connection[Record]) -> None:
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
