"""Decisions made again, each by the policy that is stored with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from data.db import Connection
from data.records.decisions import Decision
from data.records.ids import BookingId
from data.store import policies, read_models
from dispatch.rules.jobs.replay import Replay, replay
from dispatch.rules.policy import restore


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredReplay:
    """A decision, the numbers of its policy, and what it comes to when it is made again.

    Both are None for a decision whose inputs were not stored.
    """

    decision: Decision
    policy: Mapping[str, Any] | None
    replay: Replay | None


async def replay_booking(tx: Connection, booking_id: BookingId) -> list[StoredReplay]:
    """Make every decision about a booking again, oldest first."""
    found = []
    for decision in await read_models.decided(tx, booking_id):
        numbers, again = None, None
        if decision.policy_id is not None:
            numbers = await policies.numbers(tx, decision.policy_id)
        if numbers is not None:
            again = replay(decision, restore(numbers))
        found.append(StoredReplay(decision=decision, policy=numbers, replay=again))
    return found
