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
from tests.proof.deployment import Deployment, connect_runtime, deploy, friend_groups
from tests.proof.fuzz import callers
from tests.proof.fuzz.attack import PHASES, Report, attack
from tests.proof.fuzz.callers import KINDS

JOBS_EACH = 12
MINUTES = 7.0


def main() -> None:
    """Run, print the findings, write docs/proof.md; exit code 1 when there was a violation."""
    parser = argparse.ArgumentParser(prog="python -m tests.proof.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=MINUTES, help="shared by all callers")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--examples", type=int, default=25, help="of an operation, at a time")
    parser.add_argument("--callers", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--no-page", action="store_true", help="leave docs/proof.md as it is")
    arguments = parser.parse_args()
    reports, violated = asyncio.run(_run(arguments))
    lines = list(_describe(reports, violated))
    sys.stdout.write("\n".join([*lines, ""]))
    if not arguments.no_page:
        command = (
            f"python -m tests.proof.fuzz --minutes {arguments.minutes:g} --seed {arguments.seed}"
        )
        page.write("fuzz", "Generated requests", command, lines)
    sys.exit(1 if violated or any(one.failures for one in reports) else 0)


async def _run(arguments: argparse.Namespace) -> tuple[list[Report], list[str]]:
    async with deploy(
        friend_groups(len(arguments.callers)), apis=1, workers=1, speed=None
    ) as deployment:
        async with connect_runtime(deployment) as rt:
            reports = await _attack_as_each(deployment, rt, arguments)
        async with deployment.owner() as owner:
            return reports, await violations(owner)


async def _attack_as_each(
    deployment: Deployment, rt: Runtime, arguments: argparse.Namespace
) -> list[Report]:
    document, reports = create_app().openapi(), []
    everybody = await callers.create_callers(rt, arguments.callers, arguments.seed, JOBS_EACH)
    for group, caller in enumerate(everybody):
        ended = asyncio.Event()
        bookings = asyncio.create_task(callers.keep_booking(rt, caller, group, ended))
        reports.append(
            await asyncio.to_thread(
                attack,
                document,
                f"http://127.0.0.1:{deployment.apis[0].port}",
                caller,
                seed=arguments.seed,
                examples=arguments.examples,
                seconds=round(60 * arguments.minutes / len(everybody)),
            )
        )
        ended.set()
        await bookings
    return reports


def _describe(reports: Sequence[Report], violated: Sequence[str]) -> Iterator[str]:
    yield "schemathesis over the OpenAPI document against one `tekkie serve --api-only` and one"
    yield "`tekkie worker`, with all its checks and one of ours: what the document allows is"
    yield "refused only for what no schema can express (422 with a code other than"
    yield "`validation-failed`, or a listed problem). Most generated ids are replaced by ids that"
    yield "exist, the caller's own or another's, while bookings come and go."
    yield ""
    yield report.table(
        ("caller", *PHASES, "all", "requested", "granted", "by a link", "seconds", "findings"),
        [
            (
                one.kind,
                *(f"{one.cases[name]:,}" for name in PHASES),
                f"{one.cases.total():,}",
                f"{len(one.requested)} of {one.operations}",
                len(one.granted),
                len(one.linked),
                f"{one.took_s:.0f}",
                len(one.failures),
            )
            for one in reports
        ],
    )
    yield ""
    yield "Requested: operations to which a request was sent. Granted: those that answered 2xx at"
    yield "least once. By a link: those reached from another's answer in the stateful phase; a link"
    yield "from an answer that this caller is refused cannot be followed."
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
    failures = [text for one in reports for text in one.failures] + list(violated)
    yield f"**Findings: {len(failures)}** (violated invariants of the database: {len(violated)})."
    yield from (f"- `{' '.join(text.split())[:600]}`" for text in failures[:30])


if __name__ == "__main__":
    main()
