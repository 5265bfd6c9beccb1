import ast
import inspect
import json
import re
from uuid import UUID

import pytest

from data.enums import Audience, Channel, Wish
from data.records.ids import derived_id
from dispatch.rules.jobs import events, fan_out, visit
from dispatch.rules.jobs import job as rules
from tests.rules.facts import BOOKING, Story, friends
from tests.rules.test_job import DONE, HOUR

UUID_OR_MOMENT = re.compile(r"[0-9a-f-]{36}|\d{4}-\d\d-\d\dT[\d:.]+\+00:00")


def kinds_in_rules() -> set[str]:
    """Every event kind that a rule notes, read from the source."""
    calls = [
        node
        for module in (rules, fan_out, visit)
        for node in ast.walk(ast.parse(inspect.getsource(module)))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "add_event"
    ]
    return {call.args[0].value for call in calls if isinstance(call.args[0], ast.Constant)}


def whole_story() -> Story:
    """A job that meets nearly everything: decline, forfeit, hand-back, another time, the way."""
    story = Story(*friends(9)).booked()
    story.tell(rules.decline, story.live[0].id)
    story.accepts(story.live[0])
    story.later(hours=12).tell(rules.forfeit)
    story.accepts(story.live[0])
    story.tell(rules.confirm_contact)
    story.tell(rules.hand_back, "cannot_help", "No fibre tester.")
    story.later(hours=1).tell(fan_out.expire)
    story.accepts(story.live[0])
    story.tell(visit.report_no_call)
    story.tell(rules.confirm_contact)
    story.tell(rules.schedule, story.now + 2 * HOUR, story.now + 3 * HOUR, ())
    story.tell(visit.request_move, (Wish.EVENING,), "Not at Bahnhofstrasse 1, please.")
    story.tell(visit.mark_on_the_way)
    story.tell(rules.complete, DONE, "M1 1L2 2")
    story.tell(rules.rate, 5, "Splendid, Herr Muster from Bahnhofstrasse 1!")
    return story


def test_every_event_of_the_rules_is_declared_and_nothing_else_is():
    assert kinds_in_rules() == set(events.EVENTS)


def test_an_event_with_undeclared_data_is_refused():
    with pytest.raises(events.UndeclaredData, match=r"booking\.started with friend, street"):
        events.check("booking.started", {"friend": "f1", "street": "Bahnhofstrasse 1"})
    with pytest.raises(events.UndeclaredData):
        events.check("booking.unknown", {})


def test_every_declared_field_is_carried_by_an_event():
    assert {name for kind in events.EVENTS.values() for name in kind.fields} == set(events.FIELDS)


def test_one_name_means_one_template():
    seen = [template for kind in events.EVENTS.values() for template, _ in kind.messages]
    assert all(events.TEMPLATES[one.audience, one.name] is one for one in seen)


@pytest.mark.parametrize("audience", [Audience.CUSTOMER, Audience.PARTNER, Audience.FRIEND])
def test_only_the_desk_sees_which_friends_an_event_names(audience):
    of_friends = {
        name
        for name, field in events.FIELDS.items()
        if field.shape in (events.Shape.IDS, events.Shape.OFFERS) or name in ("friend", "offer")
    }
    whole = dict.fromkeys(events.FIELDS, 0)
    assert events.seen_by(audience, whole).keys().isdisjoint(of_friends)
    assert events.seen_by(Audience.DESK, whole) == whole


def test_messages_carry_ids_and_moments_only():
    for changes in whole_story().told:
        for message in changes.messages:
            assert all(UUID_OR_MOMENT.fullmatch(value) for value in message.data.values()), message


def test_events_carry_nothing_a_person_wrote():
    text = json.dumps([dict(event.data) for event in whole_story().events])
    for written in ("fibre", "channel", "Splendid", "Bahnhofstrasse", "example"):
        assert written not in text


def test_the_same_story_tells_the_same_messages_with_the_same_ids():
    one, other = whole_story(), whole_story()
    assert one.told == other.told
    ids = [message.id for changes in one.told for message in changes.messages]
    assert len(ids) == len(set(ids))
    assert all(id_.version == 8 for id_ in ids)


def test_each_asked_friend_hears_of_his_own_offer_until_it_expires():
    story = Story(*friends(6)).booked()
    offers = {o.friend_id: o for o in story.live}
    told = [m for m in story.told[0].messages if m.template == "offer"]
    assert {m.recipient_id for m in told} == set(offers)
    for message in told:
        offer = offers[message.recipient_id]
        assert message.data == {"offer": str(offer.id)}
        assert message.expires_at == offer.expires_at
        assert message.channel is Channel.PUSH


def test_the_winner_and_the_losers_and_the_customer_hear_of_an_award():
    story = Story(*friends(4)).awarded()
    told = {(m.template, m.recipient_id) for m in story.told[-1].messages}
    customer = story.job.booking.customer_id
    assert told == {
        ("awarded", UUID(int=1)),
        *(("offer_gone", UUID(int=n)) for n in (2, 3, 4)),
        ("friend_found", customer),
    }


def test_the_customer_hears_of_a_missed_deadline_and_of_the_friends_who_are_asked_instead():
    story = Story(*friends(6)).awarded()
    told = story.later(hours=12).tell(rules.forfeit)
    audiences = [(m.template, m.audience) for m in told.messages]
    assert ("friend_changed", Audience.CUSTOMER) in audiences
    assert ("contact_missed", Audience.FRIEND) in audiences
    assert audiences.count(("offer", Audience.FRIEND)) == 4


def test_the_phones_of_a_cancelled_booking_fall_silent():
    story = Story(*friends(4)).booked()
    told = story.tell(rules.cancel, "changed_mind")
    assert sum(m.template == "offer_withdrawn" for m in told.messages) == 4
    assert all(m.template != "job_cancelled" for m in told.messages)


def test_an_id_follows_from_its_parts_and_keeps_the_bookings_moment():
    one = derived_id(BOOKING, "offer", 1, "x")
    assert one == derived_id(BOOKING, "offer", 1, "x")
    assert one != derived_id(BOOKING, "offer", 11, "x")
    assert one.bytes[:6] == BOOKING.bytes[:6]
    assert (one.version, one.variant) == (8, BOOKING.variant)
