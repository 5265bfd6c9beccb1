import json
from datetime import timedelta
from uuid import UUID

import pytest

from api.cli.bookings import OUTCOMES
from data.db import transaction
from data.enums import Outcome, Tier, Wish
from data.markets import Language
from data.records.ids import BookingId
from data.records.jobs import Protocol
from data.store import jobs as store
from dispatch.flows.jobs import commands
from dispatch.rules.policy import restore
from tests.builders import (
    book_and_accept,
    book_job,
    friend_row,
    import_friends,
    import_neighbours,
    north,
)

# Another decision with other outcomes for the first two, and one as an older release wrote it.
COPY_DECISION = """
    INSERT INTO decisions (booking_id, seq, round, tier, at, policy, friend_ids, outcomes,
                           distances_m, ranks, policy_id, search, facts)
    SELECT booking_id, s, round, tier, at, policy, friend_ids, $2::outcome[] || outcomes[3:],
           distances_m, ranks, CASE s WHEN 3 THEN policy_id END, CASE s WHEN 3 THEN search END,
           CASE s WHEN 3 THEN facts END
    FROM decisions, generate_series(3, 4) AS s WHERE booking_id = $1 AND seq = 2"""


@pytest.fixture
def booking(in_service):
    """A booking that f1 has accepted; f6 is too far away."""

    async def make(rt):
        await import_neighbours(rt, 5)
        await import_friends(rt, [friend_row("f6", north(9_000), radius_m=1_000)])
        booking_id, offer = await book_and_accept(rt)
        await commands.confirm_contact(rt, booking_id, offer.friend_id)
        return str(booking_id)

    return in_service(make)


async def load(rt, booking):
    booking_id = BookingId(UUID(booking))
    async with transaction(rt.pool) as tx:
        loaded, _ = await store.lock(tx, [booking_id], rt.catalogue)
    return loaded[booking_id]


def test_every_outcome_has_words():
    assert set(OUTCOMES) == set(Outcome)


def test_bookings_are_listed_by_state(tekkie, booking):
    [one] = json.loads(tekkie("bookings", "list", "--state", "contacted", "--json").stdout)
    assert one["id"] == booking
    assert json.loads(tekkie("bookings", "list", "--state", "open", "--json").stdout) == []
    assert booking in tekkie("bookings", "list").stdout
    wrong = tekkie("bookings", "list", "--state", "lost")
    assert wrong.exit_code == 2
    assert "unfilled" in wrong.stderr


def test_the_history_of_a_booking_has_refs_and_no_names(tekkie, booking):
    output = tekkie("bookings", "show", booking).stdout
    for word in ("booking.created", "booking.awarded", "friend=f1", "by friend:f1", "lost"):
        assert word in output
    assert "Vera" not in output
    as_json = tekkie("bookings", "show", booking, "--json").stdout
    story = json.loads(as_json)["story"]
    assert [event["seq"] for event in story["events"]] == [1, 2, 3, 4]
    assert "vera@" not in as_json
    assert "Bahnhofstrasse" not in as_json


def test_what_a_customer_wrote_or_signed_is_not_printed(tekkie, booking, in_service):
    async def finish(rt):
        job = await load(rt, booking)
        friend_id, soon = job.award.friend_id, job.award.awarded_at + timedelta(days=30)
        await commands.schedule(rt, job.booking.id, friend_id, soon, None)
        await commands.request_move(
            rt, job.booking.id, wishes=(Wish.EVENING,), note="Ask for Vera."
        )
        done = Protocol(summary="Done.", minutes=5)
        await commands.complete(rt, job.booking.id, friend_id, done, "M1 1L2 2")

    in_service(finish)
    for output in (
        tekkie("bookings", "show", booking),
        tekkie("bookings", "show", booking, "--json"),
    ):
        assert "move_asked" in output.stdout
        assert "Vera" not in output.stdout
        assert "M1 1" not in output.stdout


def test_why_explains_the_outcome_of_each_friend(tekkie, booking):
    all_friends = tekkie("why", booking).stdout
    assert "round 1 (2026-11 by door): f1, 99 m away, got an offer, rank 1 of the" in all_friends
    assert "f5, 499 m away, qualified, but others were nearer" in all_friends
    assert "f6" in tekkie("why", booking, "f6").stdout
    assert "was too far away" in tekkie("why", booking, "f6").stdout
    [line] = json.loads(tekkie("why", booking, "f6", "--json").stdout)
    assert line["outcome"] == "OUT_OF_RADIUS"
    assert line["policy"] == "2026-11 by door"


def test_why_counts_everybody_in_reach_by_outcome(tekkie, booking, in_service):
    found = tekkie("why", booking).stdout
    assert ": in reach: 4 offered, 1 ranked below k\n" in found

    async def make(rt):
        await import_friends(rt, [friend_row(f"p{n}", north(n), tier=Tier.PRO) for n in range(18)])
        return str(
            (await book_job(rt, package="internet-trouble", language=Language.PL)).job.booking.id
        )

    unfilled = in_service(make)
    assert ": in reach: 18 wrong tier, 5 no shared language\n" in tekkie("why", unfilled).stdout
    reaches = [one["reach"] for one in json.loads(tekkie("why", unfilled, "--json").stdout)]
    assert {"WRONG_TIER": 18, "NO_SHARED_LANGUAGE": 5} in [one["counts"] for one in reaches]


def test_a_booking_is_replayed_from_its_stored_inputs(tekkie, booking, in_service):
    done = tekkie("bookings", "replay", booking)
    assert (done.exit_code, done.stderr) == (0, "")
    assert "round 1 (2026-11 by door): replays equal, 6 friends" in done.stdout
    [one] = json.loads(tekkie("bookings", "replay", booking, "--json").stdout)
    assert one["equal"] is True
    assert one["policy_numbers"]["fan_out"] == 4
    assert restore(one["policy_numbers"]).fingerprint == UUID(one["policy_id"])

    async def tamper(rt):
        """Add records that the rules would not have made."""
        async with transaction(rt.pool) as tx:
            await tx.execute(COPY_DECISION, UUID(booking), ["RANKED_BELOW_K", "OFFERED"])

    in_service(tamper)
    done = tekkie("bookings", "replay", booking)
    assert done.exit_code == 1
    assert "differs" in done.stdout
    assert "f1: then RANKED_BELOW_K, rank 1; now OFFERED, rank 1" in done.stdout
    found = json.loads(tekkie("bookings", "replay", booking, "--json").stdout)
    assert [one["equal"] for one in found] == [True, False, None]


def test_an_unknown_booking_or_friend_is_reported(tekkie, booking):
    none = "01900000-0000-7000-8000-000000000000"
    assert tekkie("bookings", "show", none).exit_code == 1
    assert tekkie("why", none).exit_code == 1
    assert tekkie("why", booking, "nobody").exit_code == 1
    assert tekkie("bookings", "show", "not-an-id").exit_code == 2
    assert "there is no booking '0000'" in tekkie("bookings", "show", "0000").stderr.lower()


def test_the_digits_that_pages_and_demo_show_stand_for_the_booking(tekkie, booking):
    shown = json.loads(tekkie("bookings", "show", booking, "--json").stdout)
    for digits in (booking[-8:], booking[-4:].upper(), booking[:23]):
        assert json.loads(tekkie("bookings", "show", digits, "--json").stdout) == shown
        assert tekkie("why", digits, "f6").stdout == tekkie("why", booking, "f6").stdout


def test_digits_of_several_bookings_are_refused_with_their_ids(tekkie, in_service, booking):
    async def again(rt):
        return str((await book_job(rt)).job.booking.id)

    other = in_service(again)
    assert other.startswith(booking[:4])
    done = tekkie("bookings", "show", booking[:4])
    assert done.exit_code == 2
    assert booking in done.stderr
    assert other in done.stderr


def test_an_empty_list_says_so(tekkie):
    done = tekkie("bookings", "list")
    assert (done.exit_code, done.stdout) == (0, "")
    assert done.stderr == "No bookings found.\n"
