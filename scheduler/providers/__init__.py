"""Providers: what calls somebody outside and waits for the answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

from scheduler.senders import Result, Sent


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered(Sent):
    """The provider has answered; with a `problem` it refuses for good. No personal data."""

    answer: Mapping[str, Any]
    problem: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A verified event of a provider: about which of its objects. A hint, never the truth."""

    id: str
    reference: str


class Provider(Protocol):
    """Whose objects can be read, and whose events can be verified."""

    def verify(self, headers: Mapping[str, str], body: bytes) -> Event | None:
        """The event of a request; None unless the provider has signed it."""
        ...

    async def read(self, reference: str) -> Result:
        """The present state of an object as Answered; an exception counts as Retry."""
        ...


class TextSender(Provider, Protocol):
    """Sends SMS."""

    async def send(self, key: UUID, to: str, text: str) -> Result:
        """Send once: a repeat with the same key sends no second one, where the provider can tell.

        An Answered has `reference`, what the provider calls it. An exception counts as Retry.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Providers:
    """The providers that are configured; None for those that are not."""

    sms: TextSender | None

    def named(self, name: str) -> Provider | None:
        """The provider of a kind of errand and of notices."""
        return {"sms": self.sms}.get(name)
