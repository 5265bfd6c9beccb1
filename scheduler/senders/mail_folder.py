"""The folder of mails written as files: what must not stay in it."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime, timedelta
from email import message_from_bytes
from email.message import Message
from email.utils import parsedate_to_datetime
from pathlib import Path
from uuid import UUID

from scheduler.senders.mail import with_ascii_domain


def delete_mails(folder: Path, addresses: Collection[str], ids: Collection[UUID]) -> int:
    """Delete the mails to these addresses and those with these ids; returns how many."""
    wanted = {with_ascii_domain(one).lower() for one in addresses}
    names = {str(one) for one in ids}
    gone = [
        path for path, mail in _mails(folder) if path.stem in names or _recipient(mail) in wanted
    ]
    return _delete(gone)


def delete_old_mails(folder: Path, now: datetime, kept: timedelta) -> int:
    """Delete the mails dated before `now - kept`; returns how many."""
    return _delete([path for path, mail in _mails(folder) if _date(mail) < now - kept])


def _mails(folder: Path) -> Iterator[tuple[Path, Message]]:
    for path in folder.glob("*.eml"):
        try:
            head = path.read_bytes().partition(b"\r\n\r\n")[0]
        except FileNotFoundError:
            continue
        yield path, message_from_bytes(head + b"\r\n\r\n")


def _recipient(mail: Message) -> str:
    """The address as it was written: octets beyond ASCII are read as surrogates."""
    to = next((value for name, value in mail.raw_items() if name == "To"), "")
    return str(to).encode("ascii", "surrogateescape").decode(errors="replace").strip().lower()


def _date(mail: Message) -> datetime:
    return parsedate_to_datetime(str(mail["Date"]))


def _delete(paths: Collection[Path]) -> int:
    for path in paths:
        path.unlink(missing_ok=True)
    return len(paths)
