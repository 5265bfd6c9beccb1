"""Backup and restore by the PostgreSQL client programs of the server's version.

A backup is one file in pg_dump's custom format: a consistent snapshot of the schema `tekkie`, taken
while the service runs. The file appears under its name only when it is complete and was read back.

A restore is one transaction. pg_restore writes a script and psql runs it, so that the transaction
ids in the rows can be corrected after the data and before the triggers.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
from collections import deque
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from data import db, migrate, sql_loader
from data.hosts import is_pooled
from data.postgres import initdb, layout

if TYPE_CHECKING:
    from asyncio import StreamReader, StreamWriter
    from asyncio.subprocess import Process
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

CHUNK_BYTES: Final = 1 << 18
ERROR_LINES: Final = 3
VERSION: Final = re.compile(r"\(PostgreSQL\) (\d+)")
BOOKINGS_DATA: Final = re.compile(rb"TABLE DATA tekkie bookings ")
DUMPED_FROM: Final = re.compile(rb"Dumped from database version: (\d+)")
DEBIAN: Final = "/usr/lib/postgresql/{major}/bin"
DUMP: Final = (
    "--format=custom",
    "--schema=tekkie",
    "--extension=btree_gist",
    "--no-owner",
    "--no-comments",
    "--verbose",
    "--lock-wait-timeout=10000",
)
RESTORE: Final = ("--file=-", "--no-owner", "--no-comments")
PSQL: Final = ("--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--file=-")

sql = sql_loader.load("backup")


class BackupRefused(db.DatabaseError):
    """A backup or restore is not possible; nothing was changed. The message names the cure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupContents:
    """The file of a backup or restore and the numbers of rows in it."""

    file: Path
    bytes: int
    bookings: int
    people: int
    events: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Facts:
    major: int
    has_schema: bool
    has_tables: bool
    others: int


def _ignore_report(_: str) -> None:
    """Do nothing."""


async def backup(
    dsn: str, file: Path, report: Callable[[str], None] = _ignore_report
) -> BackupContents:
    """Write the database at the owner's `dsn` to a new file with mode 0600."""
    _check_is_direct(dsn)
    facts = await _read_facts(dsn)
    if not facts.has_tables:
        raise BackupRefused("There is nothing to back up: the database has no tables of tekkie.")
    _check_is_new(file)
    programs = programs_folder(facts.major)
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    # pg_dump keeps the permissions of an existing file and syncs it to disk.
    os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    try:
        await _dump(programs, dsn, temporary, report)
        await _dumped_version(programs, temporary)
        _publish(temporary, file)
    finally:
        temporary.unlink(missing_ok=True)
    return await _count_contents(dsn, file)


async def restore(
    dsn: str, file: Path, report: Callable[[str], None] = _ignore_report, *, force: bool = False
) -> BackupContents:
    """Fill the empty database at the owner's `dsn` from a backup, completely or not at all.

    With `force`, tables without people are replaced; a database with people never is.
    """
    _check_is_direct(dsn)
    _check_is_file(file)
    facts = await _read_facts(dsn)
    await _check_is_empty(dsn, facts, force)
    programs = programs_folder(facts.major)
    version = await _dumped_version(programs, file)
    if version > facts.major:
        raise BackupRefused(
            f"{file} comes from PostgreSQL {version} and this server is {facts.major}: "
            f"restore into a server of version {version} or newer."
        )
    await migrate.ensure_role(dsn)
    await _load(programs, dsn, file, report, clear=facts.has_schema)
    await _analyze(dsn)
    return await _count_contents(dsn, file)


def programs_folder(major: int) -> Path:
    """Return the folder of pg_dump, pg_restore and psql of this version. Raises BackupRefused."""
    for folder in _candidate_folders(major):
        if _major_version(folder / "pg_dump") == major and (folder / "psql").exists():
            return folder
    raise BackupRefused(
        f"The server is PostgreSQL {major} and no pg_dump of that version is here: install its "
        f"client programs (on Debian postgresql-client-{major}), or put them first in PATH."
    )


def _candidate_folders(major: int) -> list[Path]:
    folders = [Path(DEBIAN.format(major=major))]
    if found := shutil.which("pg_dump"):
        folders.insert(0, Path(found).parent)
    with suppress(layout.ClusterUnusable):
        folders.insert(0, initdb.binaries_folder())
    return folders


def _major_version(program: Path) -> int | None:
    try:
        output = subprocess.run(
            [program, "--version"], capture_output=True, encoding="utf-8", check=True, timeout=10
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    match = VERSION.search(output)
    return int(match[1]) if match else None


def _check_is_direct(dsn: str) -> None:
    if is_pooled(dsn):
        raise BackupRefused(f"A pooler cannot pass all of a database: run this{migrate.DIRECTLY}.")


def _check_is_new(file: Path) -> None:
    if file.exists():
        raise BackupRefused(f"{file} exists and is not overwritten: choose another name.")


def _check_is_file(file: Path) -> None:
    if not file.is_file():
        raise BackupRefused(f"{file} is not a file: name one that `tekkie backup` has written.")


async def _check_is_empty(dsn: str, facts: _Facts, force: bool) -> None:
    if facts.others:
        raise BackupRefused(
            f"tekkie works on this database ({facts.others} connections): stop it first."
        )
    if not facts.has_schema:
        return
    people = await _count_people(dsn) if facts.has_tables else 0
    if people:
        raise BackupRefused(
            f"The database holds {people:,} people and is left as it is: restore into another "
            "folder (TEKKIE_DATA_DIR) or an empty database (TEKKIE_DATABASE_URL)."
        )
    if not force:
        raise BackupRefused(
            "The database has tables already, though nobody in them: --force replaces them."
        )


def _publish(temporary: Path, file: Path) -> None:
    # A link, not a rename: it fails if a file of this name was created meanwhile.
    os.link(temporary, file)
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@asynccontextmanager
async def _connect(dsn: str) -> AsyncIterator[db.Connection]:
    connection = await db.connect(dsn, application="backup")
    try:
        with db.translate_errors():
            yield connection
    finally:
        await connection.close(timeout=db.CONNECT_TIMEOUT_S)


async def _read_facts(dsn: str) -> _Facts:
    async with _connect(dsn) as connection:
        row = await connection.fetchrow(sql.facts)
    assert row is not None
    return _Facts(**row)


async def _count_contents(dsn: str, file: Path) -> BackupContents:
    async with _connect(dsn) as connection:
        row = await connection.fetchrow(sql.counts)
    assert row is not None
    return BackupContents(file=file, bytes=os.stat(file).st_size, **row)


async def _count_people(dsn: str) -> int:
    async with _connect(dsn) as connection:
        row = await connection.fetchrow(sql.counts)
    assert row is not None
    return int(row["people"])


async def _analyze(dsn: str) -> None:
    async with _connect(dsn) as connection:
        await connection.execute(sql.analyze)


async def _dump(programs: Path, dsn: str, into: Path, report: Callable[[str], None]) -> None:
    arguments = (*DUMP, f"--file={into}", _target(dsn))
    async with _run_program(
        programs / "pg_dump", arguments, dsn, stdout=subprocess.DEVNULL
    ) as process:
        errors = await _collect_errors(process, report)
        _check_exit(process, errors, "The backup failed and left no file")


async def _dumped_version(programs: Path, file: Path) -> int:
    """Return the server version a backup was made from; reads and checks its table of contents."""
    program = programs / "pg_restore"
    async with _run_program(
        program, ("--list", str(file)), None, stdout=subprocess.PIPE
    ) as process:
        contents, errors = await process.communicate()
        lines = errors.decode(errors="replace").splitlines()
        _check_exit(process, lines, f"{file} cannot be read as a backup")
    version = DUMPED_FROM.search(contents)
    if version is None or not BOOKINGS_DATA.search(contents):
        raise BackupRefused(f"{file} is not a backup of tekkie: it holds no bookings.")
    return int(version[1])


async def _load(
    programs: Path, dsn: str, file: Path, report: Callable[[str], None], *, clear: bool
) -> None:
    arguments, pipe = (*PSQL, _target(dsn)), subprocess.PIPE
    async with _run_program(
        programs / "psql", arguments, dsn, stdout=subprocess.DEVNULL, stdin=pipe
    ) as psql:
        assert psql.stdin is not None
        errors = asyncio.create_task(_collect_errors(psql, _ignore_report))
        try:
            psql.stdin.write(_lines(sql.begin, *([sql.clear] if clear else [])))
            await _write_script(programs, file, psql.stdin, report)
        except (BrokenPipeError, ConnectionResetError):
            pass  # psql ended first; its errors are reported below
        finally:
            psql.stdin.close()
        _check_exit(psql, await errors, "The restore failed and was undone")


async def _write_script(
    programs: Path, file: Path, psql: StreamWriter, report: Callable[[str], None]
) -> None:
    await _write_sections(programs, file, ("pre-data", "data"), psql, report)
    psql.write(_lines(sql.renumber))
    report("building indexes and checking every row …")
    await _write_sections(programs, file, ("post-data",), psql, _ignore_report)
    psql.write(_lines(sql.commit))
    await psql.drain()


async def _write_sections(
    programs: Path,
    file: Path,
    sections: Sequence[str],
    psql: StreamWriter,
    report: Callable[[str], None],
) -> None:
    arguments = (*RESTORE, *(f"--section={section}" for section in sections), str(file))
    async with _run_program(
        programs / "pg_restore", arguments, None, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        errors = asyncio.create_task(_collect_errors(process, _ignore_report))
        written = 0
        while chunk := await process.stdout.read(CHUNK_BYTES):
            psql.write(chunk)
            await psql.drain()
            written += len(chunk)
            report(f"restoring … {written / 1e6:,.0f} MB")
        # An incomplete script must not be committed.
        _check_exit(process, await errors, f"{file} is damaged and nothing was restored")


def _lines(*statements: str) -> bytes:
    return "".join(f"{statement}\n" for statement in statements).encode()


def _target(dsn: str) -> str:
    """Return the address without its password, since arguments are visible to all local users."""
    parts = urlsplit(dsn)
    user, at, host = parts.netloc.rpartition("@")
    return "--dbname=" + parts._replace(netloc=user.partition(":")[0] + at + host).geturl()


def _environment(dsn: str | None) -> Mapping[str, str]:
    password = urlsplit(dsn).password if dsn else None
    environment = {**os.environ, "LC_ALL": "C"}
    return environment if password is None else {**environment, "PGPASSWORD": unquote(password)}


@asynccontextmanager
async def _run_program(
    program: Path,
    arguments: Sequence[str],
    dsn: str | None,
    *,
    stdout: int,
    stdin: int = subprocess.DEVNULL,
) -> AsyncIterator[Process]:
    process = await asyncio.create_subprocess_exec(
        program,
        *arguments,
        stdin=stdin,
        stdout=stdout,
        stderr=subprocess.PIPE,
        env=_environment(dsn),
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        # asyncio regards a process as ended only when its pipes are read to the end.
        while process.stdout is not None and await process.stdout.read(CHUNK_BYTES):
            pass
        await process.wait()


async def _collect_errors(process: Process, report: Callable[[str], None]) -> list[str]:
    """Return the last error lines of a program after it ends; report each table on the way."""
    errors: deque[str] = deque(maxlen=ERROR_LINES)
    stderr: StreamReader | None = process.stderr
    assert stderr is not None
    async for line in stderr:
        text = line.decode(errors="replace").strip()
        if "dumping contents of table" in text:
            report(f"saving {text.rpartition('.')[2].strip(chr(34))} …")
        elif any(word in text for word in ("error", "ERROR", "FATAL")):
            errors.append(text)
    await process.wait()
    return list(errors)


def _check_exit(process: Process, errors: Sequence[str], problem: str) -> None:
    if process.returncode:
        details = "; ".join(errors[:ERROR_LINES]) or f"exit code {process.returncode}"
        raise BackupRefused(f"{problem}: {details}")
