import asyncio
import re
import subprocess
import sys
from dataclasses import replace
from urllib.parse import urlsplit

import pytest

from data import db, migrate
from data.migrate import (
    MigrationRefused,
    RoleMissing,
    SchemaError,
    SchemaTooNew,
    SchemaTooOld,
    TablesInUse,
)
from data.postgres import layout

ONE = "CREATE TABLE one (n int); INSERT INTO one VALUES (1)"
TWO = "CREATE TABLE two (n int)"
MIGRATE_SCRIPT = """
import asyncio, sys
from pathlib import Path
from data import migrate
print("ready", flush=True)
sys.stdin.readline()
print(*asyncio.run(migrate.migrate(sys.argv[1], folder=Path(sys.argv[2]))))
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "0001_one.sql").write_text(ONE)
    (tmp_path / "0002_two.sql").write_text(TWO)
    return tmp_path


@pytest.fixture
def dsn(empty_database):
    return empty_database.owner_dsn


async def rows(dsn, query):
    connection = await db.connect(dsn, application="tests")
    try:
        return await connection.fetch(query)
    finally:
        await connection.close()


async def test_files_are_applied_in_order_once_and_reported(dsn, folder):
    reports = []
    assert await migrate.pending(dsn, folder=folder) == ["0001_one.sql", "0002_two.sql"]
    assert await migrate.migrate(dsn, reports.append, folder=folder) == [
        "0001_one.sql",
        "0002_two.sql",
    ]
    assert reports == ["applying 0001_one.sql …", "applying 0002_two.sql …"]
    assert await migrate.migrate(dsn, reports.append, folder=folder) == []
    assert await migrate.pending(dsn, folder=folder) == []
    assert len(await rows(dsn, "SELECT n FROM one")) == 1


async def test_all_tables_are_in_the_schema_tekkie(dsn, folder):
    await migrate.migrate(dsn, folder=folder)
    found = await rows(dsn, "SELECT tablename FROM pg_tables WHERE schemaname = 'tekkie'")
    assert {row["tablename"] for row in found} == {"migrations", "one", "two"}


def test_eight_processes_at_once_apply_each_file_once(dsn, folder):
    command = [sys.executable, "-c", MIGRATE_SCRIPT, dsn, str(folder)]
    processes = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(8)
    ]
    assert [process.stdout.readline() for process in processes] == ["ready\n"] * 8
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    applied = [name for process in processes for name in process.communicate()[0].split()]
    assert [process.returncode for process in processes] == [0] * 8
    assert sorted(applied) == ["0001_one.sql", "0002_two.sql"]


async def test_a_second_migrator_waits_and_reports_it(dsn, folder):
    reports = asyncio.Queue()
    first = await db.connect(dsn, application="tests")
    holding = first.transaction()
    await holding.start()
    await first.execute(migrate.sql.lock)
    second = asyncio.create_task(migrate.migrate(dsn, reports.put_nowait, folder=folder))
    assert await reports.get() == "waiting for another tekkie that is migrating …"
    await holding.rollback()
    assert len(await second) == 2
    await first.close()


async def test_a_failing_file_is_rolled_back_and_can_be_retried(dsn, folder):
    (folder / "0002_two.sql").write_text("CREATE TABLE two (n int); SELECT 1 / 0")
    with pytest.raises(MigrationRefused, match=r"0002_two\.sql failed and was undone: division"):
        await migrate.migrate(dsn, folder=folder)
    assert await migrate.pending(dsn, folder=folder) == ["0002_two.sql"]
    (folder / "0002_two.sql").write_text(TWO)
    assert await migrate.migrate(dsn, folder=folder) == ["0002_two.sql"]


async def test_a_table_in_use_is_retried(dsn, folder):
    await migrate.migrate(dsn, folder=folder)
    (folder / "0003_three.sql").write_text("SET LOCAL lock_timeout = '20ms'; DROP TABLE one")
    reader = await db.connect(dsn, application="tests")
    reading = reader.transaction()
    await reading.start()
    await reader.execute("SELECT * FROM one")
    reports = asyncio.Queue()
    migrator = asyncio.create_task(
        migrate.migrate(dsn, reports.put_nowait, folder=folder, pause_s=lambda failed: 0.0)
    )
    for number in (1, 2):
        assert await reports.get() == "applying 0003_three.sql …"
        assert re.fullmatch(
            rf"a table is in use by process {reader.get_server_pid()} \(tests, for \d s\): nothing "
            rf"was changed, trying again \(try {number} of {migrate.LOCK_TRIES}\) …",
            await reports.get(),
        )
    await reading.rollback()
    assert await migrator == ["0003_three.sql"]
    await reader.close()


async def test_a_table_that_stays_in_use_stops_the_migration_with_a_cure(dsn, folder, monkeypatch):
    monkeypatch.setattr(migrate, "LOCK_TRIES", 3)
    await migrate.migrate(dsn, folder=folder)
    (folder / "0003_three.sql").write_text("SET LOCAL lock_timeout = '1ms'; DROP TABLE one")
    paused = []

    def pause_s(failed):
        paused.append(failed)
        return 0.0

    reader = await db.connect(dsn, application="tests")
    async with reader.transaction():
        await reader.execute("SELECT * FROM one")
        with pytest.raises(TablesInUse, match=r"in use by process .* 3 tries .*tekkie migrate"):
            await migrate.migrate(dsn, folder=folder, pause_s=pause_s)
    assert paused == [1, 2, 3]
    assert await migrate.pending(dsn, folder=folder) == ["0003_three.sql"]
    await reader.close()


def test_the_pauses_grow_and_are_bounded():
    pauses = [migrate._pause_s(failed) for failed in range(1, migrate.LOCK_TRIES + 1)]
    assert pauses == sorted(pauses)
    assert pauses[0] == 0.5
    assert set(pauses[4:]) == {migrate.LONGEST_PAUSE_S}


async def test_the_lock_timeout_is_shorter_than_the_deadlock_timeout(dsn, folder):
    (folder / "0003_three.sql").write_text(
        "CREATE TABLE waits AS SELECT name, setting::int AS ms FROM pg_settings"
        " WHERE name IN ('lock_timeout', 'deadlock_timeout')"
    )
    await migrate.migrate(dsn, folder=folder)
    ms = {row["name"]: row["ms"] for row in await rows(dsn, "SELECT * FROM waits")}
    assert 0 < ms["lock_timeout"] < ms["deadlock_timeout"] / 2


async def test_a_file_changed_after_it_was_applied_is_refused(dsn, folder):
    await migrate.migrate(dsn, folder=folder)
    (folder / "0001_one.sql").write_text(ONE + " ")
    with pytest.raises(MigrationRefused, match=r"0001_one\.sql was changed after it was applied"):
        await migrate.migrate(dsn, folder=folder)


async def test_a_file_put_in_the_middle_is_refused(dsn, folder):
    await migrate.migrate(dsn, folder=folder)
    (folder / "0002_two.sql").rename(folder / "0003_two.sql")
    (folder / "0002_between.sql").write_text("SELECT 1")
    with pytest.raises(MigrationRefused, match=r"has 0002_two\.sql where .* 0002_between\.sql"):
        await migrate.migrate(dsn, folder=folder)


async def test_a_missing_number_is_refused(dsn, folder):
    (folder / "0001_one.sql").unlink()
    with pytest.raises(MigrationRefused, match=r"0002_two\.sql stands where number 0001 belongs"):
        await migrate.migrate(dsn, folder=folder)


async def test_two_files_with_one_number_are_refused(dsn, folder):
    (folder / "0002_too.sql").write_text("SELECT 1")
    with pytest.raises(MigrationRefused, match="where number 0003 belongs"):
        await migrate.migrate(dsn, folder=folder)


@pytest.mark.parametrize("name", ["3_three.sql", "0003-three.sql", "three.sql", "0003_Three.sql"])
async def test_an_odd_name_is_refused(dsn, folder, name):
    (folder / name).write_text("SELECT 1")
    with pytest.raises(MigrationRefused, match="name it NNNN_what_it_does"):
        await migrate.migrate(dsn, folder=folder)


async def test_a_file_that_ends_the_transaction_is_refused(dsn, folder):
    (folder / "0003_three.sql").write_text("CREATE TABLE three (n int); COMMIT")
    with pytest.raises(MigrationRefused, match="take COMMIT out of it"):
        await migrate.migrate(dsn, folder=folder)


async def test_an_older_database_is_refused_at_start_with_the_cure(dsn, folder):
    with pytest.raises(SchemaTooOld, match=r"2 migration\(s\), first 0001_one.*tekkie migrate"):
        await migrate.check(dsn, folder=folder)
    await migrate.migrate(dsn, folder=folder)
    await migrate.check(dsn, folder=folder)


async def test_a_database_one_file_newer_is_accepted_and_reported(dsn, folder):
    await migrate.migrate(dsn, folder=folder)
    (folder / "0002_two.sql").unlink()
    reports = []
    await migrate.check(dsn, reports.append, folder=folder)
    assert reports == [
        "the database was migrated to 0002_two.sql by a newer tekkie; this one still works on it, "
        "the next may not"
    ]
    assert await migrate.migrate(dsn, folder=folder) == []
    found = await migrate.schema_status(dsn, folder=folder)
    assert found == migrate.SchemaStatus(missing=[], ahead=["0002_two.sql"])


async def test_a_newer_database_is_refused_and_left_unchanged(dsn, folder):
    (folder / "0003_three.sql").write_text("CREATE TABLE three (n int)")
    await migrate.migrate(dsn, folder=folder)
    (folder / "0002_two.sql").unlink()
    (folder / "0003_three.sql").unlink()
    for act in (migrate.migrate, migrate.check):
        with pytest.raises(SchemaTooNew, match=r"migrated to 0003_three\.sql by a newer tekkie"):
            await act(dsn, folder=folder)


@pytest.mark.parametrize(
    ("works_from", "works"), [("0001", True), ("0002", False), ("0003", False)]
)
async def test_a_file_names_the_oldest_release_that_works_after_it(dsn, folder, works_from, works):
    (folder / "0002_two.sql").write_text(f"-- Why.\n-- works from 0001\n{TWO}")
    (folder / "0003_three.sql").write_text(
        f"-- works from {works_from}\nCREATE TABLE three (n int)"
    )
    await migrate.migrate(dsn, folder=folder)
    (folder / "0002_two.sql").unlink()
    (folder / "0003_three.sql").unlink()
    if works:
        await migrate.check(dsn, folder=folder)
        return
    with pytest.raises(SchemaTooNew):
        await migrate.check(dsn, folder=folder)


def test_a_file_that_adds_a_value_works_from_itself_because_nothing_older_can_read_it():
    for migration in migrate.read_migrations(migrate.MIGRATIONS):
        if "ADD VALUE" in migration.text:
            assert migration.works_from == migration.version, migration.name


async def test_a_list_made_by_an_earlier_release_is_read_and_extended(dsn, folder):
    (folder / "0002_two.sql").rename(folder / "two")
    await migrate.migrate(dsn, folder=folder)
    await rows(dsn, "ALTER TABLE migrations DROP COLUMN works_from")
    await migrate.check(dsn, folder=folder)
    (folder / "two").rename(folder / "0002_two.sql")
    await migrate.migrate(dsn, folder=folder)
    found = await rows(dsn, "SELECT version, works_from FROM migrations ORDER BY version")
    assert list(map(tuple, found)) == [(1, None), (2, 1)]


async def test_the_service_may_check_the_schema(database):
    await migrate.check(database.service_dsn)


async def test_the_real_migrations_apply_to_an_empty_database(dsn):
    assert "0001_init.sql" in await migrate.migrate(dsn)
    await migrate.check(dsn)


async def test_a_missing_role_is_requested_from_the_administrator(dsn, folder, monkeypatch):
    blocks = {
        name: text.replace("tekkie_service", "tekkie_unknown")
        for name, text in migrate.sql.blocks.items()
    }
    monkeypatch.setattr(migrate, "sql", replace(migrate.sql, blocks=blocks))
    if not await can_create_roles(dsn):
        with pytest.raises(RoleMissing, match="administrator must run: CREATE ROLE tekkie_unknown"):
            await migrate.migrate(dsn, folder=folder)


async def can_create_roles(dsn):
    query = "SELECT rolcreaterole OR rolsuper AS may FROM pg_roles WHERE rolname = current_user"
    return (await rows(dsn, query))[0]["may"]


async def test_a_user_without_permission_on_the_database_gets_the_cure(server, folder):
    if server.embedded is None:
        pytest.skip("the users of this server are not ours")
    unprivileged = server.embedded.dsn(layout.SERVICE, "postgres")
    with pytest.raises(SchemaError, match=r"ALTER DATABASE .* OWNER TO"):
        await migrate.migrate(unprivileged, folder=folder)


async def test_a_database_that_does_not_exist_is_reported(dsn, folder):
    elsewhere = urlsplit(dsn)._replace(path="/nowhere").geturl()
    with pytest.raises(db.DatabaseUnavailable, match='"nowhere" does not exist'):
        await migrate.migrate(elsewhere, folder=folder)
