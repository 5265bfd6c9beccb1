"""Brings the schema up to date: plain SQL files in order, each in its own transaction.

Every step takes the advisory lock anew, reads what was applied and applies at most one file, so
that any number of starters may run at once and one of them does each step. The lock ends with the
transaction and therefore also works behind a transaction pooler.

Everybody queues behind a change of a table that waits for one long reader. So a file waits for its
tables only shortly, less than the server waits before it looks for a deadlock, lets the others pass
and tries again, more and more rarely; and says who is in the way.

Of every file is recorded which file a tekkie must know at least to go on working after it: the one
before it, unless its line `-- works from NNNN` names another. So a release may be started on the
schema of the next one, and refuses what is newer.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from typing import TYPE_CHECKING, Final

import asyncpg

from data import db, sql_loader

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.resources.abc import Traversable

MIGRATIONS: Final = files("data") / "sql" / "migrations"
FILE_NAME: Final = re.compile(r"^(?P<version>[0-9]{4})_[a-z0-9_]+\.sql$")
MOST_MIGRATIONS: Final = 9999
WORKS_FROM: Final = re.compile(r"^-- works from ([0-9]{4})$", re.MULTILINE)
LOCK_TRIES: Final = 40
LONGEST_PAUSE_S: Final = 5.0
SEARCH_PATH: Final = "tekkie, public"
APPLICATION: Final = "tekkie migrate"
LOCK_ERRORS: Final = (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError)

sql = sql_loader.load("migrations")


class SchemaError(db.DatabaseError):
    """The schema in the database and the migration files of this tekkie do not go together."""


class SchemaTooOld(SchemaError):
    """The database lacks migrations; `tekkie migrate` applies them."""


class SchemaTooNew(SchemaError):
    """The database was migrated by a newer tekkie, and this one cannot work on it."""


class TablesInUse(SchemaError):
    """Somebody held a table for so long that a migration gave up; nothing of it stays."""


class MigrationRefused(SchemaError):
    """A migration file was changed, is missing, out of order or failed; nothing of it stays."""


class RoleMissing(SchemaError):
    """The role of the service does not exist and this user may not create it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """One file of SQL: its number, its name and what is in it."""

    version: int
    name: str
    text: str

    @property
    def checksum(self) -> str:
        return sha256(self.text.encode()).hexdigest()

    @property
    def works_from(self) -> int:
        """The last file that a tekkie must know to work on the schema after this one."""
        said = WORKS_FROM.search(self.text)
        return self.version - 1 if said is None else int(said[1])


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaStatus:
    """Where a database stands: the files it lacks, or those it has from a newer tekkie."""

    missing: list[str]
    ahead: list[str]


def _ignore_report(_: str) -> None:
    """Report nothing."""


def _pause_s(failed: int) -> float:
    return float(min(0.5 * 2 ** (failed - 1), LONGEST_PAUSE_S))


async def migrate(
    dsn: str,
    report: Callable[[str], None] = _ignore_report,
    *,
    folder: Traversable = MIGRATIONS,
    pause_s: Callable[[int], float] = _pause_s,
) -> list[str]:
    """Apply what is missing and return the names of the files applied here; SchemaError.

    `pause_s(failed)` says how long to let others pass after so many tries, in seconds.
    """
    known = read_migrations(folder)
    connection = await db.connect(dsn, application=APPLICATION, path=SEARCH_PATH)
    applied: list[str] = []
    try:
        with db.translate_errors():
            await _bootstrap(connection, report)
            for _ in range(MOST_MIGRATIONS):
                name = await _step_with_retries(connection, known, report, pause_s)
                if name is None:
                    break
                applied.append(name)
    finally:
        await connection.close(timeout=db.CONNECT_TIMEOUT_S)
    return applied


async def schema_status(dsn: str, *, folder: Traversable = MIGRATIONS) -> SchemaStatus:
    """Return what the database lacks and what it has beyond these files; SchemaError."""
    known = read_migrations(folder)
    connection = await db.connect(dsn, application=APPLICATION, path=SEARCH_PATH)
    try:
        with db.translate_errors():
            if not await connection.fetchval(sql.schema_exists):
                return SchemaStatus(missing=[migration.name for migration in known], ahead=[])
            applied = await _read_applied(connection, known)
    finally:
        await connection.close(timeout=db.CONNECT_TIMEOUT_S)
    return SchemaStatus(
        missing=[migration.name for migration in known[len(applied) :]],
        ahead=[row["name"] for row in applied[len(known) :]],
    )


async def pending(dsn: str, *, folder: Traversable = MIGRATIONS) -> list[str]:
    """Return the names of the files the database lacks; SchemaError when they disagree."""
    return (await schema_status(dsn, folder=folder)).missing


async def check(
    dsn: str, report: Callable[[str], None] = _ignore_report, *, folder: Traversable = MIGRATIONS
) -> None:
    """Raise SchemaTooOld or SchemaTooNew unless this code can work on the database's schema."""
    found = await schema_status(dsn, folder=folder)
    if found.missing:
        raise SchemaTooOld(
            f"The database lacks {len(found.missing)} migration(s), first {found.missing[0]}: "
            "run `tekkie migrate`."
        )
    if found.ahead:
        report(
            f"the database was migrated to {found.ahead[-1]} by a newer tekkie; this one still "
            "works on it, the next may not"
        )


async def ensure_role(dsn: str) -> None:
    """Make sure that the role of the service exists and this user may work as it; RoleMissing."""
    connection = await db.connect(dsn, application=APPLICATION, path=SEARCH_PATH)
    try:
        with db.translate_errors():
            await _ensure_role(connection)
    finally:
        await connection.close(timeout=db.CONNECT_TIMEOUT_S)


def read_migrations(folder: Traversable) -> list[Migration]:
    """Return the migrations of a folder in their order; MigrationRefused on a gap or odd name."""
    found = sorted(
        (entry for entry in folder.iterdir() if entry.name.endswith(".sql")),
        key=lambda entry: entry.name,
    )
    migrations: list[Migration] = []
    for number, entry in enumerate(found, start=1):
        match = FILE_NAME.match(entry.name)
        if match is None:
            raise MigrationRefused(f"{entry.name} is no migration: name it NNNN_what_it_does.sql")
        if int(match["version"]) != number:
            raise MigrationRefused(
                f"{entry.name} stands where number {number:04} belongs: leave no gap and no twin"
            )
        text = entry.read_text(encoding="utf-8")
        migrations.append(Migration(version=number, name=entry.name, text=text))
    return migrations


async def _bootstrap(connection: db.Connection, report: Callable[[str], None]) -> None:
    async with connection.transaction():
        if not await connection.fetchval(sql.try_lock):
            report("waiting for another tekkie that is migrating …")
            await connection.execute(sql.lock)
        await _ensure_role(connection)
        if not await connection.fetchval(sql.schema_exists):
            try:
                await connection.execute(sql.create_schema)
            except asyncpg.InsufficientPrivilegeError as error:
                raise SchemaError(
                    f"The schema tekkie cannot be created ({error}): an administrator must run "
                    "ALTER DATABASE <name> OWNER TO <user of the URL>;"
                ) from error


async def _ensure_role(connection: db.Connection) -> None:
    if not await connection.fetchval(sql.role_exists):
        try:
            # Roles belong to the whole server and the lock only to this database.
            async with connection.transaction():
                await connection.execute(sql.create_role)
        except (asyncpg.DuplicateObjectError, asyncpg.UniqueViolationError):
            pass
        except asyncpg.InsufficientPrivilegeError as error:
            raise RoleMissing(_role_instructions("does not exist")) from error
    before_16 = connection.get_server_version().major < 16
    may = sql.may_become_role_before_16 if before_16 else sql.may_become_role
    if await connection.fetchval(may):
        return
    try:
        async with connection.transaction():
            await connection.execute(sql.grant_role)
    except asyncpg.InsufficientPrivilegeError as error:
        raise RoleMissing(_role_instructions("is not granted to this user")) from error


def _role_instructions(what: str) -> str:
    return (
        f"The role {db.SERVICE_ROLE} {what}. An administrator must run: "
        f"{sql.create_role.splitlines()[-1]}; GRANT {db.SERVICE_ROLE} TO <user of the URL>;"
    )


async def _step_with_retries(
    connection: db.Connection,
    known: Sequence[Migration],
    report: Callable[[str], None],
    pause_s: Callable[[int], float],
) -> str | None:
    others = ""
    for failed in range(1, LOCK_TRIES + 1):
        try:
            return await _step(connection, known, report)
        except LOCK_ERRORS:
            others = await _describe_blocker(connection)
        report(
            f"a table is in use{others}: nothing was changed, trying again (try {failed} of "
            f"{LOCK_TRIES}) …"
        )
        await asyncio.sleep(pause_s(failed))
    raise TablesInUse(
        f"A table stayed in use{others} over {LOCK_TRIES} tries and nothing was changed: wait "
        "until that has ended, or end it, and run `tekkie migrate` again."
    )


async def _describe_blocker(connection: db.Connection) -> str:
    """Name who has held tables of tekkie for longest; those who are gone by now are not named."""
    row = await connection.fetchrow(sql.blocking_session)
    if row is None:
        return ""
    name = row["application_name"] or "without a name"
    return f" by process {row['pid']} ({name}, for {row['held_s']:.0f} s)"


async def _step(
    connection: db.Connection, known: Sequence[Migration], report: Callable[[str], None]
) -> str | None:
    async with connection.transaction():
        await connection.execute(sql.lock)
        missing = await _missing(connection, known)
        if not missing:
            return None
        await connection.execute(sql.limit_lock_waits)
        await _upgrade_list(connection)
        await _apply(connection, missing[0], report)
        return missing[0].name


async def _upgrade_list(connection: db.Connection) -> None:
    # A list of files that an earlier tekkie founded.
    if not await connection.fetchval(sql.has_works_from):
        await connection.execute(sql.add_works_from)


async def _apply(
    connection: db.Connection, migration: Migration, report: Callable[[str], None]
) -> None:
    report(f"applying {migration.name} …")
    try:
        await connection.execute(migration.text)
    except (*LOCK_ERRORS, asyncpg.InsufficientResourcesError, *db.CONNECTION_ERRORS):
        raise
    except asyncpg.PostgresError as error:
        raise MigrationRefused(f"{migration.name} failed and was undone: {error}") from error
    if not connection.is_in_transaction():
        raise MigrationRefused(f"{migration.name} ends the transaction: take COMMIT out of it")
    facts = (migration.version, migration.name, migration.checksum, migration.works_from)
    await connection.execute(sql.record, *facts)


async def _missing(connection: db.Connection, known: Sequence[Migration]) -> list[Migration]:
    return list(known[len(await _read_applied(connection, known)) :])


async def _read_applied(
    connection: db.Connection, known: Sequence[Migration]
) -> list[asyncpg.Record]:
    """Return what was applied; SchemaTooNew and MigrationRefused where the files do not fit it."""
    applied = await connection.fetch(sql.applied)
    if max((row["works_from"] for row in applied), default=0) > len(known):
        raise SchemaTooNew(
            f"The database was migrated to {applied[-1]['name']} by a newer tekkie and this one "
            f"knows {len(known)} migration(s): start the newer tekkie."
        )
    for row, migration in zip(applied, known, strict=False):
        if row["name"] != migration.name:
            raise MigrationRefused(
                f"The database has {row['name']} where this tekkie has {migration.name}: "
                "bring the file back under its name and number the new one last."
            )
        if row["sha256"] != migration.checksum:
            raise MigrationRefused(
                f"{migration.name} was changed after it was applied: restore it and put the change "
                "into a new file."
            )
    return applied
