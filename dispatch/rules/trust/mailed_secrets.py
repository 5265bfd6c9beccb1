"""The secrets of a mail: a link, and a code to type where the link cannot be opened; and of an SMS.

Both are derived from what the mail is about and the key of the service, so that neither is stored.
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final
from uuid import UUID

from data.records.ids import BookingId

DIGITS: Final = 6
LOGIN: Final = b"tekkie login 1:"
PHONE: Final = b"tekkie phone 1:"
CONFIRMATION: Final = b"tekkie confirmation 1:"
JOIN: Final = b"tekkie join 1:"
GUARDIAN: Final = b"tekkie guardian 1:"


class Proof(Enum):
    """What a text proves: the link of the mail, its code, or nothing."""

    LINK = auto()
    CODE = auto()
    NONE = auto()


@dataclass(frozen=True, slots=True)
class MailedSecrets:
    """What the link carries, 43 characters that fit into a URL, and the code, of DIGITS digits."""

    link: str
    code: str

    def proof(self, given: str) -> Proof:
        """What `given` proves; takes the same time whatever is wrong."""
        by_link = hmac.compare_digest(self.link.encode(), given.encode())
        by_code = hmac.compare_digest(self.code.encode(), given.encode())
        return Proof.LINK if by_link else Proof.CODE if by_code else Proof.NONE


def of_login(key: bytes, request_sha256: bytes) -> MailedSecrets:
    """The secrets of the mail that a request to sign in asked for."""
    return _secrets(key, LOGIN, request_sha256)


def of_booking(key: bytes, booking_id: BookingId) -> MailedSecrets:
    """The secrets by which a customer confirms the mail address of a booking."""
    return _secrets(key, CONFIRMATION, booking_id.bytes)


def phone_code(key: bytes, errand_id: UUID) -> str:
    """The code that an SMS carries."""
    return _secrets(key, PHONE, errand_id.bytes).code


def of_join(key: bytes, request_sha256: bytes, details: bytes) -> MailedSecrets:
    """The secrets that confirm the address of an applicant; the link is bound to the details."""
    code = _secrets(key, JOIN, request_sha256).code
    return MailedSecrets(link=_secrets(key, JOIN, request_sha256 + details).link, code=code)


def of_guardianship(key: bytes, guardianship_id: UUID) -> MailedSecrets:
    """The secret by which a guardian consents, and withdraws the consent."""
    return _secrets(key, GUARDIAN, guardianship_id.bytes)


def _secrets(key: bytes, purpose: bytes, subject: bytes) -> MailedSecrets:
    link = hmac.digest(key, purpose + b"link" + subject, "sha256")
    code = hmac.digest(key, purpose + b"code" + subject, "sha256")
    return MailedSecrets(
        link=urlsafe_b64encode(link).rstrip(b"=").decode(),
        code=f"{int.from_bytes(code) % 10**DIGITS:0{DIGITS}}",
    )
