"""Simulate many bookings and say how many a second, what was seen, and that nothing broke.

    python -m tests.simulation --bookings 1000000

A broken promise is printed with its seed; `--seed N --towns 1` plays that town again.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from hashlib import sha256

from tests.simulation.town import CUSTOMERS, Town


def play(seed: int) -> tuple[int, str, Counter[str], str]:
    """One town: its seed, its digest, what was seen, and what broke."""
    town = Town(seed)
    try:
        town.live()
    except Exception as broken:
        return seed, "", town.seen, f"{type(broken).__name__}: {broken}"
    return seed, town.digest, town.seen, ""


def main() -> int:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--bookings", type=int, default=10_000)
    words.add_argument("--towns", type=int, help="instead of --bookings")
    words.add_argument("--seed", type=int, default=0, help="of the first town")
    words.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    words.add_argument("--digest", action="store_true", help="print only the digest of all")
    chosen = words.parse_args()
    towns = chosen.towns or -(-chosen.bookings // CUSTOMERS)
    began = time.perf_counter()
    seen: Counter[str] = Counter()
    all_of_it, broken = sha256(), 0
    seeds = range(chosen.seed, chosen.seed + towns)
    with ProcessPoolExecutor(chosen.processes) as workers:
        for seed, digest, counts, problem in workers.map(play, seeds, chunksize=8):
            seen += counts
            all_of_it.update(digest.encode())
            if problem:
                broken += 1
                say(f"seed {seed}: {problem}")
    took_s = time.perf_counter() - began
    if chosen.digest:
        say(all_of_it.hexdigest())
        return min(broken, 1)
    for what, times in sorted(seen.items()):
        say(f"{times:>12,}  {what}")
    bookings = towns * CUSTOMERS
    say(
        f"{bookings:,} bookings in {took_s:.1f} s, {bookings / took_s:,.0f} a second; "
        f"{broken} broken; digest {all_of_it.hexdigest()[:16]}"
    )
    return min(broken, 1)


def say(line: str) -> None:
    sys.stdout.write(line + "\n")


if __name__ == "__main__":
    sys.exit(main())
