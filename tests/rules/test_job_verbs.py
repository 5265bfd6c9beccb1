"""Every verb in every state: it happens, it was so already, or it is refused by its name."""

import pytest

from data.enums import BookingState, Wish
from dispatch.rules.jobs import job as rules
from dispatch.rules.jobs import visit
from dispatch.rules.jobs.refusals import AlreadyRated, NotInThisState
from tests.rules.facts import NOW, Story, friend, friends
from tests.rules.test_job import DONE, HOUR


def scheduled() -> Story:
    story = Story(*friends(6)).contacted()
    story.tell(rules.schedule, NOW + HOUR, NOW + 2 * HOUR, ())
    return story


def under_way() -> Story:
    story = scheduled()
    story.tell(rules.start)
    return story


def completed() -> Story:
    story = under_way()
    story.tell(rules.complete, DONE)
    return story


def incomplete() -> Story:
    story = under_way()
    story.tell(rules.mark_incomplete, "needs_parts", None)
    return story


def cancelled() -> Story:
    story = Story(*friends(6)).booked()
    story.tell(rules.cancel, "changed_mind")
    return story


IN = {
    BookingState.OPEN: lambda: Story(*friends(6)).booked(),
    BookingState.AWARDED: lambda: Story(*friends(6)).awarded(),
    BookingState.CONTACTED: lambda: Story(*friends(6)).contacted(),
    BookingState.SCHEDULED: scheduled,
    BookingState.UNDER_WAY: under_way,
    BookingState.COMPLETED: completed,
    BookingState.UNFILLED: lambda: Story().booked(),
    BookingState.INCOMPLETE: incomplete,
    BookingState.CANCELLED: cancelled,
}
VERBS = {
    "contacted": (rules.confirm_contact,),
    "agree": (rules.schedule, NOW + 3 * HOUR, NOW + 4 * HOUR, ()),
    "start": (rules.start,),
    "not_called": (visit.report_no_call,),
    "ask_move": (visit.request_move, (Wish.EVENING,), None),
    "on_the_way": (visit.mark_on_the_way,),
    "complete": (rules.complete, DONE),
    "give_up": (rules.mark_incomplete, "needs_parts", None),
    "hand_back": (rules.hand_back, "cannot_help", None),
    "cancel": (rules.cancel, "changed_mind", 1725),
    "redispatch": (rules.redispatch,),
    "award_by_hand": (rules.award_by_hand, friend(6)),
    "rate": (rules.rate, 5, None),
}
# In the order of IN: a state it leads to, "same" when it was so already, "-" when it is refused.
EXPECTED = {
    "contacted": "- contacted same same same same - - -",
    "agree": "- - scheduled scheduled - - - - -",
    "start": "- - under_way under_way same - - - -",
    "not_called": "- awarded contacted - - - - - -",
    "ask_move": "- - - scheduled - - - - -",
    "on_the_way": "- - contacted scheduled - - - - -",
    "complete": "- - completed completed completed same - - -",
    "give_up": "- - incomplete incomplete incomplete - - same -",
    "hand_back": "- open open open - - - - -",
    "cancel": "cancelled cancelled cancelled cancelled - - cancelled cancelled same",
    "redispatch": "- open open open - - unfilled open -",
    "award_by_hand": "awarded - - - - - awarded - -",
    "rate": "- - - - - completed - - -",
}


@pytest.mark.parametrize("state", IN)
@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_does_in_each_state_what_the_table_says(verb: str, state: BookingState):
    story = IN[state]()
    assert story.state is state
    story.friends.setdefault(friend(6).id, friend(6))
    if verb == "redispatch" and state is BookingState.UNFILLED:
        story.friends.clear()
    expected = EXPECTED[verb].split()[list(IN).index(state)]
    before = story.job
    if expected == "-":
        with pytest.raises(NotInThisState, match=f"it is {state}"):
            story.tell(*VERBS[verb])
        assert story.job == before
        return
    told = story.tell(*VERBS[verb])
    if expected == "same":
        assert told is None
        assert story.job == before
    else:
        assert expected == str(story.state)
        assert told is not None


def test_a_booking_is_rated_once():
    story = completed()
    story.tell(rules.rate, 4, "Kind.")
    with pytest.raises(AlreadyRated):
        story.tell(rules.rate, 1, None)
