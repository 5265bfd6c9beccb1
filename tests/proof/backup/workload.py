"""A workload of bookings and jobs that goes on during a backup."""

import asyncio
from datetime import timedelta
from random import Random

from data.records.ids import BookingId
from data.records.jobs import Protocol
from dispatch.flows.jobs import commands, reviews, threads
from dispatch.rules.refusals import Refused
from dispatch.runtime import Runtime
from tests.builders import SIGNED, book_job, live_offers_of

DONE = Protocol(summary="Works again.", minutes=30)


class Workload:
    """Creates bookings in every state until `stop`."""

    def __init__(self, rt: Runtime, seed: int) -> None:
        self._rt = rt
        self._chance = Random(seed)
        self._stopped = asyncio.Event()
        self.booked: list[BookingId] = []

    def stop(self) -> None:
        self._stopped.set()

    async def run(self, workers: int = 4) -> None:
        """Create bookings until `stop`, several at a time."""
        await asyncio.gather(*(self._work() for _ in range(workers)))

    async def create(self, count: int) -> None:
        """Create bookings until there are `count`."""
        while len(self.booked) < count:
            await asyncio.gather(*(self._create_one() for _ in range(8)))

    async def _work(self) -> None:
        while not self._stopped.is_set():
            await self._create_one()

    async def _create_one(self) -> None:
        done = await book_job(self._rt)
        booking_id = done.job.booking.id
        self.booked.append(booking_id)
        offers = live_offers_of(done)
        try:
            await self._advance(booking_id, offers[self._chance.randrange(len(offers))])
        except (Refused, IndexError, ValueError):
            return  # a friend is at capacity: the booking stays as it is

    async def _advance(self, booking_id, offer) -> None:
        friend, steps = offer.friend_id, self._chance.randrange(6)
        if steps == 0:
            await commands.decline(self._rt, offer.id, friend)
            return
        await commands.accept(self._rt, offer.id, friend)
        if steps == 1:
            await commands.hand_back(self._rt, booking_id, friend, "no_time", None)
            return
        await commands.confirm_contact(self._rt, booking_id, friend)
        for author in (friend, None):
            await threads.write(
                self._rt, booking_id, author, "Hello.", claim=None, build_response=lambda done: {}
            )
        if steps > 2:
            await commands.complete(self._rt, booking_id, friend, DONE, SIGNED)
        if steps > 4:
            await commands.rate(
                self._rt,
                booking_id,
                stars=5,
                comment=None,
                claim=None,
                build_response=lambda done: {},
            )
            await reviews.review_customer(self._rt, booking_id, friend, 5, None)


A_WHILE = timedelta(hours=13)
