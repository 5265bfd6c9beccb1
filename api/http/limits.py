"""How large a request may be, in bytes."""

from __future__ import annotations

from typing import Final

HEADERS_MAX: Final = 100
HEADERS_BYTES_MAX: Final = 32 * 1024
URL_BYTES_MAX: Final = 8 * 1024
BODY_MAX: Final = 64 * 1024


def in_kb(size: int) -> str:
    """A size as it is written for clients: 64 KB."""
    return f"{size // 1024} KB"
