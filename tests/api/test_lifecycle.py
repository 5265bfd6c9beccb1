"""The life cycle of a booking, through HTTP only."""

import asyncio
import json
from datetime import datetime, timedelta

from data.enums import Tier
from dispatch.flows.jobs import commands
from tests.api.conftest import BOOKING
from tests.builders import SIGNATURE, friend_row, import_friends, north


async def test_a_booking_goes_from_order_to_rating(api, clock, problem):
    booking = await api.book()
    assert booking["state"] == "open"
    assert booking["round"] == 1
    assert booking["price"] == {"amount": 6900, "currency": "CHF"}
    assert booking["offers"] == {"live": 4}
    assert booking["wishes"] == ["soon", "evening"]
    assert booking["customer_link"].startswith("https://tekkie.test/job/")

    winner, loser = await api.friend("f2"), await api.friend("f1")
    [offer] = (await winner.get("/v1/me/offers")).json()["items"]
    assert offer["booking_id"] == booking["id"]
    assert offer["package"] == {"code": "wifi-setup", "name": "WLAN einrichten"}
    assert offer["pay"] == {"amount": 5520, "currency": "CHF"}
    assert set(offer["cell"]) == {"lat", "lon", "size_m", "label"}
    assert offer["distance_m"] % 100 == 0

    won = await winner.post(f"/v1/offers/{offer['id']}/accept")
    assert won.status_code == 200
    job = won.json()
    assert job["state"] == "awarded"
    assert job["customer"]["name"] == "Vera Beispiel"
    assert job["customer"]["phone"] == "+41440001739"
    assert job["customer"]["language"] == "de"
    assert job["customer"]["address"]["lat"] == 47.3667
    awarded, due = map(datetime.fromisoformat, (job["awarded_at"], job["contact_due_at"]))
    assert due - awarded == timedelta(hours=12)
    lost = (await api.offers(booking))["f1"]
    problem(await loser.post(f"/v1/offers/{lost}/accept"), 409, "offer-gone")
    assert (await loser.get("/v1/me/offers")).json() == {"items": [], "next_cursor": None}

    at = f"/v1/bookings/{booking['id']}"
    assert (await winner.post(f"{at}/contacted")).json()["state"] == "contacted"
    tomorrow = await clock.now() + timedelta(days=1)
    agreed = await winner.post(f"{at}/appointment", {"starts_at": tomorrow.isoformat()})
    assert agreed.json()["appointment"]["revision"] > 0
    assert (await winner.post(f"{at}/start")).json()["state"] == "under_way"
    done = await winner.post(
        f"{at}/complete", {"summary": "All online.", "minutes": 50, "signature": SIGNATURE}
    )
    assert done.json()["state"] == "completed"

    customer = api.client(booking["token"])
    rated = await customer.post(f"{at}/rating", {"stars": 5, "comment": "Kind."})
    assert rated.status_code == 201
    problem(await customer.post(f"{at}/rating", {"stars": 4}), 409, "already-rated")
    assert (await winner.post(f"{at}/customer-review", {"stars": 5})).status_code == 204
    seen = (await customer.get(at)).json()
    assert seen["stars"] == 5
    assert seen["friend"] == {
        "first_name": "F2",
        "languages": ["de", "en"],
        "stars": 5.0,
        "photo": None,
        "ratings": 1,
    }
    assert seen["customer"] is None

    story = (await customer.get(f"{at}/events")).json()["items"]
    assert [event["seq"] for event in story] == list(range(1, len(story) + 1))
    assert [event["kind"] for event in story][-1] == "customer.reviewed"


async def test_a_repeated_accept_gets_the_same_bytes(api, clock):
    booking, offer = await api.win()
    winner = await api.friend("f1")
    path = f"/v1/offers/{offer}/accept"
    first = (await winner.post(path)).content
    at = f"/v1/bookings/{booking['id']}"
    await winner.post(f"{at}/contacted")
    await clock.advance(timedelta(hours=1))
    assert (await winner.post(path)).content == first
    await winner.post(f"{at}/start")
    await winner.post(f"{at}/complete", {"summary": "Done.", "minutes": 10, "signature": SIGNATURE})
    await clock.advance(timedelta(days=13))
    assert (await winner.post(path)).content == first
    await clock.advance(timedelta(days=1))
    later = (await winner.post(path)).json()
    assert later == json.loads(first) | {"customer": None}


async def test_who_gave_the_job_back_and_accepts_again_learns_nothing_of_the_customer(api, problem):
    booking, offer = await api.win()
    winner = await api.friend("f1")
    await winner.post(f"/v1/bookings/{booking['id']}/hand-back", {"reason": "no_time"})
    again = await winner.post(f"/v1/offers/{offer}/accept")
    problem(again, 409, "offer-gone")
    assert "Vera" not in again.text


async def test_repeated_accepts_against_the_end_of_the_job_are_all_answered(api):
    for _ in range(4):
        booking, offer = await api.win()
        winner, accept = await api.friend("f1"), f"/v1/offers/{offer}/accept"
        answers = await asyncio.gather(
            winner.post(accept),
            winner.post(accept),
            winner.post(f"/v1/bookings/{booking['id']}/hand-back", {"reason": "no_time"}),
            winner.post(accept),
        )
        assert answers[2].status_code == 200
        assert {one.status_code for one in answers} <= {200, 409}


async def test_after_fourteen_days_the_friend_no_longer_sees_the_customer(api, clock):
    booking, _ = await api.win()
    winner = await api.friend("f1")
    at = f"/v1/bookings/{booking['id']}"
    await winner.post(f"{at}/contacted")
    await winner.post(f"{at}/complete", {"summary": "Done.", "minutes": 10, "signature": SIGNATURE})
    await clock.advance(timedelta(days=14) - timedelta(seconds=1))
    [job] = (await winner.get("/v1/me/jobs")).json()["items"]
    assert job["customer"]["name"] == "Vera Beispiel"
    assert (await winner.get(at)).json()["customer"]["name"] == "Vera Beispiel"
    await clock.advance(timedelta(seconds=1))
    [job] = (await winner.get("/v1/me/jobs")).json()["items"]
    assert job["customer"] is None
    assert (await winner.get(at)).json()["customer"] is None


async def test_of_four_concurrent_accepts_exactly_one_wins(api):
    for _ in range(5):
        booking = await api.book()
        offers = await api.offers(booking)
        callers = {ref: await api.friend(ref) for ref in offers}
        answers = await asyncio.gather(
            *(
                callers[ref].post(f"/v1/offers/{offer}/accept")
                for ref, offer in offers.items()
                for _ in range(2)
            )
        )
        statuses = [answer.status_code for answer in answers]
        assert statuses.count(200) == 2
        assert statuses.count(409) == 6
        won = {answer.content for answer in answers if answer.status_code == 200}
        assert len(won) == 1


async def test_an_expired_offer_and_a_foreign_one_have_different_problems(api, clock, problem):
    booking = await api.book()
    offers = await api.offers(booking)
    await clock.advance(timedelta(minutes=60))
    late = await api.friend("f1")
    problem(await late.post(f"/v1/offers/{offers['f1']}/accept"), 409, "offer-expired")
    problem(await late.post(f"/v1/offers/{offers['f1']}/decline"), 409, "offer-expired")
    stranger = await api.friend("f6")
    foreign = await stranger.post(f"/v1/offers/{offers['f1']}/accept")
    missing = await stranger.post("/v1/offers/0197f0a0-0000-7000-8000-000000000001/accept")
    impossible = await stranger.post("/v1/offers/none/accept")
    problem(foreign, 404, "not-found")
    assert foreign.content == missing.content == impossible.content


async def test_an_expired_offer_is_not_listed_even_without_a_worker(api, clock):
    await api.book()
    friend = await api.friend("f1")
    assert len((await friend.get("/v1/me/offers")).json()["items"]) == 1
    await clock.advance(timedelta(minutes=60))
    assert (await friend.get("/v1/me/offers")).json()["items"] == []


async def test_a_decline_is_idempotent_and_offers_to_the_next(api):
    booking = await api.book()
    offers = await api.offers(booking)
    friend = await api.friend("f1")
    for _ in range(2):
        answer = await friend.post(f"/v1/offers/{offers['f1']}/decline")
        assert answer.json() == {
            "booking_id": booking["id"],
            "offer_id": offers["f1"],
            "state": "declined",
        }
    assert list(await api.offers(booking)) == ["f1", "f2", "f3", "f4", "f5"]


async def test_a_missed_deadline_ends_the_award(api, clock, problem):
    booking, offer = await api.win()
    friend = await api.friend("f1")
    at = f"/v1/bookings/{booking['id']}"
    await clock.advance(timedelta(hours=12))
    problem(await friend.post(f"{at}/contacted"), 409, "contact-deadline-passed")
    assert await commands.fire_due_timers(api.rt, 10) == 1
    problem(await friend.post(f"{at}/contacted"), 409, "contact-deadline-passed")
    problem(await friend.post(f"/v1/offers/{offer}/accept"), 409, "offer-gone")
    problem(await friend.get(at), 404, "not-found")
    assert (await friend.get("/v1/me/jobs")).json()["items"] == []
    again = (await api.client(booking["token"]).get(at)).json()
    assert again["state"] == "open"
    assert again["round"] == 2
    assert again["friend"] is None


async def test_a_job_handed_back_is_offered_again(api, problem):
    booking, offer = await api.win()
    friend = await api.friend("f1")
    at = f"/v1/bookings/{booking['id']}"
    for _ in range(2):
        back = await friend.post(f"{at}/hand-back", {"reason": "no_time", "note": "I am ill."})
        assert back.json()["state"] == "open"
        assert back.json()["contact_due_at"] is None
    problem(await friend.post(f"/v1/offers/{offer}/accept"), 409, "offer-gone")
    assert "f1" not in (await api.offers(booking)).keys() - {"f1"}


async def test_a_visit_without_success_goes_to_the_desk(api):
    booking, _ = await api.win()
    friend, desk = await api.friend("f1"), await api.operator()
    at = f"/v1/bookings/{booking['id']}"
    await friend.post(f"{at}/contacted")
    gone = await friend.post(f"{at}/incomplete", {"reason": "Vera has lost the cable"})
    assert gone.json()["state"] == "incomplete"
    story = (await desk.get(f"{at}/events")).text
    assert "cable" not in story
    again = await desk.post(f"{at}/redispatch")
    assert again.json()["state"] == "open"


async def test_a_customer_may_repeat_a_cancellation(api, problem):
    booking = await api.book()
    offers = await api.offers(booking)
    customer = api.client(booking["token"])
    at = f"/v1/bookings/{booking['id']}"
    for _ in range(2):
        answer = await customer.post(f"{at}/cancel", {"reason": "Vera is well again"})
        assert answer.json()["state"] == "cancelled"
    story = (await customer.get(f"{at}/events")).json()["items"]
    assert story[-1]["data"]["reason"] == "other"
    friend = await api.friend("f1")
    problem(await friend.post(f"/v1/offers/{offers['f1']}/accept"), 409, "offer-gone")
    problem(await customer.post(f"{at}/rating", {"stars": 5}), 409, "wrong-state")


async def test_the_desk_awards_a_job_by_hand(api, problem):
    booking = await api.book()
    desk = await api.operator()
    at = f"/v1/bookings/{booking['id']}"
    problem(await desk.post(f"{at}/award", {"friend": "nobody"}), 409, "friend-unfit")
    given = await desk.post(f"{at}/award", {"friend": "f6"})
    assert given.json()["state"] == "awarded"
    assert given.json()["customer"]["name"] == "Vera Beispiel"
    problem(await desk.post(f"{at}/award", {"friend": "f5"}), 409, "wrong-state")
    [job] = (await (await api.friend("f6")).get("/v1/me/jobs")).json()["items"]
    assert job["offer_id"] is None


async def test_every_considered_friend_has_one_outcome(api):
    booking = await api.book()
    desk = await api.operator()
    [decision] = (await desk.get(f"/v1/bookings/{booking['id']}/decisions")).json()
    assert decision["round"] == 1
    assert decision["policy"]
    outcomes = {line["ref"]: line["outcome"] for line in decision["friends"]}
    assert outcomes == {f"f{n}": "OFFERED" if n <= 4 else "RANKED_BELOW_K" for n in range(1, 7)}
    assert decision["reach"]["counts"] == {"OFFERED": 4, "RANKED_BELOW_K": 2}
    [only] = (await desk.get(f"/v1/bookings/{booking['id']}/decisions", friend="f5")).json()
    assert only["reach"] == decision["reach"]
    assert [line["ref"] for line in only["friends"]] == ["f5"]


async def test_an_unfilled_booking_counts_everybody_in_reach_by_outcome(api):
    pros = [friend_row(f"p{n}", north(10 * n), tier=Tier.PRO) for n in range(20)]
    far = [friend_row(f"far{n}", north(3_000 + n), radius_m=500) for n in range(20)]
    await import_friends(api.rt, [*pros, *far])
    booking = await api.book(
        package="internet-trouble", customer=BOOKING["customer"] | {"language": "pl"}
    )
    assert booking["state"] == "unfilled"
    desk = await api.operator()
    path = f"/v1/bookings/{booking['id']}/decisions"
    [decision] = (await desk.get(path)).json()
    assert len(decision["friends"]) == api.rt.policy.frame
    counts = {"WRONG_TIER": 20, "NO_SHARED_LANGUAGE": 6}
    assert decision["reach"] == {"counts": counts, "within_m": None}
    for other in (await api.friend("f1"), api.client(booking["token"])):
        assert (await other.get(path)).status_code in (401, 403, 404)


async def test_a_friend_learns_why_there_was_no_offer(api):
    await api.book()
    await api.book()
    friend = await api.friend("f6")
    page = (await friend.get("/v1/me/why", limit=1)).json()
    [line] = page["items"]
    assert line["outcome"] == "NOT_NEAR_ENOUGH"
    assert set(line) == {"booking_id", "round", "at", "package", "outcome"}
    rest = (await friend.get("/v1/me/why", cursor=page["next_cursor"])).json()
    assert len(rest["items"]) == 1
    assert rest["items"][0]["booking_id"] != line["booking_id"]


async def test_customer_and_friend_get_the_appointment_as_a_file(api, clock, problem):
    booking, _ = await api.win()
    friend, customer = await api.friend("f1"), api.client(booking["token"])
    at = f"/v1/bookings/{booking['id']}"
    problem(await customer.get(f"{at}/appointment.ics"), 404, "not-found")
    await friend.post(f"{at}/contacted")
    tomorrow = (await clock.now() + timedelta(days=1)).isoformat()
    await friend.post(f"{at}/appointment", {"starts_at": tomorrow})
    revision = (await customer.get(at)).json()["appointment"]["revision"]
    for caller, mail in ((friend, "f1@example.org"), (customer, "vera@example.com")):
        file = await caller.get(f"{at}/appointment.ics")
        assert file.headers["content-type"].startswith("text/calendar")
        unfolded = file.text.replace("\r\n ", "")
        assert mail in unfolded
        assert "Bahnhofstrasse 1" in unfolded
        assert f"\r\nSEQUENCE:{revision}\r\n" in unfolded
    problem(await (await api.friend("f2")).get(f"{at}/appointment.ics"), 404, "not-found")


async def test_appointments_of_one_friend_do_not_overlap(api, clock, problem):
    friend = await api.friend("f1")
    start = await clock.now() + timedelta(days=1)
    taken = []
    for _ in range(2):
        booking, _ = await api.win()
        await friend.post(f"/v1/bookings/{booking['id']}/contacted")
        taken.append(f"/v1/bookings/{booking['id']}/appointment")
    await friend.post(taken[0], {"starts_at": start.isoformat()})
    result = problem(
        await friend.post(taken[1], {"starts_at": start.isoformat()}), 409, "appointment-overlaps"
    )
    assert result["errors"][0]["field"] == "starts_at"
    past = (start - timedelta(days=2)).isoformat()
    problem(await friend.post(taken[1], {"starts_at": past}), 422, "appointment-unfit")


async def test_a_friend_at_capacity_cannot_accept(api, owner, problem):
    booking = await api.book()
    offers = await api.offers(booking)
    await owner.execute("UPDATE friends SET open_jobs = 1, capacity = 1 WHERE ref = 'f1'")
    friend = await api.friend("f1")
    problem(await friend.post(f"/v1/offers/{offers['f1']}/accept"), 409, "at-capacity")
