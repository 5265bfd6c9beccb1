import ast
import inspect
import json
import re
from uuid import UUID

import pytest

from data.enums import Audience, Channel, Wish
from data.records.ids import derived_id
from dispatch.rules.declarations import Shape
from dispatch.rules.jobs import (
    companies,
    confirmation,
    contact,
    contest,
    events,
    fan_out,
    reviews,
    visit,
)
from dispatch.rules.jobs import job as rules
from tests.rules.facts import BOOKING, Scenario, friend, friends
from tests.rules.test_job import DONE, HOUR

UUID_OR_MOMENT = re.compile(r"[0-9a-f-]{36}|\d{4}-\d\d-\d\dT[\d:.]+\+00:00")


def kinds_in_rules() -> set[str]:
    """Every event kind that a rule adds, read from the source."""
    calls = [
        node
        for module in (rules, fan_out, visit, confirmation, contact, contest, reviews, companies)
        for node in ast.walk(ast.parse(inspect.getsource(module)))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "add_event"
    ]
    return {call.args[0].value for call in calls if isinstance(call.args[0], ast.Constant)}


def full_scenario() -> Scenario:
    """A job with nearly every event: decline, forfeit, hand-back, another time, on the way."""
    scenario = Scenario(*friends(9)).book()
    scenario.apply(rules.decline, scenario.live[0].id)
    scenario.accept(scenario.live[0])
    scenario.advance(hours=12).apply(rules.forfeit)
    scenario.accept(scenario.live[0])
    scenario.apply(rules.confirm_contact)
    scenario.apply(rules.hand_back, "cannot_help", "No fibre tester.", friend(1))
    scenario.advance(hours=1).apply(fan_out.expire)
    scenario.accept(scenario.live[0])
    scenario.apply(visit.report_no_call)
    scenario.apply(rules.confirm_contact)
    scenario.apply(rules.schedule, scenario.now + 2 * HOUR, scenario.now + 3 * HOUR, ())
    scenario.apply(visit.request_move, (Wish.EVENING,), "Not at Bahnhofstrasse 1, please.")
    scenario.apply(visit.mark_on_the_way)
    scenario.apply(rules.complete, DONE, "M1 1L2 2")
    scenario.apply(reviews.rate, 5, "Splendid, Herr Muster from Bahnhofstrasse 1!")
    scenario.apply(reviews.review_customer, 5, "Ring at Bahnhofstrasse 1.")
    return scenario


def test_every_event_of_the_rules_is_declared_and_nothing_else_is():
    assert kinds_in_rules() == set(events.EVENTS)


def test_an_event_with_undeclared_data_is_refused():
    with pytest.raises(events.UndeclaredData, match=r"booking\.started with friend, street"):
        events.check("booking.started", {"friend": "f1", "street": "Bahnhofstrasse 1"})
    with pytest.raises(events.UndeclaredData):
        events.check("booking.unknown", {})


def test_every_declared_field_is_carried_by_an_event():
    carried = {name for kind in events.EVENTS.values() for name in kind.fields}
    assert carried | events.OF_EVERY_AWARD == set(events.FIELDS)


def test_one_name_means_one_template():
    seen = [template for kind in events.EVENTS.values() for template, _ in kind.messages]
    assert all(events.TEMPLATES[one.audience, one.name] is one for one in seen)


@pytest.mark.parametrize("audience", [Audience.CUSTOMER, Audience.PARTNER, Audience.FRIEND])
def test_only_the_desk_sees_which_friends_an_event_names(audience):
    of_friends = {
        name
        for name, field in events.FIELDS.items()
        if field.shape in (Shape.IDS, Shape.OFFERS) or name in ("friend", "offer")
    }
    whole = dict.fromkeys(events.FIELDS, 0)
    assert events.seen_by(audience, whole).keys().isdisjoint(of_friends)
    assert events.seen_by(Audience.DESK, whole) == whole


def test_messages_carry_ids_and_moments_only():
    for changes in full_scenario().applied:
        for message in changes.messages:
            assert all(UUID_OR_MOMENT.fullmatch(value) for value in message.data.values()), message


def test_events_carry_nothing_a_person_wrote():
    text = json.dumps([dict(event.data) for event in full_scenario().events])
    for written in ("fibre", "channel", "Splendid", "Bahnhofstrasse", "example"):
        assert written not in text


def test_equal_decisions_give_equal_messages_with_equal_ids():
    one, other = full_scenario(), full_scenario()
    assert one.applied == other.applied
    ids = [message.id for changes in one.applied for message in changes.messages]
    assert len(ids) == len(set(ids))
    assert all(id_.version == 8 for id_ in ids)


def test_each_asked_friend_is_notified_of_the_offer_until_it_expires():
    scenario = Scenario(*friends(6)).book()
    offers = {o.friend_id: o for o in scenario.live}
    result = [m for m in scenario.applied[0].messages if m.template == "offer"]
    assert {m.recipient_id for m in result} == set(offers)
    for message in result:
        offer = offers[message.recipient_id]
        assert message.data == {"offer": str(offer.id)}
        assert message.expires_at == offer.expires_at
        assert message.channel is Channel.PUSH


def test_the_winner_the_losers_and_the_customer_are_notified_of_an_award():
    scenario = Scenario(*friends(4)).award()
    result = {(m.template, m.recipient_id) for m in scenario.applied[-1].messages}
    customer = scenario.job.booking.customer_id
    assert result == {
        ("awarded", UUID(int=1)),
        *(("offer_gone", UUID(int=n)) for n in (2, 3, 4)),
        ("friend_found", customer),
    }


def test_the_customer_is_notified_of_a_missed_deadline_and_of_the_next_offers():
    scenario = Scenario(*friends(6)).award()
    result = scenario.advance(hours=12).apply(rules.forfeit)
    audiences = [(m.template, m.audience) for m in result.messages]
    assert ("friend_changed", Audience.CUSTOMER) in audiences
    assert ("contact_missed", Audience.FRIEND) in audiences
    assert audiences.count(("offer", Audience.FRIEND)) == 4


def test_phones_stop_ringing_for_a_cancelled_booking():
    scenario = Scenario(*friends(4)).book()
    result = scenario.apply(rules.cancel, "changed_mind")
    assert sum(m.template == "offer_withdrawn" for m in result.messages) == 4
    assert all(m.template != "job_cancelled" for m in result.messages)


def test_an_id_follows_from_its_parts_and_keeps_the_bookings_moment():
    one = derived_id(BOOKING, "offer", 1, "x")
    assert one == derived_id(BOOKING, "offer", 1, "x")
    assert one != derived_id(BOOKING, "offer", 11, "x")
    assert one.bytes[:6] == BOOKING.bytes[:6]
    assert (one.version, one.variant) == (8, BOOKING.variant)
