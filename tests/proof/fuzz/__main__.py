"""python -m tests.proof.fuzz: generated requests by every kind of caller, with every check."""

import argparse
import asyncio
import sys
from collections import Counter
from collections.abc import Iterator, Sequence

from api.server.app import create_app
from dispatch.runtime import Runtime
from tests.flows.invariants import violations
from tests.proof import page, report
from tests.proof.fuzz import callers
from tests.proof.fuzz.attack import PHASES, Report, attack
from tests.proof.fuzz.callers import KINDS
from tests.proof.house import House, groups, house, service

JOBS_EACH = 12
MINUTES = 7.0


def main() -> None:
    """Run, say what was found, write it to docs/proof.md; exit code 1 when anything was wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.proof.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=MINUTES, help="shared by all callers")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--examples", type=int, default=25, help="of an operation, at a time")
    parser.add_argument("--callers", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--no-page", action="store_true", help="leave docs/proof.md as it is")
    asked = parser.parse_args()
    reports, broken = asyncio.run(_run(asked))
    lines = list(_told(reports, broken))
    sys.stdout.write("\n".join([*lines, ""]))
    if not asked.no_page:
        command = f"python -m tests.proof.fuzz --minutes {asked.minutes:g} --seed {asked.seed}"
        page.write("fuzz", "Generated requests", command, lines)
    sys.exit(1 if broken or any(one.failed for one in reports) else 0)


async def _run(asked: argparse.Namespace) -> tuple[list[Report], list[str]]:
    async with house(groups(len(asked.callers)), apis=1, workers=1, speed=None) as made:
        async with service(made) as rt:
            reports = await _attacked(made, rt, asked)
        async with made.owner() as owner:
            return reports, await violations(owner)


async def _attacked(made: House, rt: Runtime, asked: argparse.Namespace) -> list[Report]:
    document, reports = create_app().openapi(), []
    everybody = await callers.made(rt, asked.callers, asked.seed, JOBS_EACH)
    for group, caller in enumerate(everybody):
        ended = asyncio.Event()
        town = asyncio.create_task(callers.book_on(rt, caller, group, ended))
        reports.append(
            await asyncio.to_thread(
                attack,
                document,
                f"http://127.0.0.1:{made.apis[0].port}",
                caller,
                seed=asked.seed,
                examples=asked.examples,
                seconds=round(60 * asked.minutes / len(everybody)),
            )
        )
        ended.set()
        await town
    return reports


def _told(reports: Sequence[Report], broken: Sequence[str]) -> Iterator[str]:
    yield "schemathesis over the OpenAPI document against one `tekkie serve --api-only` and one"
    yield "`tekkie worker`, all its checks and one of ours (what the document allows is refused"
    yield "only for what no schema can say: 422 with another code than `validation-failed`, or a"
    yield "listed problem). Most generated ids are changed for ids that exist, the caller's own or"
    yield "another's, while bookings come and go."
    yield ""
    yield report.table(
        ("caller", *PHASES, "all", "asked", "granted", "by a link", "seconds", "findings"),
        [
            (
                one.kind,
                *(f"{one.cases[name]:,}" for name in PHASES),
                f"{one.cases.total():,}",
                f"{len(one.met)} of {one.operations}",
                len(one.granted),
                len(one.linked),
                f"{one.took_s:.0f}",
                len(one.failed),
            )
            for one in reports
        ],
    )
    yield ""
    yield "Asked: operations to which a request was sent. Granted: those which said 2xx at least"
    yield "once. By a link: those reached from another's answer in the stateful phase; a link from"
    yield "an answer that this caller is refused cannot be followed."
    yield ""
    followed = {name for one in reports for name in one.followed}
    times = sum(one.followed.total() for one in reports)
    reached = set().union(*(one.linked for one in reports))
    yield f"Links followed {times:,} times, {len(followed)} different ones of"
    yield f"{max(one.links for one in reports)} (declared and inferred); by all callers together"
    yield f"they reach {len(reached)} of {max(one.operations for one in reports)} operations."
    statuses: Counter[int] = Counter()
    for one in reports:
        statuses += one.statuses
    yield f"Answers: {dict(sorted(statuses.items()))}."
    yield ""
    failed = [said for one in reports for said in one.failed] + list(broken)
    yield f"**Findings: {len(failed)}** (of them broken promises of the database: {len(broken)})."
    yield from (f"- `{' '.join(said.split())[:600]}`" for said in failed[:30])


if __name__ == "__main__":
    main()
