"""Simulate many bookings; prints the rate, what was seen, and violated invariants.

    python -m tests.simulation --bookings 1000000

A violation is printed with its seed; `--seed N --towns 1` runs that town again. A tenth of the
seeds, or the share `--twice`, are run again by processes with another hash seed.
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

from dispatch.rules.policy import POLICY
from tests.proof import page, report
from tests.simulation.levels import TURNS_MAX, Month, follow
from tests.simulation.sometimes import never_reached
from tests.simulation.town import CUSTOMERS, Town

PROGRESS_EVERY_S = 60.0
FULL_RUN = 1_000_000
HASH_SEED = "4711"
DIGEST_LENGTH = 16


@dataclass(slots=True)
class Result:
    """The result of some towns: a digest for each, in the order of their seeds."""

    digests: list[str] = field(default_factory=list)
    seen: Counter[str] = field(default_factory=Counter)
    months: list[Month] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    took_s: float = 0.0

    @property
    def bookings(self) -> int:
        return len(self.digests) * CUSTOMERS

    @property
    def rate(self) -> float:
        return self.bookings / self.took_s if self.took_s else 0.0

    def digest(self, towns: int | None = None) -> str:
        """One digest of all towns, or of the first ones."""
        return sha256("".join(self.digests[:towns]).encode()).hexdigest()


Outcome = tuple[int, str, Counter[str], Month, str]


def run_town(seed: int) -> Outcome:
    """Run one town; returns its seed, its digest, what was seen, its month, and the error."""
    town = Town(seed)
    try:
        town.run()
    except Exception as broken:
        return seed, "", town.seen, {}, f"{type(broken).__name__}: {broken}"
    return seed, town.digest, town.seen, town.month, ""


def run_towns(seeds: Sequence[int], processes: int) -> Result:
    """Run these towns, and print the progress every minute."""
    result, began_s = Result(), time.perf_counter()
    printed_s = began_s
    with ProcessPoolExecutor(processes) as workers:
        for seed, digest, counts, month, problem in workers.map(run_town, seeds, chunksize=8):
            result.seen += counts
            result.digests.append(digest)
            result.months.append(month)
            result.took_s = time.perf_counter() - began_s
            if problem:
                result.broken.append(f"seed {seed}: {problem}")
                print_out(result.broken[-1])
            if time.perf_counter() - printed_s >= PROGRESS_EVERY_S:
                printed_s = time.perf_counter()
                print_progress(
                    f"{result.bookings:,} of {len(seeds) * CUSTOMERS:,} bookings, "
                    f"{result.rate:,.0f} a second, {len(result.broken)} broken"
                )
    return result


def rerun_digest(seed: int, towns: int, processes: int) -> str:
    """The digest of these towns from another interpreter with another hash seed."""
    words = ["--seed", str(seed), "--towns", str(towns), "--processes", str(processes)]
    process = subprocess.run(
        [sys.executable, "-m", "tests.simulation", "--digest", *words],
        cwd=report.ROOT,
        env=os.environ | {"PYTHONHASHSEED": HASH_SEED},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    return process.stdout.strip()


def main() -> int:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--bookings", type=int, default=FULL_RUN)
    words.add_argument("--towns", type=int, help="instead of --bookings")
    words.add_argument("--seed", type=int, default=0, help="of the first town")
    words.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    words.add_argument("--twice", type=float, default=0.1, help="share of the towns")
    words.add_argument("--digest", action="store_true", help="print only the digest of all")
    words.add_argument("--no-page", action="store_true", help="leave docs/proof.md as it is")
    chosen = words.parse_args()
    towns = chosen.towns or -(-chosen.bookings // CUSTOMERS)
    result = run_towns(range(chosen.seed, chosen.seed + towns), chosen.processes)
    if chosen.digest:
        print_out(result.digest())
        return min(len(result.broken), 1)
    twice = min(towns, ceil(towns * chosen.twice))
    again = rerun_digest(chosen.seed, twice, chosen.processes) if twice else ""
    wrong = [*result.broken, *(f"never seen: {what}" for what in never_reached(result.seen))]
    if twice and again != result.digest(twice):
        wrong.append(f"the first {twice} towns differed in the second run")
    levels = follow(result.months, POLICY)
    if levels["a level turns"] > TURNS_MAX * levels["looks with jobs enough"]:
        wrong.append("V2 a level turns too often")
    result.seen += levels
    lines = list(render(result, twice, wrong))
    print_out("\n".join(lines))
    # A short run must not replace the section of a full one.
    if result.bookings >= FULL_RUN and not chosen.no_page:
        command = f"python -m tests.simulation --bookings {chosen.bookings} --seed {chosen.seed}"
        page.write("simulation", "Simulation of the rules", command, lines)
    return min(len(wrong), 1)


def render(result: Result, twice: int, wrong: Sequence[str]) -> Iterator[str]:
    """The result as Markdown."""
    yield f"{len(result.digests):,} towns of {CUSTOMERS} bookings run under the pure rules with a"
    yield "virtual clock and a seed: bookings in bursts, friends who accept, decline, pause, forget"
    yield "and hand back, customers who cancel, sweepers that come late, twice and at the same"
    yield "moment as a person. A process that dies at any await before the commit loses its"
    yield "decision, one that dies after it its response; either request is repeated. After every"
    yield "step all invariants of `tests/simulation/invariants.py` are checked; who was nearest is"
    yield "computed independently."
    yield ""
    head = ("bookings", "a second", "events", "broken", "digest")
    events = sum(times for what, times in result.seen.items() if "." in what and " " not in what)
    row = (f"{result.bookings:,}", f"{result.rate:,.0f}", f"{events:,}", len(result.broken))
    yield report.table(head, [(*row, f"`{result.digest()[:DIGEST_LENGTH]}`")])
    yield ""
    if twice:
        yield f"{twice:,} of the seeds were run a second time, by another interpreter with"
        yield f"`PYTHONHASHSEED={HASH_SEED}`; the digests of all that happened must be the same."
        yield ""
    yield report.table(
        ("what was seen", "times"),
        [(what, f"{times:,}") for what, times in sorted(result.seen.items())],
    )
    yield ""
    yield "The rule of levels looked at every friend after each town, as if each were a month of"
    yield f"the same friends: a level may turn at {TURNS_MAX:.0%} of the looks with jobs enough."
    yield ""
    yield f"**Violations: {len(wrong)}.**"
    yield from (f"- {text}" for text in wrong[:20])


def print_out(text: str) -> None:
    sys.stdout.write(text + "\n")


def print_progress(text: str) -> None:
    sys.stderr.write(text + "\n")


if __name__ == "__main__":
    sys.exit(main())
