"""Challenges for passkeys, which prove by themselves that they are ours, what for, and how old."""

from __future__ import annotations

import hmac
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Final

PURPOSE: Final = b"tekkie passkey 1:"
LIFE: Final = timedelta(minutes=5)
TIME, NONCE = 8, 16


def challenge(key: bytes, purpose: str, now: datetime, nonce: bytes) -> bytes:
    """A challenge of 56 bytes from a nonce of 16; `purpose` is whose or what it is for."""
    head = int(now.timestamp()).to_bytes(TIME) + nonce
    return head + _mac(key, purpose, head)


def is_valid(key: bytes, purpose: str, given: bytes, now: datetime) -> bool:
    """Whether a challenge is ours for this purpose, and not older than LIFE."""
    head, mac = given[: TIME + NONCE], given[TIME + NONCE :]
    if not hmac.compare_digest(mac, _mac(key, purpose, head)):
        return False
    made_at = datetime.fromtimestamp(int.from_bytes(head[:TIME]), UTC)
    return timedelta(seconds=-1) <= now - made_at <= LIFE


def _mac(key: bytes, purpose: str, head: bytes) -> bytes:
    return hmac.new(key, PURPOSE + purpose.encode() + b":" + head, sha256).digest()
