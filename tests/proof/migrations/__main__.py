"""python -m tests.proof.migrations: from release to release while everybody works, and back."""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.proof import page, report
from tests.proof.migrations import releases
from tests.proof.migrations.pace import Waited
from tests.proof.migrations.run import Plan, Story, travel
from tests.proof.migrations.town import town

GOAL_S = 0.5


def main() -> None:
    """Run, say what was found, write it to docs/proof.md; exit code 1 when anything was wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.proof.migrations", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=5.0, help="how long each pairing lasts")
    parser.add_argument("--copies", type=int, default=500, help="of each of 40 finished jobs")
    parser.add_argument("--no-page", action="store_true", help="leave docs/proof.md as it is")
    asked = parser.parse_args()
    plan = Plan(seed=asked.seed, each_s=asked.seconds, copies=asked.copies)
    try:
        story, names = asyncio.run(run(plan))
    except releases.NoHistory as error:
        sys.exit(str(error))
    lines = list(told(story, names))
    sys.stdout.write("\n".join([*lines, ""]))
    if not asked.no_page:
        command = f"python -m tests.proof.migrations --seed {asked.seed}"
        page.write(
            "migrations", "Migrations under load, one release back and forth", command, lines
        )
    sys.exit(1 if story.wrong else 0)


async def run(plan: Plan) -> tuple[Story, list[str]]:
    """Unpack the releases and live through them; returns what each of them is, too."""
    old, new = releases.before_and_now()
    kinds = tuple(releases.LATER)
    with tempfile.TemporaryDirectory(prefix="tekkie-releases-") as base:
        before = releases.unpacked(old, "before", Path(base, "before"))
        now = releases.unpacked(new, "now", Path(base, "now"))
        after = releases.later(now, "after", Path(base, "after"), kinds[:1])
        still_later = releases.later(now, "still later", Path(base, "still later"), kinds)
        names = [
            f"before: {old[:7]}, schema {before.files[-1]}",
            f"now: {new[:7]}, schema {now.files[-1]}",
            f"after: now with {', '.join(after.files[len(now.files) :])}",
            f"still later: now with {', '.join(still_later.files[len(now.files) :])}",
        ]
        async with town(
            before,
            friends=plan.friends,
            jobs=plan.jobs,
            copies=plan.copies,
            pause_s=plan.pause_s,
            seed=plan.seed,
        ) as made:
            return await travel(made, plan, (before, now, after, still_later)), names


def told(story: Story, names: list[str]) -> Iterator[str]:
    """A story in Markdown."""
    yield f"{story.stored:,} stored bookings; 2 `tekkie serve --api-only --no-migrate` and 2"
    yield "`tekkie worker --no-migrate`, each of its own release's code; customers book and cancel,"
    yield "friends accept, decline, contact, complete and hand back all the time."
    yield ""
    yield from (f"- {name}" for name in names)
    yield ""
    yield report.table(
        ("while everybody works", "took", "requests", "told 503", "p50", "p99", "longest"),
        [_row(one) for one in story.migrations],
    )
    yield ""
    if story.pause_s is not None:
        yield "The release before cannot work on a newer schema yet, so it was stopped for the"
        yield "migration, as its own handbook says, and this one started:"
        yield f"{story.pause_s:.0f} s, in which everybody repeated his requests until they were"
        yield "answered."
        yield ""
    over = [one for one in story.migrations if one.p99_s >= GOAL_S]
    kept = "kept" if not over else f"missed {len(over)} times"
    yield f"Goal of p99 under {GOAL_S * 1000:.0f} ms in each migration: {kept}. Requests without an"
    yield f"answer while one ran: {story.unanswered_then}. The migrators said:"
    yield ""
    yield from (f"    {line}" for line in story.said)
    yield ""
    yield report.table(
        ("schema", "APIs", "workers", "bookings", "requests", "told 503", "p50", "p99", "longest"),
        [
            (one.schema, one.apis, one.workers, f"{one.bookings:,}", *_row(one.waited)[2:])
            for one in story.pairings
        ],
    )
    yield ""
    yield report.table(("must not start", "says"), story.refusals)
    yield ""
    yield f"Requests cut off while APIs were replaced, repeated and answered: {story.unanswered}."
    yield f"Schema reached step by step and a new one by the last release: {story.lines} catalogue"
    yield "rows each, compared one by one."
    yield ""
    yield f"**Violations: {len(story.wrong)}.**"
    yield from (f"- {text}" for text in story.wrong[:20])


def _row(one: Waited) -> tuple[str, ...]:
    times = (f"{value * 1000:.0f} ms" for value in (one.p50_s, one.p99_s, one.longest_s))
    return (one.what, f"{one.lasted_s:.1f} s", f"{one.requests:,}", str(one.busy), *times)


if __name__ == "__main__":
    main()
