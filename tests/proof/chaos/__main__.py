"""python -m tests.proof.chaos: kill, freeze and cut off processes, and count what was lost."""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from tests.proof import page, report
from tests.proof.chaos.checker import FiredDeadline
from tests.proof.chaos.run import SETTLES_WITHIN_S, Plan, RunResult, run

LATE = ("p50 late", "p99", "max")
CALM_GOAL_S = 2.0
AFTER_GOAL_S = 15.0
VERBS = ("book", "accept", "decline", "contacted", "complete", "hand-back", "cancel")


def main() -> None:
    """Run, print the findings, write docs/proof.md; exit code 1 when there was a violation."""
    parser = argparse.ArgumentParser(prog="python -m tests.proof.chaos", description=__doc__)
    parser.add_argument("--kills", type=int, default=1000, help="inject faults until so many kills")
    parser.add_argument("--seconds", type=float, help="inject faults for so long, instead")
    parser.add_argument("--calm", type=float, default=90.0, help="seconds without faults after")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--every", type=float, default=0.8, help="seconds between faults")
    parser.add_argument("--logs", type=Path, help="a folder to keep all logs in")
    parser.add_argument("--no-page", action="store_true", help="leave docs/proof.md as it is")
    arguments = parser.parse_args()
    plan = Plan(
        seed=arguments.seed,
        lasts_s=arguments.seconds or 0.0,
        kills=0 if arguments.seconds else arguments.kills,
        calm_s=arguments.calm,
        every_s=arguments.every,
        logs=arguments.logs,
        base=Path(tempfile.gettempdir()),
    )
    result = asyncio.run(run(plan))
    lines = list(describe(result))
    sys.stdout.write("\n".join([*lines, ""]))
    if not arguments.no_page:
        extent = (
            f"--seconds {arguments.seconds:g}"
            if arguments.seconds
            else f"--kills {arguments.kills}"
        )
        rest = f"--every {arguments.every:g} --seed {arguments.seed}"
        command = f"python -m tests.proof.chaos {extent} {rest}"
        page.write("chaos", "Chaos", command, lines)
    sys.exit(1 if result.violations else 0)


def describe(result: RunResult) -> Iterator[str]:
    """The result in Markdown."""
    plan, history = result.plan, result.history
    yield f"{plan.apis} `tekkie serve --api-only`, {plan.workers} `tekkie worker`, PostgreSQL with"
    yield "its durable default settings, every connection through a proxy. A test clock runs"
    yield f"{plan.speed:g} times as fast as real time: 12 hours take {43_200 / plan.speed:.0f} s,"
    yield f"an offer lives {3_600 / plan.speed:.1f} s. All seconds here are real seconds."
    yield ""
    yield report.table(("fault", "times"), sorted(result.faults.items()))
    yield ""
    each = zip(("API", "worker", "PostgreSQL"), result.kills, strict=True)
    yield f"{sum(result.faults.values())} faults in {result.lasted_s / 60:.0f} minutes, of them"
    yield f"{sum(result.kills)} `kill -9` ({', '.join(f'{who} {n}' for who, n in each)})."
    yield ""
    yield report.table(
        ("request", "acknowledged", "refused", "never answered", "tries"),
        [_count_requests(history.operations, verb) for verb in VERBS],
    )
    yield ""
    yield from _deadlines(result)
    yield from _flood(result)
    settled = "not" if result.settled_s is None else f"{result.settled_s:.1f} s"
    yield f"Settled after the last fault: {settled} (allowed {SETTLES_WITHIN_S:.0f} s). Deadlocks:"
    yield f"{result.deadlocks}. Answers: {dict(sorted(history.statuses.items()))}."
    yield ""
    yield f"**Violations: {len(result.violations)}.**"
    yield from (f"- {text}" for text in result.violations[:20])


def _count_requests(operations, verb):
    mine = [one for one in operations if one.verb == verb and one.who != "flood"]
    ok = sum(1 for one in mine if one.code == "ok")
    unknown = sum(1 for one in mine if one.code is None)
    return verb, ok, len(mine) - ok - unknown, unknown, sum(one.tries for one in mine)


def _deadlines(result: RunResult) -> Iterator[str]:
    found, since = result.findings, result.calm_from_s
    kinds = (("twelve hours for contact", found.contacts), ("offer", found.offers))
    calm = [(name, [one for one in all_ if one.due_s >= since]) for name, all_ in kinds]
    rough = [(name, [one for one in all_ if one.due_s < since]) for name, all_ in kinds]
    yield f"Deadlines due after the faults, in the {result.plan.calm_s:.0f} s and more once all had"
    yield "settled:"
    yield ""
    yield report.table(("deadline", "fired", *LATE), [_late(*one) for one in calm])
    yield ""
    yield from _goal(calm, 0.99, CALM_GOAL_S, "p99", lambda one: one.fired_s - one.due_s)
    yield ""
    yield "Deadlines due during the faults. “Late while available” counts all seconds between a"
    yield "deadline and its firing in which the service was available, before the next fault or"
    yield "after it: PostgreSQL accepts connections, its disk is not full, and at least one worker"
    yield "is ready, not frozen and not cut off by a black hole (sampled ten times a second). New"
    yield "connections, a slow network and the backlog are no excuse. The service was available"
    yield f"{result.availability.share():.0%} of the time."
    yield ""

    def available_s(one: FiredDeadline) -> float:
        return result.availability.available_s(one.due_s, one.fired_s)

    head = ("deadline", "fired", *LATE, "p50 late while available", *LATE[1:])
    yield report.table(head, [(*_late(*one), *_figures(map(available_s, one[1]))) for one in rough])
    yield ""
    yield from _goal(rough, 1.0, AFTER_GOAL_S, "at most", available_s)
    yield ""


def _late(name: str, all_: Sequence[FiredDeadline]) -> tuple[object, ...]:
    return name, len(all_), *_figures(one.fired_s - one.due_s for one in all_)


def _figures(late_s: Iterable[float]) -> tuple[str, ...]:
    late_s = list(late_s)
    figures = (page.percentile(late_s, 0.5), page.percentile(late_s, 0.99), max(late_s, default=0))
    return tuple(f"{value:.2f} s" for value in figures)


def _goal(
    kinds: Iterable[tuple[str, Sequence[FiredDeadline]]],
    share: float,
    goal_s: float,
    word: str,
    late_s: Callable[[FiredDeadline], float],
) -> Iterator[str]:
    over = []
    for name, all_ in kinds:
        over += [] if all_ else [f"no {name} fell due"]
        reached_s = page.percentile([late_s(one) for one in all_], share)
        over += [f"{name} {reached_s:.1f} s"] if reached_s > goal_s else []
    kept = f"**missed** ({', '.join(over)})" if over else "kept"
    yield f"Goal, {word} {goal_s:g} s: {kept}."


def _flood(result: RunResult) -> Iterator[str]:
    flood = result.flood
    if flood is None or not (flood.served or flood.shed):
        return
    yield f"Overload, {flood.clients} clients at once: {len(flood.served)} served (p99"
    yield f"{page.percentile(flood.served, 0.99):.2f} s), {len(flood.shed)} shed with 503 and"
    yield f"`Retry-After` (p50 {page.percentile(flood.shed, 0.5) * 1000:.0f} ms, p99"
    yield f"{page.percentile(flood.shed, 0.99) * 1000:.0f} ms), {flood.unanswered} not answered."
    yield ""


if __name__ == "__main__":
    main()
