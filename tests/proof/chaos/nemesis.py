"""Injects faults in an order decided by a seed, and restarts what died."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tests.proof.chaos.disk import fill
from tests.proof.chaos.overload import Flood
from tests.proof.deployment import Deployment
from tests.proof.processes import TekkieProcess
from tests.proxy import NORMAL, Conditions, Proxy

CHECK_EVERY_S = 0.1
FROZEN_S = (0.5, 4.0)
# Longer than idle_in_transaction_session_timeout, the longest lease anybody here holds.
LONG_FROZEN_S = 11.0
TERMINATE = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND random() < $1"""


class Supervisor:
    """Restarts dead processes after a random pause."""

    def __init__(self, deployment: Deployment, chance: Random) -> None:
        self._deployment = deployment
        self._chance = chance
        self._due_s: dict[str, float] = {}

    async def run(self) -> None:
        """Restart until cancelled."""
        while True:
            await asyncio.sleep(CHECK_EVERY_S)
            server = self._deployment.postmaster
            if server.is_dead and self._is_due("postgres"):
                server.start()
            for process in self._deployment.processes:
                if process.is_dead and self._is_due(process.name):
                    process.start()

    def _is_due(self, name: str) -> bool:
        due_s = self._due_s.setdefault(name, time.monotonic() + self._chance.uniform(0, 0.8))
        if time.monotonic() < due_s:
            return False
        del self._due_s[name]
        return True


@dataclass
class Nemesis:
    """Injects faults until told to stop; `faults` counts them by kind."""

    deployment: Deployment
    chance: Random
    every_s: float
    flood: Flood | None = None
    disk: Path | None = None
    only: Collection[str] = ()
    faults: Counter[str] = field(default_factory=Counter)
    last_s: float = 0.0
    _healing: set[asyncio.Task[None]] = field(default_factory=set)

    async def run(self, stop: Callable[[], bool]) -> None:
        """One fault after another, each kind once first; returns when all are healed."""
        kinds = [kind for kind in self._kinds() if not self.only or kind[0] in self.only]
        weights = [weight for _, weight, _ in kinds]
        first = [*kinds]
        self.chance.shuffle(first)
        while not stop():
            kind = first.pop() if first else self.chance.choices(kinds, weights)[0]
            injected = await self._inject(kind[0], kind[2])
            await asyncio.sleep(self.every_s * self.chance.uniform(0.5, 1.5) if injected else 0.1)
        if self._healing:
            await asyncio.wait(self._healing)
        for proxy in self.deployment.proxies:
            proxy.change(NORMAL)
        self.last_s = time.monotonic()

    @property
    def kills(self) -> list[int]:
        """How often an API, a worker and PostgreSQL were killed with kill -9."""
        return [self.faults[kind] for kind, _, _ in self._kinds() if kind.startswith("kill -9")]

    def _kinds(self) -> list[tuple[str, float, Callable[[], Awaitable[bool]]]]:
        kinds: list[tuple[str, float, Callable[[], Awaitable[bool]]]] = [
            ("kill -9 of an API", 8, lambda: self._kill(self.deployment.apis)),
            ("kill -9 of a worker", 8, lambda: self._kill(self.deployment.workers)),
            ("kill -9 of PostgreSQL and its children", 9, self._kill_server),
            ("SIGSTOP of an API", 1, lambda: self._freeze(self.deployment.apis)),
            ("SIGSTOP of a worker", 1, lambda: self._freeze(self.deployment.workers)),
            ("SIGSTOP of PostgreSQL", 0.5, self._freeze_server),
            ("pg_terminate_backend", 2, self._terminate),
            ("connections reset", 2, self._reset),
            ("black hole", 1, lambda: self._degrade(Conditions(dark=True))),
            ("latency", 1, lambda: self._degrade(Conditions(latency_s=0.05))),
            ("bandwidth", 1, lambda: self._degrade(Conditions(bytes_a_second=50_000))),
            ("slicing", 1, lambda: self._degrade(Conditions(slice_bytes=3))),
        ]
        if self.disk is not None:
            kinds.append(("disk full", 0.7, self._fill))
        if self.flood is not None:
            kinds.append(("overload", 0.5, self.flood.inject))
        return kinds

    async def _inject(self, name: str, inject: Callable[[], Awaitable[bool]]) -> bool:
        injected = await inject()
        if injected:
            self.faults[name] += 1
            self.last_s = time.monotonic()
        return injected

    async def _kill(self, processes: list[TekkieProcess]) -> bool:
        alive = [one for one in processes if not one.is_dead]
        if alive:
            self.chance.choice(alive).kill()
        return bool(alive)

    async def _kill_server(self) -> bool:
        if self.deployment.postmaster.is_dead:
            return False
        self.deployment.postmaster.kill()
        return True

    async def _freeze(self, processes: list[TekkieProcess]) -> bool:
        running = [one for one in processes if not one.is_dead and not one.frozen]
        if not running:
            return False
        one = self.chance.choice(running)
        one.freeze()
        self._later(one.thaw)
        return True

    async def _freeze_server(self) -> bool:
        server = self.deployment.postmaster
        if server.is_dead or server.frozen:
            return False
        server.freeze()
        self._later(server.thaw, self.chance.uniform(0.5, 3.0))
        return True

    async def _fill(self) -> bool:
        assert self.disk is not None
        if self.deployment.is_disk_full:
            return False
        self.deployment.is_disk_full = True
        ballast = await asyncio.to_thread(fill, self.disk)

        def empty() -> None:
            ballast.unlink(missing_ok=True)
            self.deployment.is_disk_full = False

        self._later(empty)
        return True

    async def _terminate(self) -> bool:
        if not await asyncio.to_thread(self.deployment.postmaster.is_accepting):
            return False
        try:
            async with asyncio.timeout(2), self.deployment.owner("tekkie_admin") as admin:
                return bool(await admin.fetchval(TERMINATE, self.chance.uniform(0.3, 1.0)))
        except Exception:
            return False

    async def _reset(self) -> bool:
        return bool(self._proxy().reset())

    async def _degrade(self, conditions: Conditions) -> bool:
        proxy = self._proxy()
        if proxy.conditions is not NORMAL:
            return False
        proxy.change(conditions)
        self._later(lambda: proxy.change(NORMAL))
        return True

    def _proxy(self) -> Proxy:
        return self.chance.choice(self.deployment.proxies)

    def _later(self, heal: Callable[[], None], in_s: float | None = None) -> None:
        if in_s is None:
            long = self.chance.random() < 0.15
            in_s = LONG_FROZEN_S if long else self.chance.uniform(*FROZEN_S)

        async def wait(in_s: float) -> None:
            await asyncio.sleep(in_s)
            heal()
            self.last_s = time.monotonic()

        task = asyncio.create_task(wait(in_s))
        self._healing.add(task)
        task.add_done_callback(self._healing.discard)
