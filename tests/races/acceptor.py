"""A process that books and accepts endlessly and prints each accept once it is answered.

    python -m tests.races.acceptor SERVICE_DSN SERVICE_ROLE FOLDER

A test starts and kills it.
"""

import asyncio
import sys
from pathlib import Path

from data.database import Database
from data.settings import Settings
from dispatch.flows.bootstrap import open_runtime
from dispatch.flows.jobs import commands
from dispatch.rules.refusals import Refused
from dispatch.runtime import Runtime
from tests.builders import book_job, live_offers_of

AT_ONCE = 6


async def accept_for_ever(rt: Runtime) -> None:
    while True:
        offers = live_offers_of(await book_job(rt))
        for offer in offers:
            try:
                await commands.accept(rt, offer.id, offer.friend_id)
            except Refused:
                continue
            sys.stdout.write(f"{offer.booking_id} {offer.friend_id}\n")
            sys.stdout.flush()
            break
        if not offers:
            return


async def main(dsn: str, role: str, folder: str) -> None:
    database = Database(owner_dsn=dsn, service_dsn=dsn, service_role=role)
    chosen = Settings(data_dir=Path(folder), public_url="https://tekkie.test")
    async with open_runtime(chosen, database, application="acceptor") as rt:
        await asyncio.gather(*(accept_for_ever(rt) for _ in range(AT_ONCE)))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
