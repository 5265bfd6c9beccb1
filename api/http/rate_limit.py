"""How often one caller may ask what measures supply or sends mail, counted in each process."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from time import monotonic
from typing import Final

from fastapi import Request

from dispatch.rules.refusals import Refused
from dispatch.rules.trust import quotas

WINDOW_S: Final = 60


class TooManyRequests(Refused):
    """You have asked too often in the last minute."""

    code = "too-many-requests"

    def __str__(self) -> str:
        return f"Wait up to {WINDOW_S} seconds, then ask again."


class RateLimit:
    """Counts requests by caller, anew in every minute."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._window = -1
        self._used: Counter[str] = Counter()

    def use(self, caller: str, most: int) -> None:
        """Count a request of the caller. Raises TooManyRequests beyond `most` in this minute."""
        window = int(self._clock() // WINDOW_S)
        if window != self._window:
            self._window, self._used = window, Counter()
        self._used[caller] += 1
        if self._used[caller] > most:
            raise TooManyRequests


def rate_limit(request: Request) -> RateLimit:
    """The counts of this process, created at the first request."""
    state = request.app.state
    found = getattr(state, "rate_limit", None)
    if not isinstance(found, RateLimit):
        found = state.rate_limit = RateLimit()
    return found


def limit_network(request: Request, purpose: str, most: int) -> None:
    """Count a request of the caller's network. Raises TooManyRequests."""
    if network := quotas.network(request.client and request.client.host):
        rate_limit(request).use(f"{purpose} {network}", most)
