"""One sender per channel: each takes a message with its background and says what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from data.records.messages import Message
from data.store.mail_context import MessageContext


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """A message to be delivered. Its id is the same at every try, so that a repeat can be told."""

    message: Message
    background: MessageContext


@dataclass(frozen=True, slots=True)
class Sent:
    """The next in the chain has taken it over."""


@dataclass(frozen=True, slots=True)
class Moot:
    """It is no longer true or no longer of use: it shall not be sent."""


@dataclass(frozen=True, slots=True)
class Retry:
    """It may work later; after `after_s` seconds if somebody said so, at most after six hours.

    No personal data.
    """

    problem: str
    after_s: float | None = None


@dataclass(frozen=True, slots=True)
class GiveUp:
    """It will never work like this: a person must look at it. No personal data."""

    problem: str


Result = Sent | Moot | Retry | GiveUp


class Sender(Protocol):
    """Whatever can deliver on one channel."""

    async def send(self, post: Post) -> Result:
        """Deliver once; an exception counts as Retry."""
        ...
