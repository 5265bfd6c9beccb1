"""python -m tests.proof.migrations: migrate from release to release under load, and back."""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.proof import page, report
from tests.proof.migrations import releases
from tests.proof.migrations.latency import WaitSummary
from tests.proof.migrations.release_deployment import deploy_release
from tests.proof.migrations.run import Plan, UpgradeResult, run_upgrades

GOAL_S = 0.5


def main() -> None:
    """Run, print the findings, write docs/proof.md; exit code 1 when there was a violation."""
    parser = argparse.ArgumentParser(prog="python -m tests.proof.migrations", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=5.0, help="how long each pairing lasts")
    parser.add_argument("--copies", type=int, default=500, help="of each of 40 finished jobs")
    parser.add_argument("--no-page", action="store_true", help="leave docs/proof.md as it is")
    arguments = parser.parse_args()
    plan = Plan(seed=arguments.seed, each_s=arguments.seconds, copies=arguments.copies)
    try:
        result, names = asyncio.run(run(plan))
    except releases.NoHistory as error:
        sys.exit(str(error))
    lines = list(describe(result, names))
    sys.stdout.write("\n".join([*lines, ""]))
    if not arguments.no_page:
        command = f"python -m tests.proof.migrations --seed {arguments.seed}"
        page.write(
            "migrations", "Migrations under load, one release back and forth", command, lines
        )
    sys.exit(1 if result.violations else 0)


async def run(plan: Plan) -> tuple[UpgradeResult, list[str]]:
    """Unpack the releases and run the upgrades; returns a description of each release too."""
    old, new = releases.find_releases()
    kinds = tuple(releases.LATER)
    with tempfile.TemporaryDirectory(prefix="tekkie-releases-") as base:
        before = releases.unpack(old, "before", Path(base, "before"))
        now = releases.unpack(new, "now", Path(base, "now"))
        after = releases.make_later(now, "after", Path(base, "after"), kinds[:1])
        still_later = releases.make_later(now, "still later", Path(base, "still later"), kinds)
        names = [
            f"before: {old[:7]}, schema {before.files[-1]}",
            f"now: {new[:7]}, schema {now.files[-1]}",
            f"after: now with {', '.join(after.files[len(now.files) :])}",
            f"still later: now with {', '.join(still_later.files[len(now.files) :])}",
        ]
        async with deploy_release(
            before,
            friends=plan.friends,
            jobs=plan.jobs,
            copies=plan.copies,
            pause_s=plan.pause_s,
            seed=plan.seed,
        ) as deployment:
            return await run_upgrades(deployment, plan, (before, now, after, still_later)), names


def describe(result: UpgradeResult, names: list[str]) -> Iterator[str]:
    """The result in Markdown."""
    yield f"{result.stored:,} stored bookings; 2 `tekkie serve --api-only --no-migrate` and 2"
    yield "`tekkie worker --no-migrate`, each running its own release's code, while customers book"
    yield "and cancel and friends accept, decline, contact, complete and hand back."
    yield ""
    yield from (f"- {name}" for name in names)
    yield ""
    yield report.table(
        ("under load", "took", "requests", "503", "p50", "p99", "longest"),
        [_row(one) for one in result.migrations],
    )
    yield ""
    if result.pause_s is not None:
        yield "The previous release does not work on a newer schema, so it was stopped for the"
        yield "migration, as its own documentation says, and this one started:"
        yield f"{result.pause_s:.0f} s, in which clients retried until they were answered."
        yield ""
    over = [one for one in result.migrations if one.p99_s >= GOAL_S]
    kept = "kept" if not over else f"missed {len(over)} times"
    yield f"Goal of p99 under {GOAL_S * 1000:.0f} ms in each migration: {kept}. Requests without an"
    yield f"answer while one ran: {result.unanswered_then}. Output of the migrations:"
    yield ""
    yield from (f"    {line}" for line in result.output)
    yield ""
    yield report.table(
        ("schema", "APIs", "workers", "bookings", "requests", "503", "p50", "p99", "longest"),
        [
            (one.schema, one.apis, one.workers, f"{one.bookings:,}", *_row(one.waits)[2:])
            for one in result.pairings
        ],
    )
    yield ""
    yield report.table(("must not start", "message"), result.refusals)
    yield ""
    yield f"Requests cut off while APIs were replaced, retried and answered: {result.unanswered}."
    yield f"The schema migrated step by step equals a new one of the last release: {result.lines}"
    yield "catalogue rows compared."
    yield ""
    yield f"**Violations: {len(result.violations)}.**"
    yield from (f"- {text}" for text in result.violations[:20])


def _row(one: WaitSummary) -> tuple[str, ...]:
    times = (f"{value * 1000:.0f} ms" for value in (one.p50_s, one.p99_s, one.longest_s))
    return (one.what, f"{one.lasted_s:.1f} s", f"{one.requests:,}", str(one.busy), *times)


if __name__ == "__main__":
    main()
