"""A recording sender, and fixtures that deliver and read messages."""

import asyncio
from collections import defaultdict
from collections.abc import Callable
from uuid import UUID

import pytest

from data.enums import Channel
from scheduler.relay import Relay
from scheduler.senders import Delivery, Result, Sent


class RecordingSender:
    """A sender that records its messages and returns planned results."""

    def __init__(self) -> None:
        self.deliveries: list[Delivery] = []
        self.answers: dict[str, Callable[[Delivery], Result]] = defaultdict(
            lambda: lambda delivery: Sent()
        )
        self.hold: dict[UUID, asyncio.Event] = {}

    async def send(self, delivery: Delivery) -> Result:
        self.deliveries.append(delivery)
        if wait := self.hold.get(delivery.message.recipient_id):
            await wait.wait()
        return self.answers[delivery.message.template](delivery)

    def templates(self, recipient=None) -> list[str]:
        return [
            delivery.message.template
            for delivery in self.deliveries
            if recipient is None or delivery.message.recipient_id == recipient
        ]


@pytest.fixture
def sender() -> RecordingSender:
    return RecordingSender()


@pytest.fixture
def relay(rt, sender) -> Relay:
    """A relay that ticks only when a test calls it."""
    return Relay(rt, {Channel.MAIL: sender, Channel.PUSH: sender}, request_tick=lambda: None)


@pytest.fixture
def deliver(relay):
    """Tick until nothing more can be sent now."""

    async def deliver_all(times: int = 30) -> None:
        for _ in range(times):
            before = len(relay._under_way) + len(relay._outcomes)
            await relay.tick()
            if relay._under_way:
                await asyncio.wait(relay._under_way, timeout=5)
            if not before and not relay._under_way and not relay._outcomes:
                return
        raise AssertionError("the relay never finishes")

    return deliver_all


@pytest.fixture
def messages(owner):
    """All messages in the order of their events; `await messages(template="offer")`."""

    async def rows(**wanted):
        found = await owner.fetch("SELECT * FROM messages ORDER BY booking_id, seq, id")
        return [row for row in found if all(row[k] == v for k, v in wanted.items())]

    return rows
