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
from tests.proof.chaos.crowd import Crowd
from tests.proof.house import house
from tests.proof.line import Reply
from tests.proof.migrations import releases
from tests.proof.migrations.catalogue import catalogue, differences
from tests.proof.migrations.pace import Pace
from tests.proof.migrations.town import BEGUN, SPEED, Town

ENOUGH = 40


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The migrations of this release, to be followed by others."""
    made = tmp_path / "migrations"
    shutil.copytree(str(migrate.MIGRATIONS), made)
    return made


async def answered(pace: Pace, count: int) -> None:
    """Return when so many more requests were asked and answered."""
    from_s = time.monotonic()
    while sum(1 for one in pace.replies if one[0] > from_s) < count:  # noqa: ASYNC110
        await asyncio.sleep(0.02)


async def heard(said: "asyncio.Queue[str]", words: str) -> str:
    """Return the first line with these words that the migrator says from now on."""
    while words not in (line := await said.get()):
        pass
    return line


@pytest.mark.timeout(300)
@pytest.mark.xdist_group("proof")
async def test_a_release_serves_while_the_schema_of_the_next_is_made_and_after_it(folder):
    rows = [friend_row(f"f{n}", north(150 * n), capacity=20) for n in range(8)]
    at = BEGUN + timedelta(minutes=1)
    async with house(rows, apis=2, workers=1, speed=SPEED, at=at) as made:
        dsn = made.postmaster.dsn(layout.OWNER)
        crowd, pace = Crowd(made, Random(1), pause_s=0.3), Pace()
        crowd.ledger = pace
        town = Town(made, crowd, pace, stored=0)
        crowd.begin(3)
        await answered(pace, ENOUGH)

        later, said = releases.add_later(folder), asyncio.Queue[str]()
        async with made.owner() as reader, reader.transaction():
            await reader.fetchval("SELECT count(*) FROM offers")
            migrator = asyncio.create_task(
                migrate.migrate(dsn, said.put_nowait, folder=folder, pause_s=lambda failed: 0.3)
            )
            # Whoever queued behind the change may be named first; the reader soon is the oldest.
            await heard(said, f"in use by process {reader.get_server_pid()} (proof, for ")
            await answered(pace, 1)
            await heard(said, "nothing was changed, trying again")
        assert await migrator == later
        await answered(pace, ENOUGH)

        api = made.apis[0]
        assert await asyncio.to_thread(api.end) == 0
        api.start()
        await asyncio.to_thread(api.wait)
        words = f"migrated to {later[-1]} by a newer tekkie; this one still works on it"
        assert words in api.log.read_text("utf-8")
        assert await town.readiness() == [200, 200]
        await answered(pace, ENOUGH)
        await town.close()
        assert town.wrong == []
        assert pace.count("book") > 0
        assert pace.count("accept") > 0
        await refused_two_releases_later(made, folder)


async def refused_two_releases_later(made, folder) -> None:
    """It ends at once and says which tekkie to start."""
    newest = len(list(folder.glob("*.sql"))) + 1
    name = f"{newest:04}_much_later.sql"
    (folder / name).write_text("CREATE TABLE much_later (n int)", encoding="utf-8")
    await migrate.migrate(made.postmaster.dsn(layout.OWNER), folder=folder)
    worker = made.workers[0]
    assert await asyncio.to_thread(worker.end) == 0
    worker.start()
    assert worker.process is not None
    await asyncio.to_thread(worker.process.join, 30)
    assert worker.process.exitcode == 1
    last = worker.log.read_text("utf-8").strip().splitlines()[-1]
    assert f"migrated to {name} by a newer tekkie" in last
    assert "start the newer tekkie" in last


@pytest.fixture
def two(server):
    """Two empty databases, by their owner's address."""
    names = [server.create(), server.create()]
    yield [server.database(name).owner_dsn for name in names]
    for name in names:
        server.drop(name)


async def schema(dsn: str, change: str = "SELECT 1") -> list[str]:
    connection = await db.connect(dsn, application="tests")
    try:
        await connection.execute(change)
        return await catalogue(connection)
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
    assert differences(await schema(two[0]), await schema(two[1])) == []


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
async def test_a_schema_that_differs_is_seen(database, change):
    before = await schema(database.owner_dsn)
    assert differences(before, await schema(database.owner_dsn, change)) != []


def test_without_history_the_whole_run_says_what_it_needs(tmp_path, monkeypatch):
    monkeypatch.setattr(releases, "ROOT", tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(releases.NoHistory, match="needs a clone with its history"):
        releases.before_and_now()


def test_whoever_waited_at_any_moment_of_a_stretch_counts_for_it():
    pace = Pace()
    for began_s, ended_s, status in ((0, 1, 200), (0, 4, 503), (3, 5, 200), (6, 9, 200)):
        headers = {"retry-after": "1"}
        pace.seen(Reply(status, headers, b"", float(began_s), float(ended_s)))
    found = pace.between("it", 2.0, 6.0)
    assert (found.requests, found.busy, found.longest_s) == (2, 1, 4.0)
