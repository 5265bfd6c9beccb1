"""Where the processor time of bookings and races goes below HTTP, by sampling.

    python -m benchmarks.profile [--quick]

Writes benchmarks/results/profile.json and the section "Profile" of benchmarks/report.md.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import resource
import signal
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

import numpy as np
import uvloop

from benchmarks import customers, sections, stage
from benchmarks.below import CALLERS
from benchmarks.customers import Site
from benchmarks.stage import Stage, progress
from benchmarks.world import population
from data.records.jobs import Job, Offer
from dispatch.flows.execute import CommandResult
from dispatch.flows.jobs import commands
from dispatch.rules.refusals import Refused
from dispatch.runtime import Runtime

EVERY_S = 0.001
FRIENDS = 10_000
SITES = 1_400
ROUNDS = 4
RACES_AT_ONCE = 8
HOME = f"{Path(__file__).parents[1]}/"
# A sample counts for the innermost module of the product, with the libraries it calls.
PARTS = {
    "geo/": "geo: the nearest, distances, the name of the cell",
    "dispatch/rules/": "rules: deciding, ranking, offers, messages",
    "data/replace": "rules: deciding, ranking, offers, messages",
    "data/records": "rules: deciding, ranking, offers, messages",
    "dispatch/flows/candidates": "flow: candidates",
    "dispatch/flows/jobs/orders": "flow: place, price and customer of an order",
    "dispatch/runtime": "flow: keeping the index up with the commit",
    "dispatch/flows/": "flow: queue, facts, answers",
    "data/store": "store: rows in and out, with the driver",
    "data/": "store: rows in and out, with the driver",
}
REST = "event loop and load"


class Samples:
    """Samples the running code once a millisecond of processor time."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    @contextmanager
    def sample(self) -> Iterator[None]:
        """Take samples while inside."""
        before = signal.signal(signal.SIGPROF, self._note)
        signal.setitimer(signal.ITIMER_PROF, EVERY_S, EVERY_S)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.signal(signal.SIGPROF, before)

    def _note(self, _number: int, frame: FrameType | None) -> None:
        while frame is not None:
            if part := _part(frame.f_code.co_filename):
                self.counts[part] += 1
                return
            frame = frame.f_back
        self.counts[REST] += 1


def _part(file: str) -> str | None:
    if not file.startswith(HOME):
        return None
    here = file.removeprefix(HOME)
    return next((part for begin, part in PARTS.items() if here.startswith(begin)), None)


@dataclass(slots=True)
class Work:
    """One kind of work: its samples, processor seconds, and how much was done."""

    samples: Samples = field(default_factory=Samples)
    spent_s: float = 0.0
    done: int = 0

    @contextmanager
    def measure(self, done: int) -> Iterator[None]:
        """Measure what is done inside."""
        begun = _process_cpu_s()
        with self.samples.sample():
            yield
        self.spent_s += _process_cpu_s() - begun
        self.done += done

    def result(self) -> dict[str, object]:
        """The figures, and the share of every part."""
        whole = sum(self.samples.counts.values())
        parts = {part: n / whole for part, n in self.samples.counts.most_common()}
        us = self.spent_s / self.done * 1e6
        return {"done": self.done, "samples": whole, "us": us, "parts": parts}


async def _profile(made: Stage, rounds: int) -> dict[str, dict[str, object]]:
    await stage.insert_friends(made, population(FRIENDS, np.random.default_rng(FRIENDS)))
    bookings, races = Work(), Work()
    for number in range(rounds):
        name = f"profile{number}"
        await made.clone(name)
        async with stage.connect_runtime(made, name) as rt:
            places = customers.find_sites(rt, SITES, seed=FRIENDS)
            gc.collect()
            gc.freeze()  # as the product does with what it has loaded
            with bookings.measure(len(places)):
                booked = await _book_all(rt, places)
            with races.measure(len(booked)):
                await _race_for_all(rt, booked)
        gc.unfreeze()
        await made.drop(name)
    return {"bookings": bookings.result(), "races": races.result()}


async def _book_all(rt: Runtime, places: Sequence[Site]) -> list[Job]:
    orders = iter([customers.create_order(site, number) for number, site in enumerate(places)])
    booked: list[Job] = []

    async def caller() -> None:
        for order in orders:
            done = await commands.book(
                rt,
                order,
                actor="customer",
                claim=None,
                build_response=lambda done: {"id": str(done.now)},
            )
            assert isinstance(done, CommandResult)
            booked.append(done.job)

    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    return booked


async def _race_for_all(rt: Runtime, booked: Sequence[Job]) -> None:
    waiting = iter(booked)

    async def accept(offer: Offer) -> None:
        with suppress(Refused):
            await commands.accept(rt, offer.id, offer.friend_id)

    async def racers() -> None:
        for job in waiting:
            await asyncio.gather(*(accept(offer) for offer in job.live))

    await asyncio.gather(*(racers() for _ in range(RACES_AT_ONCE)))


def _process_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one round, printed only")
    arguments = parser.parse_args()
    machine = sections.machine()
    with stage.open_stage() as made, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        result = runner.run(_profile(made, 1 if arguments.quick else ROUNDS))
    for line in sections.profile({"machine": machine, **result}).splitlines():
        progress(line)
    sections.save(arguments.quick, "profile", {"machine": machine, **result})


if __name__ == "__main__":
    sys.exit(main())
