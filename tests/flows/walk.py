"""A walk with a seed over the steps of a story: what leads on more often, and what was seldom.

Hypothesis looks for what is odd and tells much alike; a walk goes everywhere. Of three steps one
leads its booking on, one follows as seldom a step has followed the one before, and one is what
seldom happened to a booking in this state.
"""

from collections.abc import Iterator, Mapping, Sequence
from random import Random
from typing import Any

from data.enums import BookingState
from dispatch.rules.policy import RankBy
from tests.flows.story import BOOKING, RULES, UNFILLED, Story, World, verb_of

LENGTH = 45
# What leads a booking on, by its state.
ONWARD: Mapping[str, Sequence[str]] = {
    BookingState.OPEN: ("accept", "accept", "all_accept_at_once", "decline", "by hand"),
    BookingState.UNFILLED: ("active", "out", "by hand", "sweep"),
    BookingState.AWARDED: ("contacted", "contacted", "not called"),
    BookingState.CONTACTED: ("agree", "agree", "agree", "start"),
    BookingState.SCHEDULED: ("another time", "another time", "leave", "start"),
    BookingState.UNDER_WAY: ("complete", "give_up", "hand_back"),
    BookingState.COMPLETED: ("rate", "book"),
    BookingState.INCOMPLETE: ("out", "by hand"),
    BookingState.CANCELLED: ("book", "sweep"),
}


def _verbs() -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for name, choices in RULES.items():
        word = next((word for word in ("verb", "word") if word in choices), None)
        for said in [{word: one} for one in choices[word]] if word else [{}]:
            yield verb_of(name, said), name, said


# The step by which each verb is done, and the word that this step is told with.
VERBS = {verb: (name, said) for verb, name, said in _verbs()}
OF_A_BOOKING = [verb for verb, (name, _) in VERBS.items() if "booking" in RULES[name]]


def walk(world: World, rank_by: RankBy, steps: int, seed: int) -> None:
    """Take so many steps in stories of LENGTH; a failure says with which seed and what was told."""
    chance = Random(seed)
    for number, done in enumerate(range(0, steps, LENGTH)):
        length = min(LENGTH, steps - done)
        # The beginnings take turns, so that a short walk too has been everywhere.
        story = Story(world, rank_by, (number + seed) % (UNFILLED + 1))
        try:
            for _ in range(length):
                booking = chance.choice(story.bookings)
                name, said = _next(story, booking, chance)
                story.tell(name, **(_drawn(name, booking, chance) | said))
            story.end()
        except BaseException as error:
            error.add_note("\n".join([f"seed {seed}:", *story.told]))
            raise


def _next(story: Story, booking: Any, chance: Random) -> tuple[str, Mapping[str, Any]]:
    world, state = story.world, story.state(booking)
    match chance.randrange(3):
        case 0:
            verb = chance.choice(ONWARD[state])
            return VERBS[verb if story.may(VERBS[verb][0]) else "sweep"]
        case 1:
            possible = [name for name in RULES if story.may(name)]
            pairs = world.pairs
            return min(possible, key=lambda name: (pairs[story.before, name], chance.random())), {}
        case _:
            met = world.met
            verb = min(OF_A_BOOKING, key=lambda verb: (met[state, verb], chance.random()))
            return VERBS[verb]


def _drawn(name: str, booking: Any, chance: Random) -> dict[str, Any]:
    return {
        word: booking if choices is BOOKING else chance.choice(choices)
        for word, choices in RULES[name].items()
    }
