"""Finished mails: text, HTML and an attachment, written as the bytes that travel (RFC 5322, 2045).

The standard library parses every header it is given and folds each anew: ten times the work that
the words of a letter are. All that a letter needs is written here: quoted-printable and base64,
which every mail server takes, and encoded words where a header is not ASCII.
"""

from __future__ import annotations

import re
from base64 import b64encode, encodebytes
from binascii import b2a_qp
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from email.utils import formataddr, parseaddr
from functools import cache

LINE = b"\r\n"
CONTROL = re.compile(r"[\x00-\x1f\x7f]")
LONGEST_LINE = 78
# 76 characters a line, less "Subject: ", "=?utf-8?B?" and "?="; three octets in four characters.
WORD_OCTETS = 39


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A body with its headers."""

    headers: Sequence[str]
    body: bytes

    def written(self) -> bytes:
        """The part as it stands between two boundaries."""
        return LINE.join((*(header.encode("ascii") for header in self.headers), b"", self.body))


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A mail ready to be carried. `headers` are as a reader sees them, `boundary` is its own."""

    headers: Mapping[str, str]
    boundary: str
    parts: Sequence[Part]
    attachments: Sequence[Part] = ()

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

    def attach(self, part: Part) -> Written:
        """The same mail with one attachment more."""
        return replace(self, attachments=(*self.attachments, part))

    def as_bytes(self) -> bytes:
        """The whole mail; the same mail gives the same bytes."""
        whole = _several("alternative", self.boundary, self.parts)
        if self.attachments:
            whole = _several("mixed", f"{self.boundary}_", (whole, *self.attachments))
        headers = [_header(name, value) for name, value in self.headers.items()]
        return LINE.join((*headers, b"MIME-Version: 1.0", whole.written()))


def text(content: str, subtype: str) -> Part:
    """A text in UTF-8, quoted-printable; lines may end as they like."""
    lines = LINE.join(content.encode().splitlines()) + LINE
    return Part(
        headers=(
            f'Content-Type: text/{subtype}; charset="utf-8"',
            "Content-Transfer-Encoding: quoted-printable",
        ),
        body=b2a_qp(lines),
    )


def attachment(content: bytes, kind: str, filename: str) -> Part:
    """A file of the media type `kind`, which may carry parameters."""
    return Part(
        headers=(
            f"Content-Type: {kind}",
            "Content-Transfer-Encoding: base64",
            f'Content-Disposition: attachment; filename="{filename}"',
        ),
        body=encodebytes(content).replace(b"\n", LINE),
    )


def _several(kind: str, boundary: str, parts: Sequence[Part]) -> Part:
    # Neither encoding ever writes "=_", so that no boundary can occur in a part.
    line = f"--=_{boundary}".encode("ascii")
    body = b"".join(line + LINE + part.written() + LINE for part in parts) + line + b"--" + LINE
    return Part(headers=(f'Content-Type: multipart/{kind}; boundary="=_{boundary}"',), body=body)


def _header(name: str, value: str) -> bytes:
    if CONTROL.search(value):
        raise ValueError(f"the header {name} would have a line too many")
    if name == "From":
        return _sender(value)
    if name == "To":
        # An address beyond ASCII travels as UTF-8 or not at all (RFC 6532).
        return f"To: {value}".encode()
    plain = f"{name}: {value}"
    if plain.isascii() and len(plain) <= LONGEST_LINE and "=?" not in plain:
        return plain.encode("ascii")
    return f"{name}: ".encode("ascii") + b"\r\n ".join(_words(value))


@cache
def bare(sender: str) -> str:
    """The address of a sender without his name."""
    return parseaddr(sender)[1]


@cache
def _sender(value: str) -> bytes:
    return f"From: {formataddr(parseaddr(value))}".encode()


def _words(value: str) -> Iterator[bytes]:
    """Encoded words (RFC 2047), none of which cuts a character in two."""
    word = b""
    for octets in map(str.encode, value):
        if len(word) + len(octets) > WORD_OCTETS:
            yield b"=?utf-8?B?" + b64encode(word) + b"?="
            word = b""
        word += octets
    yield b"=?utf-8?B?" + b64encode(word) + b"?="
