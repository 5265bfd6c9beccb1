"""python -m tests.proof.overload: twice as many bookings as can be served, on one API process."""

import argparse
import asyncio
import sys
from collections.abc import Iterator, Sequence

from tests.proof import page, report
from tests.proof.overload.generator import CALLERS_MAX, UNASKED, Answer
from tests.proof.overload.run import Extent, Story, run, served, shed

REFUSED_GOAL_S = 0.05


def main() -> None:
    """Run, say what was found, write it to docs/proof.md; exit code 1 when anything was wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.proof.overload", description=__doc__)
    parser.add_argument("--friends", type=int, default=Extent().friends)
    parser.add_argument("--no-page", action="store_true", help="leave docs/proof.md as it is")
    asked = parser.parse_args()
    story = asyncio.run(run(Extent(friends=asked.friends)))
    lines = list(told(story))
    sys.stdout.write("\n".join([*lines, ""]))
    if not asked.no_page:
        command = f"python -m tests.proof.overload --friends {asked.friends}"
        page.write("overload", "Overload", command, lines)
    sys.exit(1 if story.wrong else 0)


def told(story: Story) -> Iterator[str]:
    """A story in Markdown."""
    yield "One `tekkie serve --api-only`, one `tekkie worker`, PostgreSQL, and a generator of"
    yield "bookings in a process of its own, at fixed moments whatever the server does. They share"
    yield "the cores of this machine: what the generator takes, the server has not."
    yield ""
    yield f"Capacity: {story.capacity:.0f} bookings a second."
    yield ""
    rows = [
        ("70 % of it, before", story.calm),
        ("twice as many", story.over),
        ("70 % of it, after", story.after),
    ]
    head = ("load", "asked", "served", "p50", "p99", "told 503", "p50", "p99", "unasked")
    yield report.table(head, [_row(name, said) for name, said in rows])
    yield ""
    lost = sum(1 for one in [*story.calm, *story.over, *story.after] if one.status == 0)
    yield f"Unasked: {CALLERS_MAX:,} callers waited already. Asked and never answered: {lost}."
    yield ""
    seen = shed(story.seen)
    refused_s = [one.took_s for one in seen]
    p50_s, p99_s = (page.percentile(refused_s, share) for share in (0.5, 0.99))
    yield f"One quiet caller beside the flood was turned away {len(seen)} times: p50"
    yield f"{p50_s * 1000:.0f} ms, p99 {p99_s * 1000:.0f} ms. Every refusal says `Retry-After`."
    flood_s = page.percentile([one.took_s for one in shed(story.over)], 0.5)
    kept = "kept" if flood_s <= REFUSED_GOAL_S else "**missed**"
    yield f"Goal, refused within {REFUSED_GOAL_S * 1000:.0f} ms (p50): {kept}."
    yield ""
    late = [page.percentile(story.late_s, share) for share in (0.5, 0.99)]
    yield f"{len(story.late_s)} offers that expired meanwhile were rung by the worker: p50"
    yield f"{late[0]:.2f} s late, p99 {late[1]:.2f} s. {story.unfilled} bookings found nobody free."
    back = "not in time" if story.normal_s is None else f"after {story.normal_s:.1f} s"
    yield f"Back to normal {back}: from then on all are served, the p99 of every second at most"
    yield "twice what it was before and 0.1 s more."
    yield ""
    yield f"**Violations: {len(story.wrong)}.**"
    yield from (f"- {text}" for text in story.wrong[:20])


def _row(name: str, said: Sequence[Answer]) -> tuple[object, ...]:
    unasked = sum(1 for one in said if one.status == UNASKED)
    return name, len(said) - unasked, *_taken(served(said)), *_taken(shed(said)), unasked


def _taken(said: Sequence[Answer]) -> tuple[object, ...]:
    took_s = [one.took_s for one in said]
    figures = (page.percentile(took_s, share) for share in (0.5, 0.99))
    return len(said), *(f"{value * 1000:.0f} ms" if said else "" for value in figures)


if __name__ == "__main__":
    main()
