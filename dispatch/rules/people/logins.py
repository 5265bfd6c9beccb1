"""The numbers of signing in: how long links, codes and sessions live, and how many there may be."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

LINK_LIFE: Final = timedelta(minutes=15)
LINKS_ALIVE: Final = 5
"""Mails with a link that an address gets within the life of a link."""
MAIL_LIFE: Final = timedelta(hours=1)
"""For how long a mail with a link is worth sending."""
CODE_TRIES: Final = 5
CODE_TRIES_A_DAY: Final = 100
"""Tries of all codes of an address together."""
SESSION_LIFE: Final = timedelta(days=30)
TOKEN_LIFE_MAX: Final = timedelta(days=400)
NOTICE_LIFE: Final = timedelta(days=3)
"""For how long the notice of a changed address is worth sending to the former one."""
PASSKEYS_MAX: Final = 20
"""Passkeys of one operator."""
