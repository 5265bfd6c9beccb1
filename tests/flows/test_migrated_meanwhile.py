"""A newer version migrates the tables while this one uses them."""

import shutil

from data import migrate
from data.enums import BookingState
from data.records.jobs import Protocol
from dispatch.flows.jobs import commands
from tests.builders import SIGNED, book_job, import_neighbours, live_offers_of
from tests.flows.invariants import check_invariants
from tests.proof.migrations import releases

DONE = Protocol(summary="Works again.", minutes=30)
UNTIL_PREPARED = 8


async def complete_job(rt) -> BookingState:
    done = await book_job(rt)
    booking, (first, second, *_) = done.job.booking.id, live_offers_of(done)
    await commands.decline(rt, second.id, second.friend_id)
    await commands.accept(rt, first.id, first.friend_id)
    await commands.confirm_contact(rt, booking, first.friend_id)
    done = await commands.complete(rt, booking, first.friend_id, DONE, SIGNED)
    return done.job.booking.state


async def test_columns_added_while_it_runs_do_no_harm(rt, database, owner, tmp_path):
    folder = tmp_path / "migrations"
    shutil.copytree(str(migrate.MIGRATIONS), folder)
    later = releases.add_later(folder)
    await import_neighbours(rt, 8, capacity=20)
    for _ in range(UNTIL_PREPARED):
        await complete_job(rt)
    assert await migrate.migrate(database.owner_dsn, folder=folder) == later
    for _ in range(UNTIL_PREPARED):
        assert await complete_job(rt) is BookingState.COMPLETED
    await check_invariants(owner)
