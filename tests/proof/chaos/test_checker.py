"""The checker finds every way to lose what was acknowledged."""

import json

import pytest

from tests.proof.chaos import checker
from tests.proof.chaos.history import History, Operation


def operation(verb, subject, code="ok", *, who="f1", body=b"") -> Operation:
    return Operation(verb, who, subject, 0.0, 1.0, code, body)


def booked(key, id_) -> Operation:
    return operation("book", key, body=json.dumps({"id": id_}).encode())


def offer(state, ref="f1", award=None, was_over=False) -> dict:
    return {
        "booking": "b",
        "round": 1,
        "state": state,
        "ref": ref,
        "award": award,
        "was_over": was_over,
    }


def test_complete_bookings_pass():
    history = History([booked("k", "b"), booked("k", "b")])
    assert list(checker._check_bookings(history, {"b": "open"}, {"k": "b"})) == []


@pytest.mark.parametrize(
    ("operations", "bookings", "keys", "word"),
    [
        ([booked("k", "b")], {}, {"k": "b"}, "lost: booking b"),
        ([booked("k", "b")], {"b": "open"}, {}, "has None"),
        ([booked("k", "b"), booked("k", "c")], {"b": "", "c": ""}, {"k": "b"}, "2 bookings"),
        ([], {"b": "open"}, {}, "no request"),
    ],
)
def test_a_lost_or_doubled_booking_is_found(operations, bookings, keys, word):
    assert word in " ".join(checker._check_bookings(History(operations), bookings, keys))


@pytest.mark.parametrize(
    ("answered", "state", "is_right"),
    [
        (("accept", "ok"), "accepted", True),
        (("accept", "ok"), "forfeited", True),
        (("accept", "ok"), "lost", False),
        (("accept", "ok"), "live", False),
        (("accept", "offer-gone"), "lost", True),
        (("accept", "offer-gone"), "accepted", False),
        (("accept", "offer-gone"), "expired", False),
        (("accept", "offer-expired"), "lost", False),
        (("decline", "ok"), "declined", True),
        (("decline", "ok"), "live", False),
    ],
)
def test_an_answer_about_an_offer_must_agree_with_its_state(answered, state, is_right):
    history = History([operation(answered[0], "o", answered[1])])
    assert (list(checker._check_offer_answers(history, {"o": offer(state)})) == []) is is_right


def test_two_winners_of_a_round_are_found():
    offers = {"o1": offer("accepted", "f1", "live"), "o2": offer("lost", "f2")}
    both = History([operation("accept", "o1"), operation("accept", "o2", who="f2")])
    assert "2 friends" in " ".join(checker._check_rounds(both, offers))
    one = History([operation("accept", "o1"), operation("accept", "o2", "offer-gone", who="f2")])
    assert list(checker._check_rounds(one, offers)) == []


@pytest.mark.parametrize(
    ("verb", "award", "is_right"),
    [
        ("contacted", {"state": "live", "contacted_at": 1}, True),
        ("contacted", {"state": "live", "contacted_at": None}, False),
        ("complete", {"state": "done", "contacted_at": 1}, True),
        ("complete", {"state": "live", "contacted_at": 1}, False),
        ("hand-back", {"state": "handed_back", "contacted_at": None}, True),
        ("hand-back", {"state": "live", "contacted_at": None}, False),
    ],
)
def test_a_lost_action_is_found(verb, award, is_right):
    rows = [award | {"booking": "b", "ref": "f1"}]
    history = History([operation(verb, "b")])
    assert (list(checker._check_actions(history, {"b": "open"}, rows)) == []) is is_right


def test_a_cancelled_booking_that_is_open_is_found():
    assert "lost" in " ".join(
        checker._check_actions(History([operation("cancel", "b")]), {"b": "open"}, [])
    )


def test_a_friend_who_is_refused_their_own_job_is_found():
    rows = [{"booking": "b", "ref": "f1", "state": "live", "contacted_at": None}]
    history = History([operation("contacted", "b", "not-found")])
    assert "holds it" in " ".join(checker._check_actions(history, {"b": "awarded"}, rows))


def test_an_unexpected_answer_is_found():
    assert "validation" in " ".join(
        checker._check_codes(History([operation("book", "k", "validation")]))
    )
    assert (
        list(checker._check_codes(History([operation("book", "k"), operation("book", "k", None)])))
        == []
    )
