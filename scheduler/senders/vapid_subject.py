"""Where push services reach the people of this installation, should it ever trouble them."""

from __future__ import annotations

from email.utils import parseaddr
from urllib.parse import urlsplit

from data.settings import Settings

NOWHERE = ("localhost", "invalid", "test", "example", "local", "internal")


def subject(settings: Settings) -> str:
    """The sender's own mail address, or the address of the pages where that is none."""
    mail = parseaddr(settings.mail_from)[1]
    if _is_real(mail.rpartition("@")[2]) or not _is_served(settings.base_url):
        return f"mailto:{mail}"
    return settings.base_url


def is_reachable(settings: Settings) -> bool:
    """Whether `subject` is one that Apple takes: it refuses localhost and the like."""
    said = subject(settings)
    return _is_real(said.rpartition("@")[2]) if said.startswith("mailto:") else True


def _is_served(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "https" and _is_real(parts.hostname or "")


def _is_real(host: str) -> bool:
    name, dot, last = host.lower().rpartition(".")
    return bool(name and dot) and last not in NOWHERE and not last.isdigit()
