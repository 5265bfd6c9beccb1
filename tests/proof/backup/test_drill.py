"""Backup of a database at work, restore on another server, and the service at work on the copy."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random
from time import perf_counter

import asyncpg
import pytest

from data import db, migrate
from data.backup import BackupRefused, Copied, backup, restore
from data.database import Database
from data.postgres import layout
from data.postgres.client import Embedded
from data.settings import Settings
from data.store import events, friends
from dispatch.flows.bootstrap import opened
from dispatch.flows.jobs import commands
from tests.builders import booked, friend_row, live, neighbours, take_in
from tests.conftest import HASTY, Clock
from tests.flows.invariants import all_is_well, index_agrees
from tests.proof.backup.life import A_WHILE, Life
from tests.proof.report import is_whole, table, write

BOOKINGS = 4_000 if is_whole() else 60
LEDGER = ("events", "decisions", "charges", "ratings", "audit")
pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def second(tmp_path_factory) -> Embedded:
    """Another server, which has never seen these people."""
    embedded = Embedded(tmp_path_factory.mktemp("second"), chosen=HASTY)
    embedded.start()
    yield embedded
    embedded.stop()


@pytest.fixture
async def copy(second: Embedded) -> AsyncIterator[Database]:
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
async def saved(rt, owner, database, tmp_path) -> tuple[Copied, int]:
    """A backup made while people went on, and how many bookings there were when it began."""
    # A server that has worked for longer than the one on which the copy will stand.
    await owner.execute(
        "DO $$ BEGIN FOR n IN 1..3000 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$"
    )
    return await lived_and_saved(rt, database, tmp_path, BOOKINGS)


@pytest.fixture
async def few(rt, database, tmp_path) -> Copied:
    """A backup of a few bookings."""
    copied, _ = await lived_and_saved(rt, database, tmp_path, 8)
    return copied


async def lived_and_saved(rt, database, tmp_path, count: int) -> tuple[Copied, int]:
    await neighbours(rt, 12 + count // 25, capacity=20)
    life = Life(rt, seed=1)
    await life.so_many(count)
    before = len(life.booked)
    going_on = asyncio.create_task(life.go_on())
    try:
        saved = await backup(database.owner_dsn, tmp_path / "tekkie.backup")
    finally:
        life.stop()
        await going_on
    return saved, before


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
    await all_is_well(there)
    rows = await ledger_agrees(owner, there)
    await xids_lie_behind(owner, there)
    await rights_are_the_same(there)
    await the_service_works(copy, there, tmp_path)
    await all_is_well(there)
    if is_whole():
        began = perf_counter()
        again = await backup(database.owner_dsn, tmp_path / "again.backup")
        say(again, restored, (before, rows), (perf_counter() - began, took_s))


async def ledger_agrees(here: asyncpg.Connection, there: asyncpg.Connection) -> int:
    """Every row of the append-only tables that the copy has stands word for word in the source."""
    total = 0
    for name in LEDGER:
        question = f"SELECT (to_jsonb(t) - 'xid')::text FROM {name} t"
        source = {row[0] for row in await here.fetch(question)}
        copied = {row[0] for row in await there.fetch(question)}
        assert copied <= source, name
        total += len(copied)
    assert total > 0
    return total


async def xids_lie_behind(here: asyncpg.Connection, there: asyncpg.Connection) -> None:
    """A transaction id of the source would lie ahead of the copy, and none of the copy does."""
    now = int(await there.fetchval("SELECT pg_current_xact_id()::text"))
    assert int(await here.fetchval("SELECT max(xid)::text FROM events")) > now
    assert int(await there.fetchval("SELECT max(xid)::text FROM events")) < now
    assert int(await there.fetchval("SELECT max(changed)::text FROM friends")) < now


async def rights_are_the_same(there: asyncpg.Connection) -> None:
    """What was append-only still is, and the service may not delete what it might not before."""
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await there.execute("DELETE FROM events")
    async with there.transaction():
        await there.execute(f"SET LOCAL ROLE {db.SERVICE_ROLE}")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with there.transaction():
                await there.execute("DELETE FROM bookings")
        assert await there.fetchval("SELECT count(*) > 0 FROM bookings")


async def the_service_works(copy: Database, there: asyncpg.Connection, folder: Path) -> None:
    """It tells no old event as new, rings what has come due, and gives a new job to a friend."""
    settings = Settings(data_dir=folder / "there", public_url="https://tekkie.test")
    async with opened(settings, copy, application="tests", chance=Random(3)) as rt:
        await index_agrees(rt)
        async with db.transaction(rt.pool) as tx:
            mark = (await events.since(tx, None, 100)).mark
            horizon = await friends.horizon(tx)
        await Clock(there).advance(A_WHILE)
        while await commands.ring(rt, 100):
            pass
        newcomer = (await take_in(rt, [friend_row("newcomer")]))["newcomer"]
        done = await booked(rt)
        offer = next(one for one in live(done) if one.friend_id == newcomer)
        await commands.accept(rt, offer.id, offer.friend_id)
        async with db.transaction(rt.pool) as tx:
            news = await events.since(tx, mark, 100_000)
            changed = await friends.changed_since(tx, horizon)
        told = {(one.event.booking_id, one.event.seq) for one in news.happened}
        assert (done.job.booking.id, 1) in told
        assert len(told) == len(news.happened)
        assert min(one.event.at for one in news.happened) >= await Clock(there).now() - A_WHILE
        assert offer.friend_id in changed


async def test_a_database_with_people_is_left_as_it_is(few, copy, there):
    await restore(copy.owner_dsn, few.file)
    for force in (False, True):
        with pytest.raises(BackupRefused, match="TEKKIE_DATA_DIR"):
            await restore(copy.owner_dsn, few.file, force=force)
    await all_is_well(there)


async def test_tables_without_anybody_make_room_when_forced(few, copy, there):
    await migrate.migrate(copy.owner_dsn)
    with pytest.raises(BackupRefused, match="--force"):
        await restore(copy.owner_dsn, few.file)
    again = await restore(copy.owner_dsn, few.file, force=True)
    assert again.bookings > 0
    await all_is_well(there)


async def test_a_damaged_file_leaves_the_database_empty(few, copy, there, tmp_path):
    whole = few.file.read_bytes()
    damaged = tmp_path / "damaged.backup"
    for part in (whole[: len(whole) * 2 // 3], whole[:500], b"no backup at all"):
        damaged.write_bytes(part)
        with pytest.raises(BackupRefused):
            await restore(copy.owner_dsn, damaged)
        assert await there.fetchval("SELECT to_regnamespace('tekkie') IS NULL")


async def test_a_restore_that_is_cut_leaves_nothing(few, copy, there):
    for moment in ("MB", "indexes"):

        def cut(line: str, moment: str = moment) -> None:
            if moment in line:
                raise Cut

        with pytest.raises(Cut):
            await restore(copy.owner_dsn, few.file, cut)
        assert await there.fetchval("SELECT to_regnamespace('tekkie') IS NULL")


class Cut(Exception):
    """Somebody ends the restore in the middle."""


async def test_a_file_that_is_there_is_never_overwritten(few, database, tmp_path):
    before = few.file.read_bytes()
    with pytest.raises(BackupRefused, match="not overwritten"):
        await backup(database.owner_dsn, few.file)
    assert few.file.read_bytes() == before
    assert [name for name in os.listdir(tmp_path) if "backup" in name] == ["tekkie.backup"]


async def test_a_restore_waits_for_nobody_who_works_there(few, copy):
    working = await db.connect(copy.owner_dsn, application="tekkie serve")
    with pytest.raises(BackupRefused, match="stop it first"):
        await restore(copy.owner_dsn, few.file)
    await working.close()


async def test_an_empty_database_has_nothing_to_back_up(empty_database, tmp_path):
    with pytest.raises(BackupRefused, match="nothing to back up"):
        await backup(empty_database.owner_dsn, tmp_path / "none")
    assert not (tmp_path / "none").exists()


def say(
    again: Copied, restored: Copied, counts: tuple[int, int], took_s: tuple[float, float]
) -> None:
    before, rows = counts
    rows_said = [
        ("bookings when the backup began", f"{before:,}"),
        ("bookings in the copy", f"{restored.bookings:,}"),
        ("rows of the append-only tables, each found word for word in the source", f"{rows:,}"),
        ("promises of tests/flows/invariants.py broken in the copy", 0),
        ("size of the file", f"{again.bytes / 1e6:.1f} MB"),
        ("backup, one more on the quiet database", f"{took_s[0]:.1f} s"),
        ("restore with all checks", f"{took_s[1]:.1f} s"),
    ]
    write(
        "backup",
        "## Backup and restore\n\n"
        "`python -m tests.proof.backup`: a backup is made while four hands go on booking, is "
        "restored on a second server, every promise is asked of the copy, and the service rings "
        "what has come due there and gives a new job to a friend. Transaction ids that lie ahead "
        "of the second server are brought in line: streams tell no old event again. A damaged "
        "file, and a restore that is cut at any moment, leave the database empty.\n\n"
        + table(["", ""], rows_said),
    )
