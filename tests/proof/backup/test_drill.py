"""Back up a database under load, restore it on another server, and run the service there."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random
from time import perf_counter

import asyncpg
import pytest

from data import db, migrate
from data.backup import BackupContents, BackupRefused, backup, restore
from data.database import Database
from data.enums import FileKind
from data.postgres import layout
from data.postgres.client import EmbeddedPostgres
from data.records.ids import PersonId
from data.settings import Settings
from data.store import events, friends
from dispatch.flows.bootstrap import open_runtime
from dispatch.flows.jobs import commands
from dispatch.flows.people import files
from tests.builders import (
    book_job,
    friend_row,
    import_friends,
    import_neighbours,
    live_offers_of,
)
from tests.conftest import UNSAFE_SETTINGS, Clock
from tests.flows.invariants import check_index, check_invariants
from tests.pictures import picture
from tests.proof.backup.workload import A_WHILE, Workload
from tests.proof.report import is_whole, table, write

BOOKINGS = 4_000 if is_whole() else 60
# What people wrote in rows that are otherwise never changed may be emptied after the backup.
APPEND_ONLY = """
SELECT DISTINCT tgrelid::regclass::text FROM pg_trigger
WHERE tgname = 'append_only_truncate'
"""
XIDS = """
SELECT table_name, column_name FROM information_schema.columns
WHERE table_schema = 'tekkie' AND data_type = 'xid8'
"""
PICTURES = "SELECT f.*, c.content FROM files f JOIN file_contents c ON c.file_id = f.id"
WRITTEN = {"events", "decisions", "charges", "ratings", "customer_reviews", "thread_notes"}
pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def second(tmp_path_factory) -> EmbeddedPostgres:
    """Another server without these rows."""
    embedded = EmbeddedPostgres(tmp_path_factory.mktemp("second"), options=UNSAFE_SETTINGS)
    embedded.start()
    yield embedded
    embedded.stop()


@pytest.fixture
async def copy(second: EmbeddedPostgres) -> AsyncIterator[Database]:
    """An empty database there."""
    admin = await asyncpg.connect(second.admin_dsn)
    await admin.execute(f"CREATE DATABASE copy OWNER {layout.OWNER}")
    yield Database(
        owner_dsn=second.dsn(layout.OWNER, "copy"),
        service_dsn=second.dsn(layout.SERVICE, "copy"),
        service_role=db.SERVICE_ROLE,
    )
    await admin.execute("DROP DATABASE copy WITH (FORCE)")
    await admin.close()


@pytest.fixture
async def there(copy: Database) -> AsyncIterator[asyncpg.Connection]:
    """The owner of the copy."""
    connection = await db.connect(copy.owner_dsn, application="tests")
    yield connection
    await connection.close()


@pytest.fixture
async def saved(rt, owner, database, tmp_path) -> tuple[BackupContents, int]:
    """A backup made under load, and the number of bookings when it began."""
    # This server has used more transaction ids than the one the copy goes to.
    await owner.execute(
        "DO $$ BEGIN FOR n IN 1..3000 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$"
    )
    return await backup_under_load(rt, database, tmp_path, BOOKINGS)


@pytest.fixture
async def few(rt, database, tmp_path) -> BackupContents:
    """A backup of a few bookings."""
    copied, _ = await backup_under_load(rt, database, tmp_path, 8)
    return copied


async def backup_under_load(rt, database, tmp_path, count: int) -> tuple[BackupContents, int]:
    refs = await import_neighbours(rt, 12 + count // 25, capacity=20)
    await files.upload(rt, PersonId(refs["f1"]), FileKind.PHOTO, "me.jpg", picture())
    workload = Workload(rt, seed=1)
    await workload.create(count)
    before = len(workload.booked)
    running = asyncio.create_task(workload.run())
    try:
        copied = await backup(database.owner_dsn, tmp_path / "tekkie.backup")
    finally:
        workload.stop()
        await running
    return copied, before


async def test_a_copy_holds_every_promise_and_the_service_works_on_it(
    owner, saved, *, database, copy, there, tmp_path
):
    copied, before = saved
    assert copied.file.stat().st_mode & 0o777 == 0o600
    report: list[str] = []
    began = perf_counter()
    restored = await restore(copy.owner_dsn, copied.file, report.append)
    took_s = perf_counter() - began
    assert any("MB" in line for line in report)
    assert before <= restored.bookings <= copied.bookings
    await check_invariants(there)
    rows = await check_append_only_rows(owner, there)
    assert await there.fetch(PICTURES) == await owner.fetch(PICTURES)
    await check_transaction_ids(owner, there)
    await check_privileges(there)
    await check_service(copy, there, tmp_path)
    await check_invariants(there)
    if is_whole():
        began = perf_counter()
        again = await backup(database.owner_dsn, tmp_path / "again.backup")
        write_figures(again, restored, (before, rows), (perf_counter() - began, took_s))


async def check_append_only_rows(here: asyncpg.Connection, there: asyncpg.Connection) -> int:
    """Every row in an append-only table of the copy must be in the source, word for word."""
    total, filled = 0, set()
    for (name,) in await here.fetch(APPEND_ONLY):
        question = f"SELECT (to_jsonb(t) - 'xid')::text FROM {name} t"
        source = {row[0] for row in await here.fetch(question)}
        copied = {row[0] for row in await there.fetch(question)}
        assert copied <= source, name
        total += len(copied)
        filled |= {name} if copied else set()
    assert filled >= WRITTEN
    return total


async def check_transaction_ids(here: asyncpg.Connection, there: asyncpg.Connection) -> None:
    """Transaction ids of the source would lie ahead of the copy's server; none of the copy may."""
    now = int(await there.fetchval("SELECT pg_current_xact_id()::text"))
    for name, column in await here.fetch(XIDS):
        last = f"SELECT max({column})::text FROM {name}"
        assert int(await here.fetchval(last)) > now, name
        assert int(await there.fetchval(last)) < now, name


async def check_privileges(there: asyncpg.Connection) -> None:
    """Append-only tables stay so, and the service role has no new privileges."""
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await there.execute("DELETE FROM events")
    async with there.transaction():
        await there.execute(f"SET LOCAL ROLE {db.SERVICE_ROLE}")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with there.transaction():
                await there.execute("DELETE FROM bookings")
        assert await there.fetchval("SELECT count(*) > 0 FROM bookings")


async def check_service(copy: Database, there: asyncpg.Connection, folder: Path) -> None:
    """It publishes no old event as new, fires due timers, and awards a new job."""
    settings = Settings(data_dir=folder / "there", public_url="https://tekkie.test")
    async with open_runtime(settings, copy, application="tests", chance=Random(3)) as rt:
        await check_index(rt)
        assert await files.missing(rt) == []
        async with db.transaction(rt.pool) as tx:
            mark = (await events.events_since(tx, None, 100)).mark
            horizon = await friends.horizon(tx)
        await Clock(there).advance(A_WHILE)
        while await commands.fire_due_timers(rt, 100):
            pass
        newcomer = (await import_friends(rt, [friend_row("newcomer")]))["newcomer"]
        done = await book_job(rt)
        offer = next(one for one in live_offers_of(done) if one.friend_id == newcomer)
        await commands.accept(rt, offer.id, offer.friend_id)
        async with db.transaction(rt.pool) as tx:
            news = await events.events_since(tx, mark, 100_000)
            changed = await friends.changed_since(tx, horizon)
        seen = {(one.event.booking_id, one.event.seq) for one in news.events}
        assert (done.job.booking.id, 1) in seen
        assert len(seen) == len(news.events)
        assert min(one.event.at for one in news.events) >= await Clock(there).now() - A_WHILE
        assert offer.friend_id in changed


async def test_a_database_with_people_is_left_unchanged(few, copy, there):
    await restore(copy.owner_dsn, few.file)
    for force in (False, True):
        with pytest.raises(BackupRefused, match="TEKKIE_DATA_DIR"):
            await restore(copy.owner_dsn, few.file, force=force)
    await check_invariants(there)


async def test_tables_without_people_are_replaced_when_forced(few, copy, there):
    await migrate.migrate(copy.owner_dsn)
    with pytest.raises(BackupRefused, match="--force"):
        await restore(copy.owner_dsn, few.file)
    again = await restore(copy.owner_dsn, few.file, force=True)
    assert again.bookings > 0
    await check_invariants(there)


async def test_a_damaged_file_leaves_the_database_empty(few, copy, there, tmp_path):
    whole = few.file.read_bytes()
    damaged = tmp_path / "damaged.backup"
    for part in (whole[: len(whole) * 2 // 3], whole[:500], b"no backup at all"):
        damaged.write_bytes(part)
        with pytest.raises(BackupRefused):
            await restore(copy.owner_dsn, damaged)
        assert await there.fetchval("SELECT to_regnamespace('tekkie') IS NULL")


async def test_an_interrupted_restore_leaves_nothing(few, copy, there):
    for moment in ("MB", "indexes"):

        def interrupt(line: str, moment: str = moment) -> None:
            if moment in line:
                raise Interrupted

        with pytest.raises(Interrupted):
            await restore(copy.owner_dsn, few.file, interrupt)
        assert await there.fetchval("SELECT to_regnamespace('tekkie') IS NULL")


class Interrupted(Exception):
    """The restore was interrupted."""


async def test_a_file_that_is_there_is_never_overwritten(few, database, tmp_path):
    before = few.file.read_bytes()
    with pytest.raises(BackupRefused, match="not overwritten"):
        await backup(database.owner_dsn, few.file)
    assert few.file.read_bytes() == before
    assert [name for name in os.listdir(tmp_path) if "backup" in name] == ["tekkie.backup"]


async def test_a_restore_is_refused_while_a_process_uses_the_database(few, copy):
    working = await db.connect(copy.owner_dsn, application="tekkie serve")
    with pytest.raises(BackupRefused, match="stop it first"):
        await restore(copy.owner_dsn, few.file)
    await working.close()


async def test_an_empty_database_has_nothing_to_back_up(empty_database, tmp_path):
    with pytest.raises(BackupRefused, match="nothing to back up"):
        await backup(empty_database.owner_dsn, tmp_path / "none")
    assert not (tmp_path / "none").exists()


def write_figures(
    again: BackupContents,
    restored: BackupContents,
    counts: tuple[int, int],
    took_s: tuple[float, float],
) -> None:
    before, rows = counts
    figures = [
        ("bookings when the backup began", f"{before:,}"),
        ("bookings in the copy", f"{restored.bookings:,}"),
        ("rows of the append-only tables, each found word for word in the source", f"{rows:,}"),
        ("invariants of tests/flows/invariants.py violated in the copy", 0),
        ("size of the file", f"{again.bytes / 1e6:.1f} MB"),
        ("backup, one more on the quiet database", f"{took_s[0]:.1f} s"),
        ("restore with all checks", f"{took_s[1]:.1f} s"),
    ]
    write(
        "backup",
        "## Backup and restore\n\n"
        "`python -m tests.proof.backup`: a backup is made while four workers go on booking and is "
        "restored on a second server. Every invariant is checked on the copy, and the service "
        "fires the due timers there and awards a new job. Transaction ids that lie ahead of the "
        "second server are adjusted, so that streams repeat no old event. A damaged file, or a "
        "restore interrupted at any moment, leaves the database empty.\n\n"
        + table(["", ""], figures),
    )
