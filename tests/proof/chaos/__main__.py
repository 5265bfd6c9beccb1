"""python -m tests.proof.chaos: kill, freeze and cut whatever there is, and count what was lost."""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.proof import page, report
from tests.proof.chaos.run import SETTLES_WITHIN_S, Plan, Story, run

VERBS = ("book", "accept", "decline", "contacted", "complete", "hand-back", "cancel")


def main() -> None:
    """Run, say what was found, write it to docs/proof.md; exit code 1 when anything was wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.proof.chaos", description=__doc__)
    parser.add_argument("--seconds", type=float, default=180.0)
    parser.add_argument("--kills", type=int, default=0, help="run until so many, instead")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--every", type=float, default=1.8, help="seconds between faults")
    parser.add_argument("--logs", type=Path, help="a folder to keep everybody's log in")
    parser.add_argument("--no-page", action="store_true", help="leave docs/proof.md as it is")
    asked = parser.parse_args()
    plan = Plan(
        seed=asked.seed,
        lasts_s=asked.seconds,
        kills=asked.kills,
        every_s=asked.every,
        logs=asked.logs,
        base=Path(tempfile.gettempdir()),
    )
    story = asyncio.run(run(plan))
    lines = list(told(story))
    sys.stdout.write("\n".join([*lines, ""]))
    if not asked.no_page:
        extent = f"--kills {asked.kills}" if asked.kills else f"--seconds {asked.seconds:g}"
        command = (
            f"python -m tests.proof.chaos {extent} --every {asked.every:g} --seed {asked.seed}"
        )
        page.write("chaos", "Chaos", command, lines)
    sys.exit(1 if story.wrong else 0)


def told(story: Story) -> Iterator[str]:
    """A story in Markdown."""
    plan, ledger, found = story.plan, story.ledger, story.found
    yield f"{plan.apis} `tekkie serve --api-only`, {plan.workers} `tekkie worker`, PostgreSQL as"
    yield "its own settings make it (durable), every connection through a proxy. A test clock runs"
    yield f"{plan.speed:g} times as fast as real time: 12 hours take {43_200 / plan.speed:.0f} s,"
    yield f"an offer lives {3_600 / plan.speed:.1f} s. All seconds here are real ones."
    yield ""
    yield report.table(("fault", "times"), sorted(story.faults.items()))
    yield ""
    yield f"{sum(story.faults.values())} faults in {story.lasted_s:.0f} s, {story.kills} of them"
    yield "`kill -9`."
    yield ""
    yield report.table(
        ("request", "acknowledged", "refused", "never answered", "tries"),
        [_asked(ledger.entries, verb) for verb in VERBS],
    )
    yield ""
    yield report.table(
        ("deadline", "rung", "p50 late", "p99", "max"),
        [_late("twelve hours for contact", found.late_s), _late("offer", found.late_offers_s)],
    )
    yield ""
    yield from _flood(story)
    settled = "not" if story.settled_s is None else f"{story.settled_s:.1f} s"
    yield f"Settled after the last fault: {settled} (allowed {SETTLES_WITHIN_S:.0f} s). Deadlocks:"
    yield f"{story.deadlocks}. Answers: {dict(sorted(ledger.statuses.items()))}."
    yield ""
    yield f"**Violations: {len(story.wrong)}.**"
    yield from (f"- {text}" for text in story.wrong[:20])


def _asked(entries, verb):
    mine = [one for one in entries if one.verb == verb and one.who != "flood"]
    ok = sum(1 for one in mine if one.code == "ok")
    unknown = sum(1 for one in mine if one.code is None)
    return verb, ok, len(mine) - ok - unknown, unknown, sum(one.tries for one in mine)


def _late(name, late_s):
    figures = (page.percentile(late_s, 0.5), page.percentile(late_s, 0.99), max(late_s, default=0))
    return name, len(late_s), *(f"{value:.2f} s" for value in figures)


def _flood(story: Story) -> Iterator[str]:
    flood = story.flood
    if flood is None or not (flood.served or flood.shed):
        return
    yield f"Overload, {flood.callers} callers at once: {len(flood.served)} served (p99"
    yield f"{page.percentile(flood.served, 0.99):.2f} s), {len(flood.shed)} told 503 with"
    yield f"`Retry-After` (p50 {page.percentile(flood.shed, 0.5) * 1000:.0f} ms, p99"
    yield f"{page.percentile(flood.shed, 0.99) * 1000:.0f} ms), {flood.unanswered} not answered."
    yield ""


if __name__ == "__main__":
    main()
