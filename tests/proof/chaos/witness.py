"""Who watches a long run: when the service was able to act, what it wrote, and how it goes.

Answers to idempotency keys are forgotten after seven days, which at the speed of a run is a quarter
of an hour: the witness reads them every minute and keeps them.
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
from tests.proof.chaos.ledger import Ledger
from tests.proof.house import House
from tests.proxy import Proxy

LOOK_EVERY_S = 0.1
SAY_EVERY_S = 60.0
ASKS_WITHIN_S = 15.0
TRIES = 20
KEYS = "SELECT key, body ->> 'id' AS id FROM answers WHERE body IS NOT NULL"


@dataclass
class Ability:
    """When somebody could act on a deadline: a list of looks, in seconds of this host's clock.

    Able means: the server lets somebody in, its disk is not full, and one worker at least is at
    work, not frozen, and not cut off by a black hole.
    """

    at_s: list[float] = field(default_factory=list)
    able: list[bool] = field(default_factory=list)

    def saw(self, at_s: float, able: bool) -> None:
        """Keep a look; only the first and the last of like ones."""
        if len(self.able) > 1 and self.able[-2] == self.able[-1] == able:
            self.at_s[-1] = at_s
            return
        self.at_s.append(at_s)
        self.able.append(able)

    def able_s(self, from_s: float, to_s: float) -> float:
        """For how many of these seconds somebody could act.

        Between two looks the service is taken for able when either found it so, before the first
        and after the last always: what is not known counts against it.
        """
        unable_s = 0.0
        number = max(1, bisect_left(self.at_s, from_s))
        for after in range(number, len(self.at_s)):
            begin_s, end_s = self.at_s[after - 1], self.at_s[after]
            if begin_s >= to_s:
                break
            if not self.able[after - 1] and not self.able[after]:
                unable_s += max(0.0, min(to_s, end_s) - max(from_s, begin_s))
        return max(0.0, to_s - from_s - unable_s)

    def share(self) -> float:
        """The part of the time in which somebody could act."""
        spans = [(later - sooner) for sooner, later in pairwise(self.at_s)]
        able = sum(span for span, one in zip(spans, self.able[1:], strict=True) if one)
        return able / sum(spans) if spans else 1.0


def able(house: House) -> bool:
    """Whether somebody could act on a deadline right now."""
    server = house.postmaster
    if server.dead or server.frozen or house.full or not server.answers():
        return False
    return any(
        not one.dead and not one.frozen and one.at_work() and not _cut_off(house.proxies, number)
        for number, one in enumerate(house.workers)
    )


def _cut_off(proxies: Sequence[Proxy], number: int) -> bool:
    return proxies[number % len(proxies)].weather.dark


@dataclass
class Witness:
    """Watches until cancelled; `faults` and `kills` are those of the nemesis."""

    house: House
    ledger: Ledger
    faults: Counter[str]
    upset: Callable[[], list[str]]
    say: Callable[[str], object] = sys.stderr.write
    ability: Ability = field(default_factory=Ability)
    keys: dict[str, str] = field(default_factory=dict)
    wrong: dict[str, None] = field(default_factory=dict)

    async def watch(self) -> None:
        """Look ten times a second whether somebody can act."""
        while True:
            found = await asyncio.to_thread(able, self.house)
            self.ability.saw(time.time(), found)
            await asyncio.sleep(LOOK_EVERY_S)

    async def tell(self) -> None:
        """Ask every promise once a minute, in the midst of it, and say how it goes."""
        began_s = time.monotonic()
        while True:
            await asyncio.sleep(SAY_EVERY_S)
            asked = False
            for _ in range(TRIES):
                asked = await self._ask()
                if asked:
                    break
                await asyncio.sleep(1)
            self.say(self._line(time.monotonic() - began_s, asked))

    async def remember(self) -> None:
        """Read the answers that are kept, and hold them to those read before."""
        async with self.house.owner() as owner:
            rows = await owner.fetch(KEYS)
        for row in rows:
            before = self.keys.setdefault(row["key"], row["id"])
            if before != row["id"]:
                self.wrong[f"the answer to {row['key']} has changed"] = None

    async def _ask(self) -> bool:
        try:
            async with asyncio.timeout(ASKS_WITHIN_S):
                await self.remember()
                async with self.house.owner() as owner:
                    found = await violations(owner)
        except Exception:
            return False  # it is being killed just now
        self.wrong |= dict.fromkeys(found)
        return True

    def _line(self, passed_s: float, asked: bool) -> str:
        kinds = {kind: times for kind, times in self.faults.items() if kind.startswith("kill -9")}
        each = ", ".join(f"{kind[len('kill -9 of ') :]} {n}" for kind, n in sorted(kinds.items()))
        wrong = len(self.wrong) + len(self.ledger.bad) + len(self.upset())
        told = sum(1 for one in self.ledger.entries if one.code == "ok")
        return (
            f"{passed_s / 60:.0f} min: {sum(self.faults.values())} faults, {sum(kinds.values())} "
            f"kills ({each}), {told} acknowledged, {wrong} violations"
            f"{'' if asked else ' (the database could not be asked)'}\n"
        )
