"""python -m tests.proof.races: ten thousand rounds of eight accepts at once, and conflicts."""

import argparse
import asyncio
import sys
import time
from pathlib import Path
from random import Random

from tests.flows.invariants import violations
from tests.proof import page, report
from tests.proof.deployment import deploy, friend_groups
from tests.proof.races import conflicts, rounds

ENOUGH_FOR_BOTH = 32


def main() -> None:
    """Run, print the findings, write docs/proof.md; exit code 1 when there was a violation."""
    parser = argparse.ArgumentParser(prog="python -m tests.proof.races", description=__doc__)
    parser.add_argument("--rounds", type=int, default=10_000)
    parser.add_argument("--conflicts", type=int, default=200, help="of each kind, in each order")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--history", type=Path, help="a file for the history of requests")
    parser.add_argument("--no-page", action="store_true", help="leave docs/proof.md as it is")
    arguments = parser.parse_args()
    lines, found = asyncio.run(_run(arguments))
    sys.stdout.write("\n".join([*lines, ""]))
    if not arguments.no_page:
        command = f"python -m tests.proof.races --rounds {arguments.rounds}"
        command += f" --conflicts {arguments.conflicts} --seed {arguments.seed}"
        page.write("races", "Races over HTTP", command, lines)
    sys.exit(1 if found else 0)


async def _run(arguments: argparse.Namespace) -> tuple[list[str], list[str]]:
    chance = Random(arguments.seed)
    async with deploy(friend_groups(4), apis=2, workers=2) as deployment:
        began_s = time.monotonic()
        results = await rounds.run(deployment, arguments.rounds, chance)
        took_s = time.monotonic() - began_s
        if arguments.history:
            rounds.write_history(results, arguments.history)
        tallies = await conflicts.run(deployment, arguments.conflicts, chance)
        async with deployment.owner() as owner:
            broken = await violations(owner)
        locked = await rounds.count_deadlocks(deployment)
    found = [f"{one.booking}: {text}" for one in results for text in one.violations]
    found += [f"{name}: {text}" for name, tally in tallies.items() for text in tally.violations]
    found += [
        f"{name}: it had one outcome only, {arguments.conflicts} times"
        for name, tally in tallies.items()
        if name.endswith("together")
        and arguments.conflicts >= ENOUGH_FOR_BOTH
        and len(tally.outcomes) < 2
    ]
    found += broken + [f"{locked} deadlocks"] * bool(locked)
    return list(_describe(results, took_s, tallies, locked, found)), found


def _describe(results, took_s, tallies, locked, found):
    took = sorted(
        (max(c.returned_s for c in one.accepts) - min(c.invoked_s for c in one.accepts)) * 1000
        for one in results
    )
    answers = rounds.count_answers(results)
    yield "Two `tekkie serve --api-only` and two `tekkie worker` on one PostgreSQL. Four friends"
    yield "are asked; each accepts twice at the same time, once through either process, over"
    yield "keep-alive connections; then the winner accepts again."
    yield ""
    yield report.table(
        ("rounds", "accepts", "won", "lost", "unknown", "round p50", "p99", "rounds a second"),
        [
            (
                len(results),
                sum(len(one.accepts) for one in results),
                answers["won"],
                answers["lost"],
                answers["unknown"],
                f"{page.percentile(took, 0.5):.0f} ms",
                f"{page.percentile(took, 0.99):.0f} ms",
                f"{len(results) / took_s:.0f}",
            )
        ],
    )
    yield ""
    yield report.table(
        ("conflict", "rounds", "outcomes", "not linearizable"),
        [
            (name, tally.rounds, _format_outcomes(tally.outcomes), len(tally.violations))
            for name, tally in tallies.items()
        ],
    )
    yield ""
    yield f"Deadlocks: {locked}. Violations: {len(found)}."
    yield from (f"- {text}" for text in found[:20])


def _format_outcomes(outcomes) -> str:
    return ", ".join(f"{state} {times}" for state, times in sorted(outcomes.items()))


if __name__ == "__main__":
    main()
