"""Every action in every state: it takes effect, changes nothing, or is refused."""

import pytest

from data.enums import BookingState, Wish
from dispatch.rules.jobs import confirmation, contest, reviews, visit
from dispatch.rules.jobs import job as rules
from dispatch.rules.jobs.reasons import ContestReason
from dispatch.rules.jobs.refusals import AlreadyRated, NotInThisState
from tests.builders import SIGNED
from tests.rules.facts import NOW, Scenario, friend, friends
from tests.rules.test_job import DONE, HOUR


def scheduled() -> Scenario:
    scenario = Scenario(*friends(6)).contact()
    scenario.apply(rules.schedule, NOW + HOUR, NOW + 2 * HOUR, ())
    return scenario


def under_way() -> Scenario:
    scenario = scheduled()
    scenario.apply(rules.start)
    return scenario


def completed() -> Scenario:
    scenario = under_way()
    scenario.apply(rules.complete, DONE, SIGNED)
    return scenario


def incomplete() -> Scenario:
    scenario = under_way()
    scenario.apply(rules.mark_incomplete, "needs_parts", None)
    return scenario


def unconfirmed() -> Scenario:
    scenario = Scenario(*friends(6))
    scenario.apply(confirmation.hold)
    return scenario


def cancelled() -> Scenario:
    scenario = Scenario(*friends(6)).book()
    scenario.apply(rules.cancel, "changed_mind")
    return scenario


IN = {
    BookingState.OPEN: lambda: Scenario(*friends(6)).book(),
    BookingState.AWARDED: lambda: Scenario(*friends(6)).award(),
    BookingState.CONTACTED: lambda: Scenario(*friends(6)).contact(),
    BookingState.SCHEDULED: scheduled,
    BookingState.UNDER_WAY: under_way,
    BookingState.COMPLETED: completed,
    BookingState.UNFILLED: lambda: Scenario().book(),
    BookingState.INCOMPLETE: incomplete,
    BookingState.CANCELLED: cancelled,
    BookingState.UNCONFIRMED: unconfirmed,
}
VERBS = {
    "contacted": (rules.confirm_contact,),
    "agree": (rules.schedule, NOW + 3 * HOUR, NOW + 4 * HOUR, ()),
    "start": (rules.start,),
    "not_called": (visit.report_no_call,),
    "ask_move": (visit.request_move, (Wish.EVENING,), None),
    "on_the_way": (visit.mark_on_the_way,),
    "not_on_the_way": (visit.take_back_on_the_way,),
    "complete": (rules.complete, DONE, SIGNED),
    "give_up": (rules.mark_incomplete, "needs_parts", None),
    "hand_back": (rules.hand_back, "cannot_help", None, friend(1)),
    "cancel": (rules.cancel, "changed_mind", 1725),
    "redispatch": (rules.redispatch,),
    "award_by_hand": (rules.award_by_hand, friend(6)),
    "rate": (reviews.rate, 5, None),
    "review": (reviews.review_customer, 5, None),
    "renew_link": (rules.renew_link,),
    "contest": (contest.contest, ContestReason.OTHER),
    "uphold": (contest.uphold,),
    "reopen": (contest.reopen,),
}
# In the order of IN: the state it leads to, "same" when nothing changes, "-" when refused.
EXPECTED = {
    "contacted": "- contacted same same same same - - - -",
    "agree": "- - scheduled scheduled - - - - - -",
    "start": "- - under_way under_way same - - - - -",
    "not_called": "- awarded contacted - - - - - - -",
    "ask_move": "- - - scheduled - - - - - -",
    "on_the_way": "- - contacted scheduled - - - - - -",
    "complete": "- - completed completed completed same - - - -",
    "give_up": "- - incomplete incomplete incomplete - - same - -",
    "hand_back": "- open open open - - - - - -",
    "cancel": "cancelled cancelled cancelled cancelled - - cancelled cancelled same cancelled",
    "redispatch": "- open open open - - unfilled open - open",
    "renew_link": "open awarded contacted scheduled under_way completed unfilled incomplete "
    "cancelled -",
    "award_by_hand": "awarded - - - - - awarded - - -",
    "rate": "- - - - - completed - - - -",
    "review": "- - - - - completed - - - -",
    "contest": "- - - - - completed - - - -",
    "uphold": "- - - - - - - - - -",
    "reopen": "- - - - - - - - - -",
    "not_on_the_way": "- - same same - - - - - -",
}


@pytest.mark.parametrize("state", IN)
@pytest.mark.parametrize("verb", VERBS)
def test_an_action_does_in_each_state_what_the_table_lists(verb: str, state: BookingState):
    scenario = IN[state]()
    assert scenario.state is state
    scenario.friends.setdefault(friend(6).id, friend(6))
    if verb == "redispatch" and state is BookingState.UNFILLED:
        scenario.friends.clear()
    expected = EXPECTED[verb].split()[list(IN).index(state)]
    before = scenario.job
    if expected == "-":
        with pytest.raises(NotInThisState, match=f"it is {state}"):
            scenario.apply(*VERBS[verb])
        assert scenario.job == before
        return
    result = scenario.apply(*VERBS[verb])
    if expected == "same":
        assert result is None
        assert scenario.job == before
    else:
        assert expected == str(scenario.state)
        assert result is not None


def test_a_booking_is_rated_once():
    scenario = completed()
    scenario.apply(reviews.rate, 4, "Kind.")
    with pytest.raises(AlreadyRated):
        scenario.apply(reviews.rate, 1, None)
