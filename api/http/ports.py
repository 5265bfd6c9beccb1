"""Ports: what the API needs of the outside (calendars, push) as Protocols."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Protocol
from uuid import UUID

from fastapi import Depends, Request

from data.markets import Language
from data.records.ids import BookingId
from data.records.jobs import Appointment
from data.store.push_subscriptions import PhoneProblem, PushSubscription


class WriteInvitation(Protocol):
    """Writes an appointment as an .ics file for one reader."""

    def __call__(
        self,
        booking_id: BookingId,
        appointment: Appointment,
        *,
        summary: str,
        description: str,
        location: str,
        timezone: str,
        organizer: str,
        attendee: str,
        stamped_at: datetime,
    ) -> bytes: ...


class SendTestPush(Protocol):
    """Sends a test push to phones; returns the problem of each in order, None for success."""

    async def __call__(
        self, phones: Sequence[PushSubscription], language: Language
    ) -> list[PhoneProblem | None]: ...


class ForgetMails(Protocol):
    """Deletes mails kept as files to these addresses, and mails and SMS with these ids."""

    async def __call__(self, addresses: Collection[str], ids: Collection[UUID]) -> int: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A verified event of a provider: about which of its objects."""

    event_id: str
    reference: str


class VerifyNotice(Protocol):
    """Verifies an event of a provider; None unless it is signed. Raises NotFound."""

    def __call__(self, name: str, headers: Mapping[str, str], body: bytes) -> Notice | None: ...


class WorkerState(Protocol):
    """The state of the worker of this process; ages in seconds, None for never."""

    @property
    def sweeping(self) -> bool:
        """Whether due timers were processed within the last seconds."""

    @property
    def swept_s(self) -> float | None:
        """How long ago due timers were last processed."""

    @property
    def clock_trusted(self) -> bool:
        """Whether the database's clock is trusted, so that timers are processed."""

    @property
    def clock_doubt(self) -> str:
        """Why the clock is not trusted, or an empty string."""


class Worker(Protocol):
    """The worker of this process, which processes timers and delivers messages."""

    def state(self) -> WorkerState:
        """The current state, without a query."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """The adapters of this process; `push_key` is the public VAPID key."""

    write_invitation: WriteInvitation
    send_test_push: SendTestPush
    forget_mails: ForgetMails
    verify_notice: VerifyNotice
    push_key: str


async def current_ports(request: Request) -> Ports:
    """The adapters of this process."""
    found = request.app.state.ports
    assert isinstance(found, Ports)
    return found


CurrentPorts = Annotated[Ports, Depends(current_ports)]
