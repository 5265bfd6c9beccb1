"""Watches a long run: availability, invariants once a minute, and progress on stderr.

Idempotency keys are deleted after seven days, a quarter of an hour at the speed of a run: the
monitor reads them every minute and keeps them.
"""

import asyncio
import sys
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from tests.flows.invariants import violations
from tests.proof.chaos.history import History
from tests.proof.deployment import Deployment
from tests.proxy import Proxy

SAMPLE_EVERY_S = 0.1
REPORT_EVERY_S = 60.0
QUERY_WITHIN_S = 15.0
TRIES = 20
KEYS = "SELECT key, body ->> 'id' AS id FROM answers WHERE body IS NOT NULL"


@dataclass
class Availability:
    """When a deadline could be acted on: samples in seconds of this host's clock.

    Available means: the server accepts connections, its disk is not full, and at least one worker
    is ready, not frozen and not cut off by a black hole.
    """

    at_s: list[float] = field(default_factory=list)
    available: list[bool] = field(default_factory=list)

    def add(self, at_s: float, available: bool) -> None:
        """Add a sample; of equal ones in a row only the first and last are kept."""
        if len(self.available) > 1 and self.available[-2] == self.available[-1] == available:
            self.at_s[-1] = at_s
            return
        self.at_s.append(at_s)
        self.available.append(available)

    def available_s(self, from_s: float, to_s: float) -> float:
        """For how many of these seconds the service was available.

        Between two samples it counts as available when either was, before the first and after the
        last always: what is unknown counts against it.
        """
        unavailable_s = 0.0
        number = max(1, bisect_left(self.at_s, from_s))
        for after in range(number, len(self.at_s)):
            begin_s, end_s = self.at_s[after - 1], self.at_s[after]
            if begin_s >= to_s:
                break
            if not self.available[after - 1] and not self.available[after]:
                unavailable_s += max(0.0, min(to_s, end_s) - max(from_s, begin_s))
        return max(0.0, to_s - from_s - unavailable_s)

    def share(self) -> float:
        """The share of the time in which the service was available."""
        spans = [(later - sooner) for sooner, later in pairwise(self.at_s)]
        available = sum(span for span, one in zip(spans, self.available[1:], strict=True) if one)
        return available / sum(spans) if spans else 1.0


def is_available(deployment: Deployment) -> bool:
    """Whether a deadline could be acted on now."""
    server = deployment.postmaster
    if server.is_dead or server.frozen or deployment.is_disk_full or not server.is_accepting():
        return False
    return any(
        not one.is_dead
        and not one.frozen
        and one.is_ready()
        and not _is_cut_off(deployment.proxies, number)
        for number, one in enumerate(deployment.workers)
    )


def _is_cut_off(proxies: Sequence[Proxy], number: int) -> bool:
    return proxies[number % len(proxies)].conditions.dark


@dataclass
class Monitor:
    """Watches until cancelled; `faults` are those of the nemesis."""

    deployment: Deployment
    history: History
    faults: Counter[str]
    find_errors: Callable[[], list[str]]
    write: Callable[[str], object] = sys.stderr.write
    availability: Availability = field(default_factory=Availability)
    keys: dict[str, str] = field(default_factory=dict)
    violations: dict[str, None] = field(default_factory=dict)

    async def sample(self) -> None:
        """Sample the availability ten times a second."""
        while True:
            found = await asyncio.to_thread(is_available, self.deployment)
            self.availability.add(time.time(), found)
            await asyncio.sleep(SAMPLE_EVERY_S)

    async def report(self) -> None:
        """Check every invariant once a minute while faults go on, and write progress."""
        began_s = time.monotonic()
        while True:
            await asyncio.sleep(REPORT_EVERY_S)
            checked = False
            for _ in range(TRIES):
                checked = await self._check()
                if checked:
                    break
                await asyncio.sleep(1)
            self.write(self._progress(time.monotonic() - began_s, checked))

    async def read_keys(self) -> None:
        """Read the stored idempotency answers and compare them with those read before."""
        async with self.deployment.owner() as owner:
            rows = await owner.fetch(KEYS)
        for row in rows:
            before = self.keys.setdefault(row["key"], row["id"])
            if before != row["id"]:
                self.violations[f"the answer to {row['key']} has changed"] = None

    async def _check(self) -> bool:
        try:
            async with asyncio.timeout(QUERY_WITHIN_S):
                await self.read_keys()
                async with self.deployment.owner() as owner:
                    found = await violations(owner)
        except Exception:
            return False  # the database is being killed
        self.violations |= dict.fromkeys(found)
        return True

    def _progress(self, passed_s: float, checked: bool) -> str:
        kinds = {kind: times for kind, times in self.faults.items() if kind.startswith("kill -9")}
        each = ", ".join(f"{kind[len('kill -9 of ') :]} {n}" for kind, n in sorted(kinds.items()))
        found = len(self.violations) + len(self.history.errors) + len(self.find_errors())
        acknowledged = sum(1 for one in self.history.operations if one.code == "ok")
        return (
            f"{passed_s / 60:.0f} min: {sum(self.faults.values())} faults, {sum(kinds.values())} "
            f"kills ({each}), {acknowledged} acknowledged, {found} violations"
            f"{'' if checked else ' (the database could not be checked)'}\n"
        )
