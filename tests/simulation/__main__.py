"""Simulate many bookings and say how many a second, what was seen, and that nothing broke.

    python -m tests.simulation --bookings 1000000

A broken promise is printed with its seed; `--seed N --towns 1` plays that town again. Seeds are
played a second time by processes that hash otherwise, a tenth unless `--twice` says another share.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from hashlib import sha256
from math import ceil

from tests.proof import page, report
from tests.simulation.sometimes import never_reached
from tests.simulation.town import CUSTOMERS, Town

SAY_EVERY_S = 60.0
WHOLE = 1_000_000
HASHES = "4711"
SHOWN = 16


@dataclass(slots=True)
class Lived:
    """What came of some towns: a digest for each, in the order of their seeds."""

    digests: list[str] = field(default_factory=list)
    seen: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)
    took_s: float = 0.0

    @property
    def bookings(self) -> int:
        return len(self.digests) * CUSTOMERS

    @property
    def rate(self) -> float:
        return self.bookings / self.took_s if self.took_s else 0.0

    def digest(self, towns: int | None = None) -> str:
        """One digest of all towns, or of the first so many."""
        return sha256("".join(self.digests[:towns]).encode()).hexdigest()


def play(seed: int) -> tuple[int, str, Counter[str], str]:
    """One town: its seed, its digest, what was seen, and what broke."""
    town = Town(seed)
    try:
        town.live()
    except Exception as broken:
        return seed, "", town.seen, f"{type(broken).__name__}: {broken}"
    return seed, town.digest, town.seen, ""


def live(seeds: Sequence[int], processes: int) -> Lived:
    """Let all these towns live, and say every minute how far they are."""
    lived, began_s = Lived(), time.perf_counter()
    said_s = began_s
    with ProcessPoolExecutor(processes) as workers:
        for seed, digest, counts, problem in workers.map(play, seeds, chunksize=8):
            lived.seen += counts
            lived.digests.append(digest)
            lived.took_s = time.perf_counter() - began_s
            if problem:
                lived.broken.append(f"seed {seed}: {problem}")
                say(lived.broken[-1])
            if time.perf_counter() - said_s >= SAY_EVERY_S:
                said_s = time.perf_counter()
                tell(
                    f"{lived.bookings:,} of {len(seeds) * CUSTOMERS:,} bookings, "
                    f"{lived.rate:,.0f} a second, {len(lived.broken)} broken"
                )
    return lived


def once_more(seed: int, towns: int, processes: int) -> str:
    """The digest of these towns in another interpreter that hashes otherwise."""
    words = ["--seed", str(seed), "--towns", str(towns), "--processes", str(processes)]
    told = subprocess.run(
        [sys.executable, "-m", "tests.simulation", "--digest", *words],
        cwd=report.ROOT,
        env=os.environ | {"PYTHONHASHSEED": HASHES},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    return told.stdout.strip()


def main() -> int:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--bookings", type=int, default=WHOLE)
    words.add_argument("--towns", type=int, help="instead of --bookings")
    words.add_argument("--seed", type=int, default=0, help="of the first town")
    words.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    words.add_argument("--twice", type=float, default=0.1, help="share of the towns")
    words.add_argument("--digest", action="store_true", help="print only the digest of all")
    words.add_argument("--no-page", action="store_true", help="leave docs/proof.md as it is")
    chosen = words.parse_args()
    towns = chosen.towns or -(-chosen.bookings // CUSTOMERS)
    lived = live(range(chosen.seed, chosen.seed + towns), chosen.processes)
    if chosen.digest:
        say(lived.digest())
        return min(len(lived.broken), 1)
    twice = min(towns, ceil(towns * chosen.twice))
    again = once_more(chosen.seed, twice, chosen.processes) if twice else ""
    wrong = [*lived.broken, *(f"never seen: {what}" for what in never_reached(lived.seen))]
    if twice and again != lived.digest(twice):
        wrong.append(f"the first {twice} towns told another story the second time")
    lines = list(told(lived, twice, wrong))
    say("\n".join(lines))
    # What a few bookings have shown does not take the place of what a million have.
    if lived.bookings >= WHOLE and not chosen.no_page:
        command = f"python -m tests.simulation --bookings {chosen.bookings} --seed {chosen.seed}"
        page.write("simulation", "Simulation of the rules", command, lines)
    return min(len(wrong), 1)


def told(lived: Lived, twice: int, wrong: Sequence[str]) -> Iterator[str]:
    """What was found, in Markdown."""
    yield f"{len(lived.digests):,} towns of {CUSTOMERS} bookings live under the pure rules with a"
    yield "virtual clock and a seed: bookings in bursts, friends who accept, decline, sleep, forget"
    yield "and hand back, customers who cancel, sweepers who come late, twice and at the same"
    yield "moment as a person. A process that dies at any await before the commit loses its"
    yield "decision, one that dies after it its answer; either is asked again. After every step all"
    yield "promises of `tests/simulation/promises.py` are asked; who was nearest is reckoned anew."
    yield ""
    head = ("bookings", "a second", "events", "broken", "digest")
    events = sum(times for what, times in lived.seen.items() if "." in what and " " not in what)
    row = (f"{lived.bookings:,}", f"{lived.rate:,.0f}", f"{events:,}", len(lived.broken))
    yield report.table(head, [(*row, f"`{lived.digest()[:SHOWN]}`")])
    yield ""
    if twice:
        yield f"{twice:,} of the seeds were played a second time, by another interpreter with"
        yield f"`PYTHONHASHSEED={HASHES}`; the digests of all that happened must be the same."
        yield ""
    yield report.table(
        ("what was seen", "times"),
        [(what, f"{times:,}") for what, times in sorted(lived.seen.items())],
    )
    yield ""
    yield f"**Violations: {len(wrong)}.**"
    yield from (f"- {text}" for text in wrong[:20])


def say(text: str) -> None:
    sys.stdout.write(text + "\n")


def tell(text: str) -> None:
    sys.stderr.write(text + "\n")


if __name__ == "__main__":
    sys.exit(main())
