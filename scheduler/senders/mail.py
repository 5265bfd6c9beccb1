"""Mail: letters are composed and handed to a mail server or, without one, written to a folder.

Without TEKKIE_SMTP_HOST every mail becomes a file `<message id>.eml` in the folder `mails` of the
data folder, which any mail program opens. A repeat replaces the file.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
from dataclasses import dataclass
from datetime import datetime
from email.charset import BASE64, Charset
from email.contentmanager import raw_data_manager
from email.header import Header
from email.message import EmailMessage
from email.policy import compat32
from email.utils import format_datetime, formataddr, parseaddr
from functools import cache
from pathlib import Path
from typing import Any, Final, Protocol
from uuid import UUID

import aiosmtplib
from email_validator import EmailNotValidError, validate_email

from data.enums import Audience
from data.markets import MARKETS
from data.replace import replace
from data.settings import Settings
from data.store.mail_context import PersonContext
from dispatch.runtime import Runtime
from scheduler.senders import Delivery, GiveUp, Obsolete, Result, Retry, Sent
from scheduler.senders.calendar import invitation
from scheduler.senders.letters import InvalidFact, Letter, UnknownLetter, render
from scheduler.senders.message_context import Content, is_valid

log = logging.getLogger(__name__)

TIMEOUT_S = 15.0
ENHANCED = re.compile(r"\b[245]\.\d{1,3}\.\d{1,3}\b")
# Control characters, and what else the standard library takes for the end of a line.
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
LONGEST_LINE: Final = 76
# The default policy of EmailMessage parses every header: four times the work for a letter.
POLICY: Final = compat32.clone(linesep="\r\n", max_line_length=LONGEST_LINE)
TEXT: Final[dict[str, Any]] = {"cte": "quoted-printable", "content_manager": raw_data_manager}
UTF8 = Charset("utf-8")
UTF8.header_encoding = BASE64
CANCELLING = frozenset(
    {"cancelled", "cancelled_late", "job_cancelled", "job_cancelled_late"}
    | {"friend_changed", "contact_missed"}
)


class Transport(Protocol):
    """Transports a finished mail."""

    async def deliver(self, mail: EmailMessage, to: str) -> Result:
        """Transport `mail` to the bare address `to`."""
        ...


def mail_transport(settings: Settings) -> Transport:
    """The mail server of the settings, or the folder without one."""
    if settings.smtp_host is None:
        return FolderTransport(settings.mail_folder)
    password = settings.smtp_password
    return SmtpTransport(
        {
            "hostname": settings.smtp_host,
            "port": settings.smtp_port,
            "username": settings.smtp_user,
            "password": password.get_secret_value() if password else None,
            "use_tls": settings.smtp_tls == "tls",
            "start_tls": settings.smtp_tls == "starttls",
        }
    )


@dataclass(frozen=True, slots=True)
class FolderTransport:
    """Writes mails to a folder, for trials without a mail server."""

    path: Path

    async def deliver(self, mail: EmailMessage, to: str) -> Result:
        """Write the mail as a file named after its Message-ID."""
        name = mail["Message-ID"].strip("<>").partition("@")[0]
        await asyncio.to_thread(self._write, name, mail.as_bytes())
        log.info("mail %s written to the folder of mails", name)
        return Sent()

    def _write(self, name: str, content: bytes) -> None:
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        aside = self.path / f".{name}.{os.getpid()}"
        aside.write_bytes(content)
        aside.replace(self.path / f"{name}.eml")


@dataclass(frozen=True, slots=True)
class SmtpTransport:
    """Hands mails to a mail server; `address` is what aiosmtplib needs to reach it."""

    address: dict[str, Any]
    timeout_s: float = TIMEOUT_S

    async def deliver(self, mail: EmailMessage, to: str) -> Result:
        """Hand the mail over: Retry for 4xx and time-outs, GiveUp for a 5xx about this mail."""
        recipient = with_ascii_domain(to)
        try:
            await aiosmtplib.send(
                mail.as_bytes(),
                sender=bare_address(mail["From"]),
                recipients=recipient,
                mail_options=() if recipient.isascii() else ("SMTPUTF8",),
                timeout=self.timeout_s,
                **self.address,
            )
        except aiosmtplib.SMTPNotSupported:
            return GiveUp("the mail server takes no addresses beyond ASCII (SMTPUTF8)")
        except aiosmtplib.SMTPAuthenticationError as error:
            return Retry(f"the mail server refused the login: {_code(error)}")
        except aiosmtplib.SMTPRecipientsRefused as error:
            return _refusal(error.recipients[0])
        except (aiosmtplib.SMTPConnectError, aiosmtplib.SMTPTimeoutError) as error:
            return Retry(f"the mail server does not answer: {type(error).__name__}")
        except aiosmtplib.SMTPResponseException as error:
            return _refusal(error)
        except (aiosmtplib.SMTPException, OSError) as error:
            return Retry(f"no mail could be handed over: {type(error).__name__}")
        return Sent()


def _refusal(error: aiosmtplib.SMTPResponseException) -> Result:
    # The server's own words may hold the address; its codes do not.
    if 500 <= error.code <= 599:
        return GiveUp(f"the mail server refused it: {_code(error)}")
    return Retry(f"the mail server refused it for now: {_code(error)}")


def _code(error: aiosmtplib.SMTPResponseException) -> str:
    enhanced = ENHANCED.search(error.message)
    return f"{error.code} {enhanced[0]}" if enhanced else str(error.code)


@dataclass(frozen=True, slots=True)
class Mail:
    """Delivers messages as letters by mail."""

    transport: Transport
    content: Content
    sender: str

    @classmethod
    def of(cls, rt: Runtime) -> Mail:
        """The mail sender that the settings of this runtime describe."""
        settings = rt.settings
        content = Content(catalogue=rt.catalogue, base_url=settings.base_url, secret=settings.key())
        return cls(mail_transport(settings), content, settings.mail_from)

    async def send(self, delivery: Delivery) -> Result:
        """Render and hand over the letter of a message, unless it is no longer valid."""
        message, about = delivery.message, delivery.context
        if about.email is None or not is_valid(message, about):
            return Obsolete()
        facts = self.content.facts(message, about)
        try:
            letter = render(message.template, about.language, facts, audience=message.audience)
            mail = compose(
                letter, sender=self.sender, to=about.email, mail_id=message.id, at=about.now
            )
        except (UnknownLetter, InvalidFact) as fault:
            return GiveUp(str(fault))
        self._attach_invitation(mail, letter, delivery)
        return await self.transport.deliver(mail, about.email)

    def _attach_invitation(self, mail: EmailMessage, letter: Letter, delivery: Delivery) -> None:
        message, about = delivery.message, delivery.context
        cancelled = message.template in CANCELLING
        if isinstance(about, PersonContext):
            return
        appointment = about.award.appointment if about.award else None
        if appointment is None or not (cancelled or message.template == "appointment"):
            return
        customer = message.audience is Audience.CUSTOMER
        file = invitation(
            message.booking_id,
            # The downloaded file of an appointment has the same SEQUENCE; its withdrawal a higher.
            replace(appointment, revision=message.seq) if cancelled else appointment,
            summary=self.content.package_name(about),
            description=letter.text,
            # A friend finds the street behind the link, where it disappears when access ends.
            location=about.address if customer else about.area,
            timezone=MARKETS[about.market].timezone,
            organizer=bare_address(self.sender),
            attendee=about.email or "",
            stamped_at=about.now,
            cancelled=cancelled,
        )
        attach_calendar(mail, file, method="CANCEL" if cancelled else "REQUEST")


def compose(letter: Letter, *, sender: str, to: str, mail_id: UUID, at: datetime) -> EmailMessage:
    """A mail with text and HTML; the same arguments give the same bytes.

    Raises ValueError for a header that holds a control character.
    """
    mail = EmailMessage(policy=POLICY)
    mail["From"] = _sender(sender)
    # Before its @ an address beyond ASCII is UTF-8 or nothing (RFC 6532): as octets, in surrogates.
    mail["To"] = with_ascii_domain(_line("To", to)).encode().decode("ascii", "surrogateescape")
    mail["Subject"] = _subject(letter.subject)
    mail["Date"] = format_datetime(at)
    mail["Message-ID"] = f"<{mail_id}@{bare_address(sender).rpartition('@')[2]}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(letter.text, **TEXT)
    mail.add_alternative(letter.html, subtype="html", **TEXT)
    # Neither encoding ever writes "=_", so that no boundary can occur in a part.
    mail.set_boundary(f"=_{mail_id.hex}")
    return mail


def attach_calendar(mail: EmailMessage, file: bytes, *, method: str) -> None:
    """Attach an invitation, or with the method CANCEL its withdrawal, to a composed mail."""
    inner = mail.get_boundary()
    mail.add_attachment(
        file,
        maintype="text",
        subtype="calendar",
        filename="appointment.ics",
        params={"method": method, "charset": "utf-8"},
        content_manager=raw_data_manager,
    )
    mail.set_boundary(f"{inner}_")


def with_ascii_domain(email: str) -> str:
    """The address as every mail server takes it: müller.example as xn--mller-kva.example.

    Unchanged where the part before the @ is beyond ASCII too, which only SMTPUTF8 carries.
    """
    if email.isascii():
        return email
    try:
        known = validate_email(email, check_deliverability=False, globally_deliverable=False)
    except EmailNotValidError:
        return email
    return known.ascii_email or email


@cache
def bare_address(sender: str) -> str:
    """The address of a sender without the display name."""
    return with_ascii_domain(parseaddr(sender)[1])


@cache
def _sender(value: str) -> str:
    name, _ = parseaddr(_line("From", value))
    return formataddr((name, bare_address(value)))


def _subject(value: str) -> str:
    short = len(f"Subject: {_line('Subject', value)}") <= LONGEST_LINE
    if short and value.isascii() and "=?" not in value:
        return value
    return Header(value, UTF8, LONGEST_LINE, "Subject").encode()


def _line(name: str, value: str) -> str:
    if CONTROL.search(value):
        raise ValueError(f"the header {name} would have a line too many")
    return value
