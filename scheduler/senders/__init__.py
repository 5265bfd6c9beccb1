"""One sender per channel: each takes a message with its context and returns the result."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

from data.records.messages import Message
from data.store.mail_context import Context


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A message to deliver. Its id is the same on every attempt, so repeats can be recognised."""

    message: Message
    context: Context


@dataclass(frozen=True, slots=True)
class Sent:
    """The next server in the chain has accepted it."""


@dataclass(frozen=True, slots=True)
class Obsolete:
    """It is no longer true or no longer of use and is not sent."""


@dataclass(frozen=True, slots=True)
class Retry:
    """It may work later; after `after_s` seconds if the server asked for that, at most six hours.

    It is tried again within `within_s` seconds in any case. `problem` holds no personal data.
    """

    problem: str
    after_s: float | None = None
    within_s: float = math.inf


@dataclass(frozen=True, slots=True)
class GiveUp:
    """It cannot work: an operator must look at it. `problem` holds no personal data."""

    problem: str


Result = Sent | Obsolete | Retry | GiveUp


class Sender(Protocol):
    """Delivers messages on one channel."""

    async def send(self, delivery: Delivery) -> Result:
        """Deliver once; an exception counts as Retry."""
        ...
