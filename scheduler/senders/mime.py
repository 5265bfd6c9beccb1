"""Finished mails: text, HTML and an attachment, put together by the standard library.

Its plain messages are used and not EmailMessage, which parses every header it is given and takes
four times as long over a letter.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from email.charset import BASE64, QP, Charset
from email.encoders import encode_base64
from email.header import Header
from email.message import Message
from email.mime.multipart import MIMEMultipart
from email.mime.nonmultipart import MIMENonMultipart
from email.policy import compat32
from email.utils import formataddr, parseaddr
from functools import cache

# No control characters, nor what else the standard library takes for the end of a line.
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
LONGEST_LINE = 78
TRAVELLING = compat32.clone(linesep="\r\n", max_line_length=LONGEST_LINE)
UTF8 = Charset("utf-8")
UTF8.header_encoding = BASE64
UTF8.body_encoding = QP


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A mail ready to be carried. `headers` are as a reader sees them, `boundary` is its own."""

    headers: Mapping[str, str]
    boundary: str
    parts: Sequence[Message]
    attachments: Sequence[Message] = ()

    def __getitem__(self, name: str) -> str:
        return self.headers[name]

    @property
    def sender(self) -> str:
        """The bare address it comes from."""
        return bare(self.headers["From"])

    @property
    def recipient(self) -> str:
        """The bare address it goes to."""
        return self.headers["To"]

    def attach(self, part: Message) -> Written:
        """The same mail with one attachment more."""
        return replace(self, attachments=(*self.attachments, part))

    def as_bytes(self) -> bytes:
        """The whole mail as it travels (RFC 5322); the same mail gives the same bytes."""
        # Neither encoding ever writes "=_", so that no boundary can occur in a part.
        whole = MIMEMultipart("alternative", f"=_{self.boundary}", self.parts)
        if self.attachments:
            whole = MIMEMultipart("mixed", f"=_{self.boundary}_", (whole, *self.attachments))
        for name, value in self.headers.items():
            whole[name] = _header(name, value)
        return whole.as_bytes(policy=TRAVELLING)


def text(content: str, subtype: str) -> Message:
    """A text in UTF-8, quoted-printable; lines may end as they like."""
    part = MIMENonMultipart("text", subtype)
    part.set_payload(content, UTF8)
    return part


def attachment(content: bytes, kind: str, filename: str) -> Message:
    """A file of the media type `kind`, which may carry parameters."""
    part = Message()
    part["Content-Type"] = kind
    part.add_header("Content-Disposition", "attachment", filename=filename)
    part.set_payload(content)
    encode_base64(part)
    return part


@cache
def bare(sender: str) -> str:
    """The address of a sender without his name."""
    return parseaddr(sender)[1]


def _header(name: str, value: str) -> str:
    if CONTROL.search(value):
        raise ValueError(f"the header {name} would have a line too many")
    if name == "From":
        return _sender(value)
    if name == "Subject":
        return _subject(value)
    # An address beyond ASCII travels as UTF-8 or not at all (RFC 6532): as octets, in surrogates.
    return value.encode().decode("ascii", "surrogateescape")


@cache
def _sender(value: str) -> str:
    return formataddr(parseaddr(value))


def _subject(value: str) -> str:
    if value.isascii() and len(f"Subject: {value}") <= LONGEST_LINE and "=?" not in value:
        return value
    return Header(value, UTF8, LONGEST_LINE, "Subject").encode()
