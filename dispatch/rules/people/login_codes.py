"""The secrets of a mailed login: a link, and a code for an app that the link cannot open.

Both follow from the request and the key of the service, and are stored nowhere.
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64encode
from hashlib import sha256

LINK = b"tekkie login link 1:"
CODE = b"tekkie login code 1:"
DIGITS = 6


def link_token(key: bytes, request_sha256: bytes) -> str:
    """The token of a request's link: 43 characters that fit into a URL."""
    mac = hmac.new(key, LINK + request_sha256, sha256).digest()
    return urlsafe_b64encode(mac).rstrip(b"=").decode()


def code(key: bytes, request_sha256: bytes) -> str:
    """The code of a request, of DIGITS digits."""
    mac = hmac.new(key, CODE + request_sha256, sha256).digest()
    return str(int.from_bytes(mac) % 10**DIGITS).zfill(DIGITS)


def is_code_right(key: bytes, request_sha256: bytes, typed: str) -> bool:
    """Whether `typed` is the code of this request; takes the same time whatever is wrong."""
    return hmac.compare_digest(code(key, request_sha256).encode(), typed.encode())
