"""python -m tests.proof.races: ten thousand rounds of eight accepts at once, and the duels."""

import argparse
import asyncio
import sys
import time
from pathlib import Path
from random import Random

from tests.flows.invariants import violations
from tests.proof import page, report
from tests.proof.house import groups, house
from tests.proof.races import duels, rounds

SURELY_BOTH = 32


def main() -> None:
    """Run, say what was found, write it to docs/proof.md; exit code 1 when anything was wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.proof.races", description=__doc__)
    parser.add_argument("--rounds", type=int, default=10_000)
    parser.add_argument("--duels", type=int, default=200, help="of each kind, in each order")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--history", type=Path, help="a file for what was asked and answered")
    parser.add_argument("--no-page", action="store_true", help="leave docs/proof.md as it is")
    asked = parser.parse_args()
    lines, wrong = asyncio.run(_run(asked))
    sys.stdout.write("\n".join([*lines, ""]))
    if not asked.no_page:
        command = f"python -m tests.proof.races --rounds {asked.rounds} --duels {asked.duels}"
        command += f" --seed {asked.seed}"
        page.write("races", "Races over HTTP", command, lines)
    sys.exit(1 if wrong else 0)


async def _run(asked: argparse.Namespace) -> tuple[list[str], list[str]]:
    chance = Random(asked.seed)
    async with house(groups(4), apis=2, workers=2) as made:
        began_s = time.monotonic()
        played = await rounds.run(made, asked.rounds, chance)
        took_s = time.monotonic() - began_s
        if asked.history:
            rounds.keep(played, asked.history)
        scores = await duels.run(made, asked.duels, chance)
        async with made.owner() as owner:
            broken = await violations(owner)
        locked = await rounds.deadlocks(made)
    wrong = [f"{one.booking}: {text}" for one in played for text in one.wrong]
    wrong += [f"{name}: {text}" for name, score in scores.items() for text in score.wrong]
    wrong += [
        f"{name}: it ended in one way only, {asked.duels} times"
        for name, score in scores.items()
        if name.endswith("together") and asked.duels >= SURELY_BOTH and len(score.ends) < 2
    ]
    wrong += broken + [f"{locked} deadlocks"] * bool(locked)
    return list(_told(played, took_s, scores, locked, wrong)), wrong


def _told(played, took_s, scores, locked, wrong):
    took = sorted(
        (max(c.returned_s for c in one.accepts) - min(c.invoked_s for c in one.accepts)) * 1000
        for one in played
    )
    answers = rounds.answers(played)
    yield "Two `tekkie serve --api-only` and two `tekkie worker` on one PostgreSQL. Four friends"
    yield "are asked; each accepts twice at the same time, once through either process, over"
    yield "connections kept alive; then the winner accepts again."
    yield ""
    yield report.table(
        ("rounds", "accepts", "won", "lost", "unknown", "round p50", "p99", "rounds a second"),
        [
            (
                len(played),
                sum(len(one.accepts) for one in played),
                answers["won"],
                answers["lost"],
                answers["unknown"],
                f"{page.percentile(took, 0.5):.0f} ms",
                f"{page.percentile(took, 0.99):.0f} ms",
                f"{len(played) / took_s:.0f}",
            )
        ],
    )
    yield ""
    yield report.table(
        ("duel", "rounds", "how they ended", "not to be explained"),
        [
            (name, score.rounds, _ends(score.ends), len(score.wrong))
            for name, score in scores.items()
        ],
    )
    yield ""
    yield f"Deadlocks: {locked}. Violations: {len(wrong)}."
    yield from (f"- {text}" for text in wrong[:20])


def _ends(ends) -> str:
    return ", ".join(f"{state} {times}" for state, times in sorted(ends.items()))


if __name__ == "__main__":
    main()
