"""Every public verb in any order, by anybody, at any time: after each step all promises hold.

Hypothesis looks for a story that breaks one, and a walk with a seed goes everywhere, both on a
real database with the clock in their hands. `python -m tests.proof.states` is the long walk.
"""

import os
import pkgutil
import time
from inspect import getmembers, iscoroutinefunction

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from data.enums import BookingState
from dispatch import flows
from dispatch.flows.jobs import commands
from dispatch.flows.people import friends
from dispatch.rules.policy import RankBy
from tests.flows.story import ALTERED, BOOKING, RULES, UNFILLED, Story, World
from tests.flows.walk import OF_A_BOOKING, walk
from tests.proof import page, report

EXAMPLES = int(os.environ.get("TEKKIE_TEST_EXAMPLES", "8"))
STEPS = int(os.environ.get("TEKKIE_PROOF_STEPS", "600"))
SEED = int(os.environ.get("TEKKIE_PROOF_SEED", "1"))
# Every pair of steps and every verb in every state, in a walk of full length.
OFTEN = 5
# The rule by which each verb is driven.
VERBS = {
    commands: {
        "book": "book",
        "accept": "accept",
        "decline": "decline",
        "contacted": "contacted",
        "agree": "agree",
        "on_the_way": "leave",
        "start": "work",
        "hand_back": "work",
        "complete": "finish",
        "give_up": "finish",
        "cancel": "desk",
        "redispatch": "desk",
        "award_by_hand": "desk",
        "not_called": "complain",
        "ask_move": "complain",
        "rate": "rate",
        "ring": "sweep",
    },
    friends: {"set_state": "pause", **dict.fromkeys(ALTERED, "alter")},
}
# Read only, or the same transaction rolled back.
NO_VERBS = {"profile", "try_in"}
# Whose verbs change no job and nobody who is asked.
APART = {
    *(
        "coverage",
        "deciding",
        "desk",
        "friend_files",
        "look_around",
        "lookups",
        "opening",
        "orders",
        "partners",
    ),
    *("phones", "places", "profile", "reading", "sessions", "together", "upkeep"),
}
# What every walk does, however short: each verb of a job's life at least once.
LIFE = [
    *("book", "accept", "decline", "contacted", "agree", "on_the_way", "start", "hand_back"),
    *("complete", "give_up", "cancel", "out", "by hand", "not called", "another time", "rate"),
]


def machine_of(world: World, rank_by: RankBy) -> type[RuleBasedStateMachine]:
    """The rules of a story as hypothesis wants them."""
    bookings = Bundle("bookings")

    @initialize(target=bookings, far=st.integers(0, UNFILLED))
    def begin(machine, far):
        machine.story = None
        machine.story = Story(world, rank_by, far)
        return machine.story.bookings[0]

    def of(name, choices):
        def act(machine, **drawn):
            return machine.story.tell(name, **drawn)

        act.__name__ = name
        drawn = {
            word: bookings if ones is BOOKING else st.sampled_from(ones)
            for word, ones in choices.items()
        }
        made = rule(**({"target": bookings} if name == "book" else {}), **drawn)(act)
        return precondition(lambda machine: machine.story.may(name))(made)

    rules = {name: of(name, choices) for name, choices in RULES.items()}
    end = {"teardown": lambda machine: machine.story and machine.story.end()}
    return type("Jobs", (RuleBasedStateMachine,), {"begin": begin, **rules, **end})


@pytest.fixture
def world(server, template, tmp_path):
    made = World(server, template, tmp_path)
    yield made
    made.close()


@pytest.mark.parametrize("rank_by", RankBy)
def test_the_invariants_hold_after_any_sequence_of_steps(world: World, rank_by: RankBy):
    run_state_machine_as_test(
        machine_of(world, rank_by),
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=45,
            deadline=None,
            database=None,
            # To shrink a story of 45 steps on a real database takes longer than to read it.
            phases=[Phase.generate],
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
    assert world.steps.total() >= EXAMPLES


@pytest.mark.parametrize("rank_by", RankBy)
def test_a_seeded_walk_covers_all_steps_and_the_invariants_hold(world: World, rank_by: RankBy):
    began_s = time.monotonic()
    walk(world, rank_by, STEPS, SEED)
    if report.is_whole():
        write(world, rank_by, time.monotonic() - began_s)
        assert min(pairs(world)) >= OFTEN
        assert min(met(world)) >= OFTEN
    assert [name for name in RULES if world.steps[name] < 10] == []
    assert [verb for verb in LIFE if not world.seen[f"{verb} done"]] == []
    assert {state for state, _ in world.met} == set(BookingState)


def test_every_command_on_jobs_and_friends_is_a_rule_of_the_machine():
    for module, verbs in VERBS.items():
        public = {
            name
            for name, made in getmembers(module, iscoroutinefunction)
            if made.__module__ == module.__name__ and not name.startswith("_")
        }
        assert public - NO_VERBS == verbs.keys(), module.__name__
        assert set(verbs.values()) <= RULES.keys()
    modules = {one.name for one in pkgutil.iter_modules(flows.__path__)}
    assert modules == APART | {module.__name__.rpartition(".")[2] for module in VERBS}


def pairs(world: World) -> list[int]:
    """How often each step followed each, and the beginning of a story."""
    return [world.pairs[one, other] for one in ["begin", *RULES] for other in RULES]


def met(world: World) -> list[int]:
    """How often each verb was tried on a booking in each state."""
    return [world.met[state, verb] for state in BookingState for verb in OF_A_BOOKING]


WRITTEN: list[tuple[str, ...]] = []


def write(world: World, rank_by: RankBy, took_s: float) -> None:
    """Add this walk to the section of docs/proof.md."""
    followed, tried = pairs(world), met(world)
    rarest = min(LIFE, key=lambda verb: world.seen[f"{verb} done"])
    WRITTEN.append(
        (
            rank_by,
            f"{world.steps.total():,}",
            f"{sum(times for what, times in world.seen.items() if what.endswith('done')):,}",
            f"{sum(times for what, times in world.seen.items() if 'refused' in what):,}",
            f"{sum(map(bool, followed))} of {len(followed)}, {min(followed)}",
            f"{sum(map(bool, tried))} of {len(tried)}, {min(tried)}",
            f"{rarest}, {world.seen[f'{rarest} done']:,}",
            f"{took_s:.0f}",
        )
    )
    head = ("ranked by", "steps", "done", "refused", "pairs, the rarest")
    head = (*head, "verb in a state, the rarest", "least often done", "seconds")
    lines = [
        "A walk with a seed takes every public verb of the flows on jobs and on friends,",
        "and moves the clock, on real PostgreSQL, in stories of up to five bookings; after every",
        "step every promise of `tests/flows/invariants.py` is asked. A pair is one step straight",
        "after another, the beginning of a story among them: how many of those that can follow",
        "did, and how often the rarest. Then each verb on a booking in each state. Hypothesis",
        f"tells {EXAMPLES} stories more of either kind. Promises broken: 0.",
        "",
        report.table(head, WRITTEN),
    ]
    command = f"python -m tests.proof.states --steps {STEPS} --seed {SEED}"
    page.write("states", "Every verb in every order", command, lines)
