"""The contact that push services get of this installation (RFC 8292, `sub`)."""

from __future__ import annotations

from email.utils import parseaddr
from urllib.parse import urlsplit

from data.settings import Settings

RESERVED_NAMES = ("localhost", "invalid", "test", "example", "local", "internal")


def subject(settings: Settings) -> str:
    """The mail address of the sender; the base URL where that address is not real."""
    mail = parseaddr(settings.mail_from)[1]
    if _is_real(mail.rpartition("@")[2]) or not _is_served(settings.base_url):
        return f"mailto:{mail}"
    return settings.base_url


def is_reachable(settings: Settings) -> bool:
    """Whether Apple accepts `subject`: it refuses localhost and reserved names."""
    contact = subject(settings)
    return _is_real(contact.rpartition("@")[2]) if contact.startswith("mailto:") else True


def _is_served(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "https" and _is_real(parts.hostname or "")


def _is_real(host: str) -> bool:
    name, dot, last = host.lower().rpartition(".")
    return bool(name and dot) and last not in RESERVED_NAMES and not last.isdigit()
