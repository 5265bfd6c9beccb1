"""Quotas of bookings without a partner, and who gives way to others."""

from dataclasses import replace

import pytest

from dispatch.rules.jobs import job as rules
from dispatch.rules.jobs import matching
from dispatch.rules.policy import POLICY
from dispatch.rules.trust import quotas
from dispatch.rules.trust.quotas import ProofRequired, TooManyBookings
from tests.rules.facts import Scenario, friend, friends

SECRET = b"s" * 32
LIMITS = {
    "email": POLICY.bookings_per_email,
    "phone": POLICY.bookings_per_phone,
    "network": POLICY.bookings_per_network,
    "place": POLICY.bookings_per_place,
}


@pytest.mark.parametrize("kind", LIMITS)
def test_one_more_than_the_quota_is_refused(kind: str):
    quotas.check({kind: LIMITS[kind], "proof": 1}, POLICY)
    with pytest.raises(TooManyBookings, match=kind):
        quotas.check({kind: LIMITS[kind] + 1, "proof": 1}, POLICY)


@pytest.mark.parametrize(
    ("kind", "free"),
    [
        ("email", POLICY.proof_after_bookings),
        ("phone", POLICY.proof_after_bookings),
        ("network", POLICY.proof_after_network),
    ],
)
def test_after_the_first_ones_each_booking_needs_its_own_proof_of_work(kind: str, free: int):
    quotas.check({kind: free}, POLICY)
    for spent in ({}, {"proof": 2}):
        with pytest.raises(ProofRequired):
            quotas.check({kind: free + 1} | spent, POLICY)
    quotas.check({kind: free + 1, "proof": 1}, POLICY)


@pytest.mark.parametrize(
    ("host", "network"),
    [
        ("203.0.113.7", "203.0.113.0/24"),
        ("::ffff:203.0.113.7", "203.0.113.0/24"),
        ("2001:db8:1:2::7", "2001:db8:1::/48"),
        ("127.0.0.1", None),
        ("::1", None),
        ("a-socket", None),
        (None, None),
    ],
)
def test_a_network_is_the_prefix_of_the_address(host: str | None, network: str | None):
    assert quotas.network(host) == network


def test_keys_are_hashes_under_the_secret_and_ignore_the_case_of_an_address():
    def keys(secret: bytes, email: str):
        return quotas.keys(secret, email=email, phone="+41440001739", host="203.0.113.7")

    assert keys(SECRET, "Vera@example.com") == keys(SECRET, "vera@example.com")
    assert [kind for kind, _ in keys(SECRET, "vera@example.com")] == ["email", "phone", "network"]
    assert not set(keys(SECRET, "v@example.com")) & set(keys(b"t" * 32, "v@example.com"))
    assert all(len(key) == 64 for _, key in keys(SECRET, "vera@example.com"))


def test_who_books_again_and_again_leaves_room_with_every_friend_to_others():
    helper, offers = friend(1), []
    for before in range(POLICY.bookings_per_email):
        scenario = Scenario(replace(helper, live_offers=len(offers)))
        scenario.apply(rules.book, before)
        offers += scenario.live
    assert len(offers) == 3
    other = Scenario(replace(helper, live_offers=len(offers)))
    assert other.book().asked == ["f1"]


def test_a_booking_is_never_without_any_room():
    scenario = Scenario(*friends(4))
    scenario.apply(rules.book, 99)
    assert len(scenario.live) == 4
    need = matching.needs(scenario.job, scenario.now, POLICY)[0]
    assert need.live_offers_max == 1


def test_many_bookings_of_one_network_count_as_one_booker():
    assert quotas.booked_before({"email": 1, "phone": 1, "network": 9}, POLICY) == 0
    assert quotas.booked_before({"email": 1, "phone": 1, "network": 25}, POLICY) == 2
    assert quotas.booked_before({"email": 3, "phone": 1}, POLICY) == 2
