"""python -m tests.proof.chaos: kill, freeze and cut whatever there is, and count what was lost."""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from tests.proof import page, report
from tests.proof.chaos.checker import Rung
from tests.proof.chaos.run import SETTLES_WITHIN_S, Plan, Story, run

LATE = ("p50 late", "p99", "max")
CALM_GOAL_S = 2.0
AFTER_GOAL_S = 15.0
VERBS = ("book", "accept", "decline", "contacted", "complete", "hand-back", "cancel")


def main() -> None:
    """Run, say what was found, write it to docs/proof.md; exit code 1 when anything was wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.proof.chaos", description=__doc__)
    parser.add_argument("--kills", type=int, default=1000, help="break things until so many")
    parser.add_argument("--seconds", type=float, help="break things for so long, instead")
    parser.add_argument("--calm", type=float, default=90.0, help="seconds without faults after")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--every", type=float, default=0.8, help="seconds between faults")
    parser.add_argument("--logs", type=Path, help="a folder to keep everybody's log in")
    parser.add_argument("--no-page", action="store_true", help="leave docs/proof.md as it is")
    asked = parser.parse_args()
    plan = Plan(
        seed=asked.seed,
        lasts_s=asked.seconds or 0.0,
        kills=0 if asked.seconds else asked.kills,
        calm_s=asked.calm,
        every_s=asked.every,
        logs=asked.logs,
        base=Path(tempfile.gettempdir()),
    )
    story = asyncio.run(run(plan))
    lines = list(told(story))
    sys.stdout.write("\n".join([*lines, ""]))
    if not asked.no_page:
        extent = f"--seconds {asked.seconds:g}" if asked.seconds else f"--kills {asked.kills}"
        command = (
            f"python -m tests.proof.chaos {extent} --every {asked.every:g} --seed {asked.seed}"
        )
        page.write("chaos", "Chaos", command, lines)
    sys.exit(1 if story.wrong else 0)


def told(story: Story) -> Iterator[str]:
    """A story in Markdown."""
    plan, ledger = story.plan, story.ledger
    yield f"{plan.apis} `tekkie serve --api-only`, {plan.workers} `tekkie worker`, PostgreSQL as"
    yield "its own settings make it (durable), every connection through a proxy. A test clock runs"
    yield f"{plan.speed:g} times as fast as real time: 12 hours take {43_200 / plan.speed:.0f} s,"
    yield f"an offer lives {3_600 / plan.speed:.1f} s. All seconds here are real ones."
    yield ""
    yield report.table(("fault", "times"), sorted(story.faults.items()))
    yield ""
    each = zip(("API", "worker", "PostgreSQL"), story.kills, strict=True)
    yield f"{sum(story.faults.values())} faults in {story.lasted_s / 60:.0f} minutes, of them"
    yield f"{sum(story.kills)} `kill -9` ({', '.join(f'{who} {n}' for who, n in each)})."
    yield ""
    yield report.table(
        ("request", "acknowledged", "refused", "never answered", "tries"),
        [_asked(ledger.entries, verb) for verb in VERBS],
    )
    yield ""
    yield from _deadlines(story)
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


def _deadlines(story: Story) -> Iterator[str]:
    found, since = story.found, story.calm_from_s
    kinds = (("twelve hours for contact", found.contacts), ("offer", found.offers))
    calm = [(name, [one for one in all_ if one.due_s >= since]) for name, all_ in kinds]
    rough = [(name, [one for one in all_ if one.due_s < since]) for name, all_ in kinds]
    yield f"Deadlines due in calm, the {story.plan.calm_s:.0f} s and more after all had settled:"
    yield ""
    yield report.table(("deadline", "rung", *LATE), [_late(*one) for one in calm])
    yield ""
    yield from _goal(calm, 0.99, CALM_GOAL_S, "p99", lambda one: one.rung_s - one.due_s)
    yield ""
    yield "Deadlines due while things were broken. “Late though able” counts all seconds between"
    yield "a deadline and its ringing in which somebody could act, before the next fault or after"
    yield "it: PostgreSQL lets callers in, its disk is not full, and one worker at least is at"
    yield "work, not frozen and not cut off by a black hole (looked at ten times a second). New"
    yield "connections, a slow network and what has piled up are no excuse. Somebody could act"
    yield f"{story.ability.share():.0%} of the time."
    yield ""

    def able(one: Rung) -> float:
        return story.ability.able_s(one.due_s, one.rung_s)

    head = ("deadline", "rung", *LATE, "p50 late though able", *LATE[1:])
    yield report.table(head, [(*_late(*one), *_figures(map(able, one[1]))) for one in rough])
    yield ""
    yield from _goal(rough, 1.0, AFTER_GOAL_S, "at most", able)
    yield ""


def _late(name: str, all_: Sequence[Rung]) -> tuple[object, ...]:
    return name, len(all_), *_figures(one.rung_s - one.due_s for one in all_)


def _figures(late_s: Iterable[float]) -> tuple[str, ...]:
    late_s = list(late_s)
    figures = (page.percentile(late_s, 0.5), page.percentile(late_s, 0.99), max(late_s, default=0))
    return tuple(f"{value:.2f} s" for value in figures)


def _goal(
    kinds: Iterable[tuple[str, Sequence[Rung]]],
    share: float,
    goal_s: float,
    word: str,
    late_s: Callable[[Rung], float],
) -> Iterator[str]:
    over = []
    for name, all_ in kinds:
        over += [] if all_ else [f"no {name} fell due"]
        reached_s = page.percentile([late_s(one) for one in all_], share)
        over += [f"{name} {reached_s:.1f} s"] if reached_s > goal_s else []
    kept = f"**missed** ({', '.join(over)})" if over else "kept"
    yield f"Goal, {word} {goal_s:g} s: {kept}."


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
