"""The checker is checked: every way to lose what was acknowledged is seen."""

import json

import pytest

from tests.proof.chaos import checker
from tests.proof.chaos.ledger import Entry, Ledger


def entry(verb, subject, code="ok", *, who="f1", body=b"") -> Entry:
    return Entry(verb, who, subject, 0.0, 1.0, code, body)


def booked(key, id_) -> Entry:
    return entry("book", key, body=json.dumps({"id": id_}).encode())


def offer(state, ref="f1", award=None, was_over=False) -> dict:
    return {
        "booking": "b",
        "round": 1,
        "state": state,
        "ref": ref,
        "award": award,
        "was_over": was_over,
    }


def test_bookings_that_are_all_there_are_well():
    ledger = Ledger([booked("k", "b"), booked("k", "b")])
    assert list(checker._bookings(ledger, {"b": "open"}, {"k": "b"})) == []


@pytest.mark.parametrize(
    ("entries", "bookings", "keys", "word"),
    [
        ([booked("k", "b")], {}, {"k": "b"}, "lost: booking b"),
        ([booked("k", "b")], {"b": "open"}, {}, "keeps None"),
        ([booked("k", "b"), booked("k", "c")], {"b": "", "c": ""}, {"k": "b"}, "2 bookings"),
        ([], {"b": "open"}, {}, "no request"),
    ],
)
def test_a_lost_or_doubled_booking_is_seen(entries, bookings, keys, word):
    assert word in " ".join(checker._bookings(Ledger(entries), bookings, keys))


@pytest.mark.parametrize(
    ("said", "state", "well"),
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
def test_what_was_said_about_an_offer_must_be_what_became_of_it(said, state, well):
    ledger = Ledger([entry(said[0], "o", said[1])])
    assert (list(checker._answers(ledger, {"o": offer(state)})) == []) is well


def test_two_winners_of_a_round_are_seen():
    offers = {"o1": offer("accepted", "f1", "live"), "o2": offer("lost", "f2")}
    both = Ledger([entry("accept", "o1"), entry("accept", "o2", who="f2")])
    assert "2 friends" in " ".join(checker._rounds(both, offers))
    one = Ledger([entry("accept", "o1"), entry("accept", "o2", "offer-gone", who="f2")])
    assert list(checker._rounds(one, offers)) == []


@pytest.mark.parametrize(
    ("verb", "award", "well"),
    [
        ("contacted", {"state": "live", "contacted_at": 1}, True),
        ("contacted", {"state": "live", "contacted_at": None}, False),
        ("complete", {"state": "done", "contacted_at": 1}, True),
        ("complete", {"state": "live", "contacted_at": 1}, False),
        ("hand-back", {"state": "handed_back", "contacted_at": None}, True),
        ("hand-back", {"state": "live", "contacted_at": None}, False),
    ],
)
def test_a_lost_deed_is_seen(verb, award, well):
    rows = [award | {"booking": "b", "ref": "f1"}]
    ledger = Ledger([entry(verb, "b")])
    assert (list(checker._deeds(ledger, {"b": "open"}, rows)) == []) is well


def test_a_cancelled_booking_that_lives_is_seen():
    assert "lost" in " ".join(checker._deeds(Ledger([entry("cancel", "b")]), {"b": "open"}, []))


def test_a_friend_who_loses_his_own_job_is_seen():
    rows = [{"booking": "b", "ref": "f1", "state": "live", "contacted_at": None}]
    ledger = Ledger([entry("contacted", "b", "not-found")])
    assert "not his" in " ".join(checker._deeds(ledger, {"b": "awarded"}, rows))


def test_an_answer_nobody_expects_is_seen():
    assert "validation" in " ".join(checker._surprises(Ledger([entry("book", "k", "validation")])))
    assert list(checker._surprises(Ledger([entry("book", "k"), entry("book", "k", None)]))) == []
