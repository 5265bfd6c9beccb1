"""What the API asks of others, without knowing who does it: letters, calendars, phones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Protocol

from fastapi import Depends, Request

from data.markets import Language, Market
from data.records.ids import BookingId
from data.records.jobs import Appointment
from data.store.push_subscriptions import Phone, PhoneProblem
from data.store.sessions import Login


class SendLoginLink(Protocol):
    """Mails somebody the address that signs him in."""

    async def __call__(
        self, *, kind: Login, email: str, language: Language, market: Market, link: str
    ) -> None: ...


class Invitation(Protocol):
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


class Ring(Protocol):
    """Rings phones to try them; says of each in its turn what was wrong, or None."""

    async def __call__(
        self, phones: Sequence[Phone], language: Language
    ) -> list[PhoneProblem | None]: ...


class WorkerState(Protocol):
    """How the worker of this process is; ages in seconds, None for what never happened yet."""

    @property
    def sweeping(self) -> bool:
        """Whether due timers were acted on within the last seconds."""

    @property
    def swept_s(self) -> float | None:
        """How long ago due timers were last acted on."""

    @property
    def clock_trusted(self) -> bool:
        """Whether the database's clock is believed, so that deadlines are acted on."""

    @property
    def clock_doubt(self) -> str:
        """Why it is not, or an empty string."""


class Worker(Protocol):
    """The worker of this process, which acts on deadlines and delivers messages."""

    def state(self) -> WorkerState:
        """How it is, without asking the database."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """Those who do it; `push_key` is the key that phones know them by."""

    send_login_link: SendLoginLink
    invitation: Invitation
    ring: Ring
    push_key: str


async def outside(request: Request) -> Outside:
    """Those who do it in this process."""
    found = request.app.state.outside
    assert isinstance(found, Outside)
    return found


ToOutside = Annotated[Outside, Depends(outside)]
