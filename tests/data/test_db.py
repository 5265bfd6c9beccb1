import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from data import backup, db, hosts, migrate, server_session
from data.db import (
    DatabaseBusy,
    DatabaseConflict,
    DatabaseFull,
    DatabaseReadOnly,
    DatabaseUnavailable,
    ServerUnfit,
    SessionUnfit,
)


@pytest.fixture
async def small(database):
    pool = await db.open_pool(
        database.service_dsn,
        role=database.service_role,
        size=1,
        application="small",
        statement_timeout_s=0.2,
    )
    yield pool
    pool.terminate()


async def test_a_transaction_commits_when_its_body_succeeds(pool, owner):
    await owner.execute("CREATE TABLE box (n int); GRANT ALL ON box TO tekkie_service")
    async with db.transaction(pool) as tx:
        await tx.execute("INSERT INTO box VALUES (1)")
    assert await owner.fetchval("SELECT count(*) FROM box") == 1


async def test_a_transaction_rolls_back_when_its_body_fails(pool, owner):
    await owner.execute("CREATE TABLE box (n int); GRANT ALL ON box TO tekkie_service")

    async def work():
        async with db.transaction(pool) as tx:
            await tx.execute("INSERT INTO box VALUES (1)")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await work()
    assert await owner.fetchval("SELECT count(*) FROM box") == 0


async def test_a_transaction_is_read_committed(pool):
    async with db.transaction(pool) as tx:
        assert await tx.fetchval("SHOW transaction_isolation") == "read committed"


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("role", "tekkie_service"),
        ("application_name", "tests"),
        ("search_path", "tekkie"),
        ("timezone", "UTC"),
        ("statement_timeout", "5s"),
        ("lock_timeout", "2s"),
        ("idle_in_transaction_session_timeout", "10s"),
    ],
)
async def test_a_session_has_its_limits(pool, setting, value):
    async with db.transaction(pool) as tx:
        assert await tx.fetchval(f"SHOW {setting}") == value


async def test_a_plan_made_while_a_table_is_small_uses_the_index(pool, owner):
    await owner.execute("ANALYZE packages")
    query = "EXPLAIN SELECT * FROM packages WHERE code = 'wifi'"
    naive = await owner.fetchval(query)
    assert "Seq Scan" in naive, (
        "the planner uses the index by default; are these settings still needed?"
    )
    async with db.transaction(pool) as tx:
        assert "packages_pkey" in await tx.fetchval(query)


async def test_the_service_is_no_superuser_and_may_not_change_the_schema(pool):
    async with db.transaction(pool) as tx:
        assert await tx.fetchval("SELECT current_setting('is_superuser')") == "off"
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with db.transaction(pool) as tx:
            await tx.execute("CREATE TABLE mine (n int)")


async def test_jsonb_arrives_as_it_was_sent(pool):
    sent = {"ä": [1, 2.5, None, True, {"x": "'"}]}
    async with db.transaction(pool) as tx:
        assert await tx.fetchval("SELECT $1::jsonb", sent) == sent


async def test_the_time_is_that_of_the_test_clock_which_stands_still(pool, clock):
    async with db.transaction(pool) as tx:
        assert await db.moment(tx) == datetime(2026, 3, 2, 9, tzinfo=UTC)
        assert await db.moment(tx) == datetime(2026, 3, 2, 9, tzinfo=UTC)
    assert await clock.advance(timedelta(hours=12)) == datetime(2026, 3, 2, 21, tzinfo=UTC)
    await clock.set(datetime(2026, 3, 29, 1, tzinfo=UTC))
    async with db.transaction(pool) as tx:
        assert await db.moment(tx) == datetime(2026, 3, 29, 1, tzinfo=UTC)


async def test_a_pool_without_free_connection_is_reported_as_busy(small):
    async with db.transaction(small):
        with pytest.raises(DatabaseBusy, match="All 1 database connections are in use"):
            async with db.transaction(small, acquire_timeout_s=0.05):
                pass


async def test_a_slow_statement_is_cancelled_by_the_server(small):
    with pytest.raises(DatabaseBusy, match="longer than its time limit"):
        async with db.transaction(small) as tx:
            await tx.execute("SELECT pg_sleep(10)")


async def test_an_unreachable_server_is_reported_as_unavailable():
    with pytest.raises(DatabaseUnavailable, match="does not answer"):
        await db.open_pool(
            "postgresql://me@/x?host=/nonexistent", role=None, size=1, application="x"
        )


async def test_a_lost_connection_is_reported_and_replaced_in_the_pool(small, owner):
    pids = []

    async def work():
        async with db.transaction(small) as tx:
            pids.append(await tx.fetchval("SELECT pg_backend_pid()"))
            await owner.fetchval("SELECT pg_terminate_backend($1, 5000)", pids[0])
            await tx.execute("SELECT 1")

    with pytest.raises(DatabaseUnavailable):
        await work()
    async with db.transaction(small) as tx:
        assert await tx.fetchval("SELECT pg_backend_pid()") not in pids


async def test_a_server_that_became_read_only_is_unavailable_and_no_connection_to_it_is_kept(
    pool, owner
):
    await owner.execute("CREATE TABLE box (n int); GRANT ALL ON box TO tekkie_service")
    async with db.transaction(pool) as tx, db.transaction(pool) as other:
        for connection in (tx, other):
            await connection.execute("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY")

    async def write():
        async with db.transaction(pool) as tx:
            await tx.execute("INSERT INTO box VALUES (1)")

    with pytest.raises(DatabaseReadOnly, match="standby"):
        await write()
    for _ in range(2):
        await write()
    assert await owner.fetchval("SELECT count(*) FROM box") == 2


@pytest.mark.parametrize("code", ["25006", "25P03", "25P04", "57P01", "57P04", "57P05"])
async def test_a_session_that_the_server_ends_counts_as_unavailable(pool, code):
    with pytest.raises(DatabaseUnavailable):
        async with db.transaction(pool) as tx:
            await tx.execute(f"DO $$ BEGIN RAISE SQLSTATE '{code}'; END $$")


@pytest.fixture
async def change(owner):
    """Changes a setting of this test's database for new sessions."""
    name = await owner.fetchval("SELECT current_database()")
    return lambda setting: owner.execute(f'ALTER DATABASE "{name}" SET {setting}')


async def test_no_connection_to_a_read_only_server_is_opened(database, change):
    await change("default_transaction_read_only = on")
    with pytest.raises(DatabaseReadOnly, match="accepts only reads"):
        await db.open_pool(
            database.service_dsn, role=database.service_role, size=1, application="x"
        )
    async with asyncio.timeout(5):
        connection = await db.connect(database.owner_dsn, application="x")
    await connection.close()


@pytest.fixture
def dropped_settings(monkeypatch):
    """New sessions lose their settings without a word, as through a pooler that ignores them."""
    connect = asyncpg.connect

    async def forward(url, **options):
        options.pop("server_settings", None)
        return await connect(url, **options)

    monkeypatch.setattr(server_session.asyncpg, "connect", forward)


async def test_a_session_that_lost_its_role_is_refused_with_the_cure(dropped_settings, database):
    with pytest.raises(SessionUnfit) as refused:
        await db.open_pool(database.owner_dsn, role="tekkie_service", size=1, application="x")
    login = urlsplit(database.owner_dsn).username
    assert f"(role is {login}, search_path is" in str(refused.value)
    assert "TEKKIE_DATABASE_POOLER=transaction" in str(refused.value)


async def open_behind_pooler(url):
    return await db.open_pool(
        hosts.behind_pooler(url), role="tekkie_service", size=1, application="x"
    )


@pytest.fixture
async def set_for_login(server, database):
    """Does what a refusal asks for; returns a function that changes a setting of the login."""
    login = urlsplit(database.owner_dsn).username
    with pytest.raises(SessionUnfit) as refused:
        await open_behind_pooler(database.owner_dsn)
    statements = [one for one in str(refused.value).splitlines() if one.startswith("ALTER ROLE")]
    assert len(statements) == len(server_session.session_settings(None, "", 1)) + 2
    connection = await db.connect(server.admin_dsn, application="tests", path="pg_catalog")
    mine = [one.replace("tekkie_service", login, 1) for one in statements]
    beginning = mine[0].partition(" SET ")[0]
    for statement in (*mine, f"{beginning} SET role = 'tekkie_service'"):
        await connection.execute(statement)
    yield lambda setting: connection.execute(f"{beginning} SET {setting}")
    await connection.close()


async def test_the_statements_for_a_pooler_are_those_of_the_documents(owner):
    page = Path(__file__).parents[2] / "docs" / "operations.md"
    stated = [line for line in page.read_text("utf-8").splitlines() if " IN DATABASE " in line]
    assert stated == await server_session.role_statements(owner, "tekkie_service", "tekkie")


@pytest.mark.parametrize(
    "setting",
    ["search_path = public", "statement_timeout = 0", "timezone = 'Europe/Zurich'", "role = none"],
)
async def test_a_session_through_a_pooler_without_one_of_its_settings_is_refused(
    database, set_for_login, setting
):
    await (await open_behind_pooler(database.owner_dsn)).close()
    await set_for_login(setting)
    with pytest.raises(SessionUnfit, match=rf"settings \({setting.partition(' ')[0]} is"):
        await open_behind_pooler(database.owner_dsn)


async def test_through_a_pooler_nothing_is_migrated_and_a_complete_schema_is_left_as_it_is(
    database, empty_database, tmp_path
):
    assert await migrate.migrate(hosts.behind_pooler(database.service_dsn)) == []
    url = hosts.behind_pooler(empty_database.service_dsn)
    with pytest.raises(migrate.SchemaTooOld, match=r"run `tekkie migrate` with .* server itself"):
        await migrate.migrate(url)
    for act in (backup.backup, backup.restore):
        with pytest.raises(backup.BackupRefused, match="without TEKKIE_DATABASE_POOLER"):
            await act(url, tmp_path / "file")


async def test_through_a_pooler_each_statement_by_itself_is_a_transaction(database, set_for_login):
    pool = await open_behind_pooler(database.owner_dsn)
    sent = []

    async def ask(how, *arguments):
        await asyncio.sleep(0)  # queries are logged by the event loop
        sent.clear()
        await how("SELECT coalesce($1, '')" if arguments else "SELECT 1", *arguments)
        await asyncio.sleep(0)
        return [word.rstrip(";") for word in sent]

    async with db.autocommit(pool) as one:
        one.add_query_logger(lambda query: sent.append(query.query.partition(" ")[0]))
        for how in (one.fetch, one.fetchrow, one.fetchval, one.execute):
            assert await ask(how, "x") == ["BEGIN", "SELECT", "COMMIT"]
        assert await ask(one.execute) == ["SELECT"]
        async with one.transaction():
            assert await ask(one.fetch, "x") == ["SELECT"]
    await pool.close()


async def test_a_cancelled_caller_leaves_the_pool_usable(small):
    entered = asyncio.Event()

    async def caller():
        async with db.transaction(small) as tx:
            entered.set()
            await tx.execute("SELECT pg_sleep(10)")

    task = asyncio.create_task(caller())
    await entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with db.transaction(small) as tx:
        assert await tx.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted") == 0


@pytest.mark.parametrize("code", ["40001", "40P01", "55P03"])
async def test_work_that_conflicts_is_retried_until_it_succeeds(pool, code):
    waits, tries = [], []

    async def work(tx):
        tries.append(await tx.fetchval("SELECT pg_backend_pid()"))
        if len(tries) < 3:
            await tx.execute(f"DO $$ BEGIN RAISE SQLSTATE '{code}'; END $$")
        return "done"

    def jitter_s(attempt):
        waits.append(attempt)
        return 0.0

    assert await db.run_with_retries(pool, work, jitter_s=jitter_s) == "done"
    assert waits == [1, 2]


async def test_work_that_always_conflicts_fails_after_three_attempts(pool):
    tries = []

    async def work(tx):
        tries.append(1)
        await tx.execute("DO $$ BEGIN RAISE SQLSTATE '40P01'; END $$")

    with pytest.raises(DatabaseConflict):
        await db.run_with_retries(pool, work, jitter_s=lambda _: 0.0)
    assert len(tries) == 3


async def test_a_locked_row_is_a_conflict_after_the_lock_timeout(pool, owner):
    await owner.execute("CREATE TABLE box (n int); INSERT INTO box VALUES (1)")
    await owner.execute("GRANT ALL ON box TO tekkie_service")

    async def work(tx):
        return await tx.fetchval("SELECT n FROM box FOR UPDATE NOWAIT")

    holder = owner.transaction()
    await holder.start()
    await owner.execute("SELECT n FROM box FOR UPDATE")
    with pytest.raises(DatabaseConflict):
        await db.run_with_retries(pool, work, jitter_s=lambda _: 0.0)
    await holder.rollback()
    assert await db.run_with_retries(pool, work, jitter_s=lambda _: 0.0) == 1


@pytest.mark.parametrize("code", ["53100", "53200", "53300"])
async def test_a_full_server_is_reported_as_such(pool, code):
    with pytest.raises(DatabaseFull):
        async with db.transaction(pool) as tx:
            await tx.execute(f"DO $$ BEGIN RAISE SQLSTATE '{code}'; END $$")


async def test_an_unsafe_server_is_refused_with_all_reasons(server, database):
    if server.embedded is None:
        pytest.skip("the settings of this server are not ours")
    with pytest.raises(ServerUnfit) as refused:
        await db.check_server(database.owner_dsn)
    assert len(refused.value.problems) == 3
    for cure in ("set fsync = on", "set full_page_writes = on", "set synchronous_commit = on"):
        assert cure in str(refused.value)


async def test_a_superuser_is_refused_with_the_statements_to_run(server):
    if server.embedded is None:
        pytest.skip("the user of this server is not ours")
    with pytest.raises(ServerUnfit, match="superuser tekkie_admin: create a role"):
        await db.check_server(server.admin_dsn)


def test_each_problem_of_a_server_is_one_sentence_with_its_cure():
    row = {
        "version": 140009,
        "version_text": "14.9",
        "fsync": "on",
        "full_page_writes": "on",
        "synchronous_commit": "local",
        "accepts_only_reads": True,
        "encoding": "SQL_ASCII",
        "btree_gist": False,
        "service_is_superuser": True,
        "is_superuser": False,
        "user_name": "me",
        "database": "tekkie",
    }
    problems = list(db._problems(row))
    assert len(problems) == 5
    for word in ("14.9", "standby", "SQL_ASCII", "contrib", "NOSUPERUSER"):
        assert sum(word in problem for problem in problems) == 1
