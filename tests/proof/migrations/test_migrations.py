"""A short slice of `python -m tests.proof.migrations`: this release and the schema of the next."""

import asyncio
import shutil
import time
from datetime import timedelta
from pathlib import Path
from random import Random

import pytest

from data import db, migrate
from data.postgres import layout
from tests.builders import friend_row, north
from tests.proof.chaos.clients import Clients
from tests.proof.connection import Reply
from tests.proof.deployment import deploy
from tests.proof.migrations import releases
from tests.proof.migrations.latency import TimedHistory
from tests.proof.migrations.release_deployment import SPEED, TRAFFIC_START, ReleaseDeployment
from tests.proof.migrations.schema_dump import diff_schemas, dump_schema

ENOUGH = 40


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The migrations of this release, to be followed by others."""
    deployment = tmp_path / "migrations"
    shutil.copytree(str(migrate.MIGRATIONS), deployment)
    return deployment


async def wait_for_replies(history: TimedHistory, count: int) -> None:
    """Return when so many more requests were sent and answered."""
    from_s = time.monotonic()
    while sum(1 for one in history.replies if one[0] > from_s) < count:  # noqa: ASYNC110
        await asyncio.sleep(0.02)


async def wait_for_line(output: "asyncio.Queue[str]", words: str) -> str:
    """The first line with these words that the migration writes from now on."""
    while words not in (line := await output.get()):
        pass
    return line


@pytest.mark.timeout(300)
@pytest.mark.xdist_group("proof")
async def test_a_release_serves_while_the_schema_of_the_next_is_made_and_after_it(folder):
    rows = [friend_row(f"f{n}", north(150 * n), capacity=20) for n in range(8)]
    at = TRAFFIC_START + timedelta(minutes=1)
    async with deploy(rows, apis=2, workers=1, speed=SPEED, at=at) as deployment:
        dsn = deployment.postmaster.dsn(layout.OWNER)
        clients, history = Clients(deployment, Random(1), pause_s=0.3), TimedHistory()
        clients.history = history
        release = ReleaseDeployment(deployment, clients, history, stored=0)
        clients.start(3)
        await wait_for_replies(history, ENOUGH)

        later, output = releases.add_later(folder), asyncio.Queue[str]()
        async with deployment.owner() as reader, reader.transaction():
            await reader.fetchval("SELECT count(*) FROM offers")
            migrator = asyncio.create_task(
                migrate.migrate(dsn, output.put_nowait, folder=folder, pause_s=lambda failed: 0.3)
            )
            # A request queued behind the change may be named first; soon the reader is the oldest.
            await wait_for_line(output, f"in use by process {reader.get_server_pid()} (proof, for ")
            await wait_for_replies(history, 1)
            await wait_for_line(output, "nothing was changed, trying again")
        assert await migrator == later
        await wait_for_replies(history, ENOUGH)

        api = deployment.apis[0]
        assert await asyncio.to_thread(api.stop) == 0
        api.start()
        await asyncio.to_thread(api.wait)
        words = f"migrated to {later[-1]} by a newer tekkie; this one still works on it"
        assert words in api.log.read_text("utf-8")
        assert await release.readiness() == [200, 200]
        await wait_for_replies(history, ENOUGH)
        await release.finish()
        assert release.violations == []
        assert history.count("book") > 0
        assert history.count("accept") > 0
        await check_refusal_two_releases_later(deployment, folder)


async def check_refusal_two_releases_later(deployment, folder) -> None:
    """It must end at once and name the tekkie to start."""
    newest = len(list(folder.glob("*.sql"))) + 1
    name = f"{newest:04}_much_later.sql"
    (folder / name).write_text("CREATE TABLE much_later (n int)", encoding="utf-8")
    await migrate.migrate(deployment.postmaster.dsn(layout.OWNER), folder=folder)
    worker = deployment.workers[0]
    assert await asyncio.to_thread(worker.stop) == 0
    worker.start()
    assert worker.process is not None
    await asyncio.to_thread(worker.process.join, 30)
    assert worker.process.exitcode == 1
    last = worker.log.read_text("utf-8").strip().splitlines()[-1]
    assert f"migrated to {name} by a newer tekkie" in last
    assert "start the newer tekkie" in last


@pytest.fixture
def two(server):
    """The owner URLs of two empty databases."""
    names = [server.create(), server.create()]
    yield [server.database(name).owner_dsn for name in names]
    for name in names:
        server.drop(name)


async def schema(dsn: str, change: str = "SELECT 1") -> list[str]:
    connection = await db.connect(dsn, application="tests")
    try:
        await connection.execute(change)
        return await dump_schema(connection)
    finally:
        await connection.close()


async def test_a_schema_reached_file_by_file_is_that_of_a_new_database(two, folder, tmp_path):
    releases.add_later(folder)
    stepwise = tmp_path / "stepwise"
    stepwise.mkdir()
    for file in sorted(folder.glob("*.sql")):
        shutil.copy(file, stepwise)
        assert await migrate.migrate(two[0], folder=stepwise) == [file.name]
    await migrate.migrate(two[1], folder=folder)
    assert diff_schemas(await schema(two[0]), await schema(two[1])) == []


@pytest.mark.parametrize(
    "change",
    [
        "DROP INDEX offers_four_live",
        "ALTER TABLE bookings ADD COLUMN one int",
        "ALTER TABLE offers ALTER COLUMN slot DROP NOT NULL",
        "ALTER TABLE messages ALTER COLUMN attempts SET DEFAULT 1",
        "ALTER TABLE messages DROP CONSTRAINT message_sent",
        "ALTER TABLE messages ADD CONSTRAINT one CHECK (attempts >= 0) NOT VALID",
        "ALTER TYPE offer_state ADD VALUE 'one'",
        "REVOKE SELECT ON charges FROM tekkie_service",
        "ALTER TABLE messages SET (fillfactor = 90)",
        "CREATE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "ALTER TABLE events DISABLE TRIGGER USER",
        "UPDATE migrations SET sha256 = '' WHERE version = 1",
    ],
)
async def test_a_schema_that_differs_is_found(database, change):
    before = await schema(database.owner_dsn)
    assert diff_schemas(before, await schema(database.owner_dsn, change)) != []


def test_without_history_the_whole_run_names_what_it_needs(tmp_path, monkeypatch):
    monkeypatch.setattr(releases, "ROOT", tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(releases.NoHistory, match="needs a clone with its history"):
        releases.find_releases()


def test_every_request_in_flight_during_an_interval_counts():
    history = TimedHistory()
    for began_s, ended_s, status in ((0, 1, 200), (0, 4, 503), (3, 5, 200), (6, 9, 200)):
        headers = {"retry-after": "1"}
        history.record(Reply(status, headers, b"", float(began_s), float(ended_s)))
    found = history.between("it", 2.0, 6.0)
    assert (found.requests, found.busy, found.longest_s) == (2, 1, 4.0)
