"""Runs under the code of a release: migrates, imports friends and completes a few jobs.

    python -P fill_release.py OWNER_DSN SERVICE_DSN DATA_DIR MOMENT SPEED FRIENDS JOBS

Prints the friends as JSON: ref, id, token.
"""

import asyncio
import json
import sys
from datetime import datetime, timedelta
from pathlib import Path

from data import db
from data.database import Database
from data.records.ids import FriendId, PersonId
from data.records.jobs import Protocol
from data.settings import Settings
from data.store import test_clock
from dispatch.flows.bootstrap import open_runtime, prepare_database
from dispatch.flows.jobs import commands
from dispatch.flows.people import friends, sessions
from dispatch.runtime import Runtime
from tests.builders import book_job, friend_row, live_offers_of, north

FOREVER = timedelta(days=400)
CAPACITY = 20
DONE = Protocol(summary="Works again.", minutes=30)
SIGNED = "M0 0L600 200"


async def main(words: list[str]) -> None:
    """Fill the database and print the friends."""
    owner_dsn, service_dsn, folder, moment, speed, friend_count, job_count = words
    place = Database(owner_dsn=owner_dsn, service_dsn=service_dsn, service_role=db.SERVICE_ROLE)
    await prepare_database(place)
    owner = await db.connect(owner_dsn, application="proof")
    await test_clock.set_clock(owner, datetime.fromisoformat(moment), float(speed))
    await owner.close()
    settings = Settings(data_dir=Path(folder))
    async with open_runtime(settings, place, application="proof") as rt:
        rows = [
            friend_row(f"f{n:02}", north(150 * (n - int(friend_count) // 2)), capacity=CAPACITY)
            for n in range(int(friend_count))
        ]
        await friends.import_friends(rt, rows, actor="system")
        for number in range(int(job_count)):
            await complete_job(rt, number)
        made = [
            {"ref": one.ref, "id": str(one.id), "token": await create_token(rt, one.id)}
            for one in sorted(rt.index, key=lambda one: one.ref)
        ]
    sys.stdout.write(json.dumps(made))


async def create_token(rt: Runtime, friend: FriendId) -> str:
    """A session token of a friend."""
    return await sessions.create_token(rt, PersonId(friend), FOREVER)


async def complete_job(rt: Runtime, number: int) -> None:
    """One job from booking to end: completed, or cancelled."""
    done = await book_job(rt)
    booking = done.job.booking.id
    offers = live_offers_of(done)
    offer = offers[number % len(offers)]
    await commands.accept(rt, offer.id, offer.friend_id)
    await commands.confirm_contact(rt, booking, offer.friend_id)
    if number % 5 == 0:
        await commands.cancel(
            rt, booking, actor="system", reason="mistake", may_act=lambda job: True
        )
        return
    await commands.complete(rt, booking, offer.friend_id, DONE, SIGNED)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
