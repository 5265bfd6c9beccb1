"""A seeded walk over the steps of a run: common next steps, and rare ones.

Hypothesis looks for odd sequences and repeats similar ones; a walk covers everything. One step in
three leads its booking on, one is the step that most rarely followed the one before, and one is the
action that was most rarely tried on a booking in this state.
"""

from collections.abc import Iterator, Mapping, Sequence
from random import Random
from typing import Any

from data.enums import BookingState
from dispatch.rules.policy import RankBy
from tests.flows.steps import BOOKING, RULES, UNFILLED, Bench, Run, action_of

LENGTH = 45
# The steps that lead a booking on, by its state.
ONWARD: Mapping[str, Sequence[str]] = {
    BookingState.UNCONFIRMED: ("confirm", "confirm", "confirm", "sweep"),
    BookingState.OPEN: (
        "accept",
        "all_accept_at_once",
        "decline",
        "assign",
        "refuse",
        "award_by_hand",
    ),
    BookingState.UNFILLED: ("active", "redispatch", "award_by_hand", "sweep"),
    BookingState.AWARDED: (
        *("confirm_contact", "confirm_contact", "reassign", "report_no_call"),
        "write",
    ),
    BookingState.CONTACTED: (
        *("schedule", "schedule", "schedule", "start"),
        *("report_no_call", "answer_contest", "refer", "confirm_reached"),
    ),
    BookingState.SCHEDULED: ("request_move", "delay", "reassign", "mark_on_the_way", "start"),
    BookingState.UNDER_WAY: ("complete", "mark_incomplete", "hand_back"),
    BookingState.COMPLETED: (
        *("rate", "book", "book", "uphold", "reopen", "reopen"),
        *("add_favourite", "remove_favourite", "reply", "report", "decide"),
    ),
    BookingState.INCOMPLETE: ("redispatch", "award_by_hand"),
    BookingState.CANCELLED: ("book", "sweep"),
}


def _actions() -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for name, choices in RULES.items():
        word = next((word for word in ("action", "word") if word in choices), None)
        for given in [{word: one} for one in choices[word]] if word else [{}]:
            yield action_of(name, given), name, given


# The step of each action, and the argument that selects the action.
ACTIONS = {action: (name, given) for action, name, given in _actions()}
OF_A_BOOKING = [action for action, (name, _) in ACTIONS.items() if "booking" in RULES[name]]


def walk(bench: Bench, rank_by: RankBy, steps: int, seed: int) -> None:
    """Take so many steps in runs of LENGTH; a failure notes the seed and the steps."""
    chance = Random(seed)
    for number, done in enumerate(range(0, steps, LENGTH)):
        length = min(LENGTH, steps - done)
        # The starting states alternate, so that a short walk covers them all.
        run = Run(bench, rank_by, (number + seed) % (UNFILLED + 1))
        try:
            for _ in range(length):
                booking = chance.choice(run.bookings)
                name, given = _next(run, booking, chance)
                run.take(name, **(_arguments(name, booking, chance) | given))
            run.finish_run()
        except BaseException as error:
            error.add_note("\n".join([f"seed {seed}:", *run.log]))
            raise


def _next(run: Run, booking: Any, chance: Random) -> tuple[str, Mapping[str, Any]]:
    bench, state = run.bench, run.state(booking)
    match chance.randrange(3):
        case 0:
            action = chance.choice(ONWARD[state])
            return ACTIONS[action if run.is_possible(ACTIONS[action][0]) else "sweep"]
        case 1:
            possible = [name for name in RULES if run.is_possible(name)]
            pairs = bench.pairs
            return min(possible, key=lambda name: (pairs[run.before, name], chance.random())), {}
        case _:
            tried = bench.tried
            action = min(OF_A_BOOKING, key=lambda action: (tried[state, action], chance.random()))
            return ACTIONS[action]


def _arguments(name: str, booking: Any, chance: Random) -> dict[str, Any]:
    return {
        word: booking if choices is BOOKING else chance.choice(choices)
        for word, choices in RULES[name].items()
    }
