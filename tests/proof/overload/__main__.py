"""python -m tests.proof.overload: twice as many bookings as can be served, on one API process."""

import argparse
import asyncio
import sys
from collections.abc import Iterator, Sequence

from tests.proof import page, report
from tests.proof.overload.generator import CLIENTS_MAX, NOT_SENT, Answer
from tests.proof.overload.run import Extent, OverloadResult, run, served, shed

REFUSED_GOAL_S = 0.05


def main() -> None:
    """Run, print the findings, write docs/proof.md; exit code 1 when there was a violation."""
    parser = argparse.ArgumentParser(prog="python -m tests.proof.overload", description=__doc__)
    parser.add_argument("--friends", type=int, default=Extent().friends)
    parser.add_argument("--no-page", action="store_true", help="leave docs/proof.md as it is")
    arguments = parser.parse_args()
    result = asyncio.run(run(Extent(friends=arguments.friends)))
    lines = list(describe(result))
    sys.stdout.write("\n".join([*lines, ""]))
    if not arguments.no_page:
        command = f"python -m tests.proof.overload --friends {arguments.friends}"
        page.write("overload", "Overload", command, lines)
    sys.exit(1 if result.violations else 0)


def describe(result: OverloadResult) -> Iterator[str]:
    """The result in Markdown."""
    yield "One `tekkie serve --api-only`, one `tekkie worker`, PostgreSQL, and a generator of"
    yield "bookings in a separate process, which sends at fixed moments whatever the server does."
    yield "They share the cores of this machine: what the generator takes, the server lacks."
    yield ""
    yield f"Capacity: {result.capacity:.0f} bookings a second."
    yield ""
    rows = [
        ("70 % of it, before", result.calm),
        ("twice as many", result.over),
        ("70 % of it, after", result.after),
    ]
    head = ("load", "sent", "served", "p50", "p99", "503", "p50", "p99", "not sent")
    yield report.table(head, [_row(name, answers) for name, answers in rows])
    yield ""
    lost = sum(1 for one in [*result.calm, *result.over, *result.after] if one.status == 0)
    yield f"Not sent: {CLIENTS_MAX:,} clients were waiting already. Never answered: {lost}."
    yield ""
    probes = shed(result.probes)
    refused_s = [one.took_s for one in probes]
    p50_s, p99_s = (page.percentile(refused_s, share) for share in (0.5, 0.99))
    yield f"A single client beside the flood was shed {len(probes)} times: p50"
    yield f"{p50_s * 1000:.0f} ms, p99 {p99_s * 1000:.0f} ms. Every refusal carries `Retry-After`."
    flood_s = page.percentile([one.took_s for one in shed(result.over)], 0.5)
    kept = "kept" if flood_s <= REFUSED_GOAL_S else "**missed**"
    yield f"Goal, refused within {REFUSED_GOAL_S * 1000:.0f} ms (p50): {kept}."
    yield ""
    late = [page.percentile(result.late_s, share) for share in (0.5, 0.99)]
    yield f"{len(result.late_s)} offers expired meanwhile; their timers fired p50 {late[0]:.2f} s"
    yield f"late, p99 {late[1]:.2f} s. {result.unfilled} bookings found nobody free."
    back = "not in time" if result.recovered_s is None else f"after {result.recovered_s:.1f} s"
    yield f"Recovered {back}: from then on all are served, the p99 of every second at most twice"
    yield "what it was before plus 0.1 s."
    yield ""
    yield f"**Violations: {len(result.violations)}.**"
    yield from (f"- {text}" for text in result.violations[:20])


def _row(name: str, answers: Sequence[Answer]) -> tuple[object, ...]:
    not_sent = sum(1 for one in answers if one.status == NOT_SENT)
    sent = len(answers) - not_sent
    return name, sent, *_latencies(served(answers)), *_latencies(shed(answers)), not_sent


def _latencies(answers: Sequence[Answer]) -> tuple[object, ...]:
    took_s = [one.took_s for one in answers]
    figures = (page.percentile(took_s, share) for share in (0.5, 0.99))
    return len(answers), *(f"{value * 1000:.0f} ms" if answers else "" for value in figures)


if __name__ == "__main__":
    main()
