"""Run under the code of a release: brings its schema up, takes friends in, and lives a few jobs.

    python -P furnish.py OWNER_DSN SERVICE_DSN DATA_DIR MOMENT SPEED FRIENDS JOBS

Prints the friends as JSON: ref, id, token. It may use only what every release has.
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
from dispatch.flows.bootstrap import opened, prepare
from dispatch.flows.jobs import commands
from dispatch.flows.people import friends, sessions
from dispatch.runtime import Runtime
from tests.builders import booked, friend_row, live, north

FOREVER = timedelta(days=400)
CAPACITY = 20
DONE = Protocol(summary="Works again.", minutes=30)


async def main(words: list[str]) -> None:
    """Furnish and print."""
    owner_dsn, service_dsn, folder, moment, speed, helpers, lives = words
    place = Database(owner_dsn=owner_dsn, service_dsn=service_dsn, service_role=db.SERVICE_ROLE)
    await prepare(place)
    owner = await db.connect(owner_dsn, application="proof")
    await test_clock.put(owner, datetime.fromisoformat(moment), float(speed))
    await owner.close()
    settings = Settings(data_dir=Path(folder))
    async with opened(settings, place, application="proof") as rt:
        rows = [
            friend_row(f"f{n:02}", north(150 * (n - int(helpers) // 2)), capacity=CAPACITY)
            for n in range(int(helpers))
        ]
        await friends.take_in(rt, rows, actor="system")
        for number in range(int(lives)):
            await life(rt, number)
        made = [
            {"ref": one.ref, "id": str(one.id), "token": await token(rt, one.id)}
            for one in sorted(rt.index, key=lambda one: one.ref)
        ]
    sys.stdout.write(json.dumps(made))


async def token(rt: Runtime, friend: FriendId) -> str:
    """What he shows to be known."""
    return await sessions.token(rt, PersonId(friend), FOREVER)


async def life(rt: Runtime, number: int) -> None:
    """One job from its booking to its end: completed, or cancelled by the customer."""
    done = await booked(rt)
    booking = done.job.booking.id
    offers = live(done)
    offer = offers[number % len(offers)]
    await commands.accept(rt, offer.id, offer.friend_id)
    await commands.contacted(rt, booking, offer.friend_id)
    if number % 5 == 0:
        await commands.cancel(rt, booking, actor="system", reason="mistake", mine=lambda job: True)
        return
    await commands.complete(rt, booking, offer.friend_id, DONE)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
