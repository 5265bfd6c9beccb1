"""Applies schema migrations: plain SQL files in order, each in its own transaction.

Every step takes the advisory lock, reads the list of applied files and applies at most one, so that
any number of processes may migrate at once. The lock ends with the transaction and therefore also
works behind a transaction pooler.

An ALTER TABLE that waits for a long reader blocks all later statements. So the lock timeout of a
migration is shorter than `deadlock_timeout`; on failure it is retried with growing pauses, and the
blocking session is reported.

For every file it is recorded which migration the code must know at least to work after it: the file
before, unless a line `-- works from NNNN` names another. So a release can run on the schema of the
next one, and refuses newer schemas.
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
from data.hosts import is_pooled

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
DIRECTLY: Final = (
    " with the TEKKIE_DATABASE_URL of the server itself and without TEKKIE_DATABASE_POOLER"
)
LOCK_ERRORS: Final = (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError)

sql = sql_loader.load("migrations")


class SchemaError(db.DatabaseError):
    """The schema of the database and the migration files of this release do not match."""


class SchemaTooOld(SchemaError):
    """The database lacks migrations; `tekkie migrate` applies them."""


class SchemaTooNew(SchemaError):
    """The database was migrated by a newer release, and this one cannot work on it."""


class TablesInUse(SchemaError):
    """A table stayed locked until the migration gave up; it was rolled back."""


class MigrationRefused(SchemaError):
    """A migration file was changed, is missing, out of order or failed; it was rolled back."""


class RoleMissing(SchemaError):
    """The role of the service does not exist and this user may not create it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """One SQL file: its number, its name and its text."""

    version: int
    name: str
    text: str

    @property
    def checksum(self) -> str:
        return sha256(self.text.encode()).hexdigest()

    @property
    def works_from(self) -> int:
        """The last migration that the code must know to work on the schema after this one."""
        match = WORKS_FROM.search(self.text)
        return self.version - 1 if match is None else int(match[1])


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaStatus:
    """The files a database lacks, or those it has from a newer release."""

    missing: list[str]
    ahead: list[str]


def _ignore_report(_: str) -> None:
    """Do nothing."""


def _pause_s(failed: int) -> float:
    return float(min(0.5 * 2 ** (failed - 1), LONGEST_PAUSE_S))


async def migrate(
    dsn: str,
    report: Callable[[str], None] = _ignore_report,
    *,
    folder: Traversable = MIGRATIONS,
    pause_s: Callable[[int], float] = _pause_s,
) -> list[str]:
    """Apply the missing files and return the names of those applied here. Raises SchemaError.

    `pause_s(failed)` returns the seconds to wait after that many failed attempts. Through a pooler,
    which does not sign in as the owner, nothing is applied: missing files raise SchemaTooOld.
    """
    if is_pooled(dsn):
        await check(dsn, report, folder=folder)
        return []
    migrations = read_migrations(folder)
    connection = await db.connect(dsn, application=APPLICATION, path=SEARCH_PATH)
    applied: list[str] = []
    try:
        with db.translate_errors():
            await _bootstrap(connection, report)
            for _ in range(MOST_MIGRATIONS):
                name = await _step_with_retries(connection, migrations, report, pause_s)
                if name is None:
                    break
                applied.append(name)
    finally:
        await connection.close(timeout=db.CONNECT_TIMEOUT_S)
    return applied


async def schema_status(dsn: str, *, folder: Traversable = MIGRATIONS) -> SchemaStatus:
    """Return the files the database lacks and those it has beyond these. Raises SchemaError."""
    migrations = read_migrations(folder)
    connection = await db.connect(dsn, application=APPLICATION, path=SEARCH_PATH)
    try:
        with db.translate_errors():
            if not await connection.fetchval(sql.schema_exists):
                return SchemaStatus(missing=[migration.name for migration in migrations], ahead=[])
            applied = await _read_applied(connection, migrations)
    finally:
        await connection.close(timeout=db.CONNECT_TIMEOUT_S)
    return SchemaStatus(
        missing=[migration.name for migration in migrations[len(applied) :]],
        ahead=[row["name"] for row in applied[len(migrations) :]],
    )


async def pending(dsn: str, *, folder: Traversable = MIGRATIONS) -> list[str]:
    """Return the names of the files the database lacks. Raises SchemaError."""
    return (await schema_status(dsn, folder=folder)).missing


async def check(
    dsn: str, report: Callable[[str], None] = _ignore_report, *, folder: Traversable = MIGRATIONS
) -> None:
    """Raise SchemaTooOld or SchemaTooNew unless this code can work on the database's schema."""
    status = await schema_status(dsn, folder=folder)
    if status.missing:
        raise SchemaTooOld(
            f"The database lacks {len(status.missing)} migration(s), first {status.missing[0]}: "
            f"run `tekkie migrate`{DIRECTLY if is_pooled(dsn) else ''}."
        )
    if status.ahead:
        report(
            f"the database was migrated to {status.ahead[-1]} by a newer tekkie; this one still "
            "works on it, the next may not"
        )


async def ensure_role(dsn: str) -> None:
    """Create the role of the service if needed and check that this user may set it.

    Raises RoleMissing.
    """
    connection = await db.connect(dsn, application=APPLICATION, path=SEARCH_PATH)
    try:
        with db.translate_errors():
            await _ensure_role(connection)
    finally:
        await connection.close(timeout=db.CONNECT_TIMEOUT_S)


def read_migrations(folder: Traversable) -> list[Migration]:
    """Return the migrations of a folder in order. Raises MigrationRefused on a gap or odd name."""
    entries = sorted(
        (entry for entry in folder.iterdir() if entry.name.endswith(".sql")),
        key=lambda entry: entry.name,
    )
    migrations: list[Migration] = []
    for number, entry in enumerate(entries, start=1):
        match = FILE_NAME.match(entry.name)
        if match is None:
            raise MigrationRefused(
                f"{entry.name} is not a migration: name it NNNN_what_it_does.sql"
            )
        if int(match["version"]) != number:
            raise MigrationRefused(
                f"{entry.name} stands where number {number:04} belongs: "
                "leave no gap and no duplicate"
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
            # Roles belong to the whole server, the lock only to this database.
            async with connection.transaction():
                await connection.execute(sql.create_role)
        except (asyncpg.DuplicateObjectError, asyncpg.UniqueViolationError):
            pass
        except asyncpg.InsufficientPrivilegeError as error:
            raise RoleMissing(_role_instructions("does not exist")) from error
    before_16 = connection.get_server_version().major < 16
    check_membership = sql.may_become_role_before_16 if before_16 else sql.may_become_role
    if await connection.fetchval(check_membership):
        return
    try:
        async with connection.transaction():
            await connection.execute(sql.grant_role)
    except asyncpg.InsufficientPrivilegeError as error:
        raise RoleMissing(_role_instructions("is not granted to this user")) from error


def _role_instructions(problem: str) -> str:
    return (
        f"The role {db.SERVICE_ROLE} {problem}. An administrator must run: "
        f"{sql.create_role.splitlines()[-1]}; GRANT {db.SERVICE_ROLE} TO <user of the URL>;"
    )


async def _step_with_retries(
    connection: db.Connection,
    migrations: Sequence[Migration],
    report: Callable[[str], None],
    pause_s: Callable[[int], float],
) -> str | None:
    blocker = ""
    for failed in range(1, LOCK_TRIES + 1):
        try:
            return await _step(connection, migrations, report)
        except LOCK_ERRORS:
            blocker = await _describe_blocker(connection)
        report(
            f"a table is in use{blocker}: nothing was changed, trying again (try {failed} of "
            f"{LOCK_TRIES}) …"
        )
        await asyncio.sleep(pause_s(failed))
    raise TablesInUse(
        f"A table stayed in use{blocker} over {LOCK_TRIES} tries and nothing was changed: wait "
        "until that has ended, or end it, and run `tekkie migrate` again."
    )


async def _describe_blocker(connection: db.Connection) -> str:
    """Describe the session that has held tables of tekkie for longest; empty if it has ended."""
    row = await connection.fetchrow(sql.blocking_session)
    if row is None:
        return ""
    name = row["application_name"] or "without a name"
    return f" by process {row['pid']} ({name}, for {row['held_s']:.0f} s)"


async def _step(
    connection: db.Connection, migrations: Sequence[Migration], report: Callable[[str], None]
) -> str | None:
    async with connection.transaction():
        await connection.execute(sql.lock)
        missing = await _missing(connection, migrations)
        if not missing:
            return None
        await connection.execute(sql.limit_lock_waits)
        await _upgrade_list(connection)
        await _apply(connection, missing[0], report)
        return missing[0].name


async def _upgrade_list(connection: db.Connection) -> None:
    # A table made by an earlier release.
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


async def _missing(connection: db.Connection, migrations: Sequence[Migration]) -> list[Migration]:
    return list(migrations[len(await _read_applied(connection, migrations)) :])


async def _read_applied(
    connection: db.Connection, migrations: Sequence[Migration]
) -> list[asyncpg.Record]:
    """Return the applied files. Raises SchemaTooNew, MigrationRefused where these files differ."""
    applied = await connection.fetch(sql.applied)
    if max((row["works_from"] for row in applied), default=0) > len(migrations):
        raise SchemaTooNew(
            f"The database was migrated to {applied[-1]['name']} by a newer tekkie and this one "
            f"knows {len(migrations)} migration(s): start the newer tekkie."
        )
    for row, migration in zip(applied, migrations, strict=False):
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
