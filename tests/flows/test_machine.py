"""Every public command in any order, by anybody, at any time: all invariants hold after each step.

Hypothesis looks for a run that breaks one, and a seeded walk covers all steps, both on a real
database with a test clock. `python -m tests.proof.states` is the long walk.
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
from dispatch.flows.jobs import commands, companies, contacts, reviews, threads
from dispatch.flows.people import customers, friends
from dispatch.rules.policy import RankBy
from tests.architecture.source import ROOT
from tests.flows.steps import ALTERATIONS, BOOKING, RULES, UNFILLED, Bench, Run
from tests.flows.walk import OF_A_BOOKING, walk
from tests.proof import page, report

EXAMPLES = int(os.environ.get("TEKKIE_TEST_EXAMPLES", "8"))
STEPS = int(os.environ.get("TEKKIE_PROOF_STEPS", "720"))
SEED = int(os.environ.get("TEKKIE_PROOF_SEED", "1"))
# In a full walk, the minimum for each pair of steps and each action in each state.
OFTEN = 5
TESTS = ROOT / "tests"
# The step by which each command is run.
COMMANDS = {
    commands: {
        "book": "book",
        "confirm": "confirm",
        "accept": "accept",
        "decline": "decline",
        "confirm_contact": "confirm_contact",
        "schedule": "schedule",
        "mark_on_the_way": "leave",
        "take_back_on_the_way": "leave",
        "delay": "delay",
        "start": "work",
        "hand_back": "work",
        "complete": "finish",
        "mark_incomplete": "finish",
        "cancel": "desk",
        "renew_link": "desk",
        "redispatch": "desk",
        "award_by_hand": "desk",
        "report_no_call": "complain",
        "request_move": "complain",
        "contest": "object",
        "uphold": "object",
        "reopen": "object",
        "rate": "rate",
        "fire_due_timers": "sweep",
    },
    companies: dict.fromkeys(("accept", "decline", "reassign", "hand_back"), "dispatch"),
    contacts: {"answer_contest": "reach", "confirm_reached": "reach"},
    threads: {"write": "talk", "read": "talk"},
    reviews: dict.fromkeys(("review_customer", "reply", "report", "decide"), "review"),
    customers: {"add_favourite": "prefer", "remove_favourite": "prefer"},
    friends: {"set_state": "pause", **dict.fromkeys(ALTERATIONS, "alter")},
}
# Read only, the same transaction rolled back, or about the details of an account alone.
NO_COMMANDS = {
    *("read_for_desk", "profile", "import_rows", "seen_by", "open_reports"),
    *("details", "change", "favourites"),
}
# Modules whose functions change neither a job nor a friend who may be asked.
OTHER_MODULES = {
    *("batched_lookups", "bootstrap", "candidates", "desk", "execute", "group_commit"),
    *(
        "maintenance",
        "read_only",
        "jobs.callers",
        "jobs.orders",
        "jobs.replays",
        "partners.accounts",
    ),
    *("people.profile", "people.push_subscriptions", "people.sessions"),
    *("people.account_mails", "people.friend_edits", "people.passkeys"),
    *("places.coverage", "places.postcodes", "places.supply"),
    *("journal", "answers", "errands", "people.phone_numbers"),
    *("people.exam_statistics", "people.files", "people.review_requests"),
}
# Modules that change who may be asked, or for what, and the tests in which they do: the machine
# takes the same changes of friends as steps of `alter` and `pause`.
OF_OTHER_TESTS = {
    "catalogue": "flows/test_catalogue.py",
    "people.applications": "flows/test_applicants.py",
    "people.areas": "api/test_profile.py",
    "people.certificates": "flows/test_journal.py",
    "people.exams": "flows/test_exams.py",
    "people.friend_import": "api/test_desk_friends.py",
    "people.companies": "api/test_companies.py",
    "people.guardians": "flows/test_ages.py",
    "people.levels": "flows/test_levels.py",
    "people.rights": "api/test_rights.py",
}
# Of companies, too rare in a short walk: `api/test_companies.py` and `rules/test_companies.py`.
RARE = {"reassign", "return"}
# What every walk does, however short: each action of a job's life at least once.
LIFE = [
    *(
        "book",
        "confirm",
        "accept",
        "decline",
        "confirm_contact",
        "schedule",
        "mark_on_the_way",
        "start",
    ),
    *(
        "hand_back",
        "complete",
        "mark_incomplete",
        "cancel",
        "redispatch",
        "award_by_hand",
        "renew_link",
    ),
    *("report_no_call", "request_move", "delay", "take_back_on_the_way", "rate"),
    *("contest", "uphold", "reopen", "answer_contest", "refer", "confirm_reached"),
    *("write", "answer", "read"),
    *("review_customer", "reply", "report", "decide"),
    *("add_favourite", "remove_favourite", "ask_first"),
    *("assign", "refuse", "reassign", "return"),
]


def machine_of(bench: Bench, rank_by: RankBy) -> type[RuleBasedStateMachine]:
    """The steps as a rule-based state machine of hypothesis."""
    bookings = Bundle("bookings")

    @initialize(target=bookings, start=st.integers(0, UNFILLED))
    def begin(machine, start):
        machine.run = None
        machine.run = Run(bench, rank_by, start)
        return machine.run.bookings[0]

    def of(name, choices):
        def act(machine, **drawn):
            return machine.run.take(name, **drawn)

        act.__name__ = name
        drawn = {
            word: bookings if ones is BOOKING else st.sampled_from(ones)
            for word, ones in choices.items()
        }
        made = rule(**({"target": bookings} if name == "book" else {}), **drawn)(act)
        return precondition(lambda machine: machine.run.is_possible(name))(made)

    rules = {name: of(name, choices) for name, choices in RULES.items()}
    end = {"teardown": lambda machine: machine.run and machine.run.finish_run()}
    return type("Jobs", (RuleBasedStateMachine,), {"begin": begin, **rules, **end})


@pytest.fixture
def bench(server, template, tmp_path):
    made = Bench(server, template, tmp_path)
    yield made
    made.close()


@pytest.mark.parametrize("rank_by", RankBy)
def test_the_invariants_hold_after_any_sequence_of_steps(bench: Bench, rank_by: RankBy):
    run_state_machine_as_test(
        machine_of(bench, rank_by),
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=45,
            deadline=None,
            database=None,
            # Shrinking a run of 45 steps on a real database takes longer than reading it.
            phases=[Phase.generate],
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
    assert bench.steps.total() >= EXAMPLES


@pytest.mark.parametrize("rank_by", RankBy)
def test_a_seeded_walk_covers_all_steps_and_the_invariants_hold(bench: Bench, rank_by: RankBy):
    began_s = time.monotonic()
    walk(bench, rank_by, STEPS, SEED)
    if report.is_whole():
        write(bench, rank_by, time.monotonic() - began_s)
        assert min(pairs(bench)) >= OFTEN
        assert min(attempts(bench)) >= OFTEN
    assert [name for name in RULES if bench.steps[name] < 10] == []
    done = {action for action in LIFE if bench.seen[f"{action} done"]}
    assert set(LIFE) - done <= RARE
    assert {state for state, _ in bench.tried} == set(BookingState)


def test_every_command_on_jobs_and_friends_is_a_rule_of_the_machine():
    for module, steps in COMMANDS.items():
        public = {
            name
            for name, made in getmembers(module, iscoroutinefunction)
            if made.__module__ == module.__name__ and not name.startswith("_")
        }
        assert public - NO_COMMANDS == steps.keys(), module.__name__
        assert set(steps.values()) <= RULES.keys()
    prefix = f"{flows.__name__}."
    found = pkgutil.walk_packages(flows.__path__, prefix)
    modules = {one.name.removeprefix(prefix) for one in found if not one.ispkg}
    stepped = {one.__name__.removeprefix(prefix) for one in COMMANDS}
    assert modules == OTHER_MODULES | OF_OTHER_TESTS.keys() | stepped
    assert all((TESTS / name).is_file() for name in OF_OTHER_TESTS.values())


def pairs(bench: Bench) -> list[int]:
    """How often each step followed each other, and the start of a run."""
    return [bench.pairs[one, other] for one in ["begin", *RULES] for other in RULES]


def attempts(bench: Bench) -> list[int]:
    """How often each action was tried on a booking in each state."""
    return [bench.tried[state, action] for state in BookingState for action in OF_A_BOOKING]


WRITTEN: list[tuple[str, ...]] = []


def write(bench: Bench, rank_by: RankBy, took_s: float) -> None:
    """Add this walk to the section of docs/proof.md."""
    followed, tried = pairs(bench), attempts(bench)
    rarest = min(LIFE, key=lambda action: bench.seen[f"{action} done"])
    WRITTEN.append(
        (
            rank_by,
            f"{bench.steps.total():,}",
            f"{sum(times for what, times in bench.seen.items() if what.endswith('done')):,}",
            f"{sum(times for what, times in bench.seen.items() if 'refused' in what):,}",
            f"{sum(map(bool, followed))} of {len(followed)}, {min(followed)}",
            f"{sum(map(bool, tried))} of {len(tried)}, {min(tried)}",
            f"{rarest}, {bench.seen[f'{rarest} done']:,}",
            f"{took_s:.0f}",
        )
    )
    head = ("ranked by", "steps", "done", "refused", "pairs, the rarest")
    head = (*head, "action in a state, the rarest", "least often done", "seconds")
    lines = [
        "A seeded walk runs every public command of the flows on jobs and on friends, and",
        "moves the clock, on real PostgreSQL, in runs of up to five bookings; after every step",
        "every invariant of `tests/flows/invariants.py` is checked. A pair is one step straight",
        "after another, the start of a run included: how many of the possible ones occurred,",
        "and how often the rarest. Then each action on a booking in each state. Hypothesis adds",
        f"{EXAMPLES} runs of either kind. Invariants violated: 0.",
        "",
        report.table(head, WRITTEN),
    ]
    command = f"python -m tests.proof.states --steps {STEPS} --seed {SEED}"
    page.write("states", "Every command in every order", command, lines)
