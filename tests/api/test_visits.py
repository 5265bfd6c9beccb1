"""From the award to the visit, through HTTP: fees, missed calls, other times."""

from datetime import datetime, timedelta

from dispatch.rules.jobs.events import EVENTS
from tests.builders import SIGNATURE
from tests.flows.invariants import check_invariants

SIGNED_DONE = {"summary": "Done.", "minutes": 5, "signature": SIGNATURE}

FEE = {"amount": 1725, "currency": "CHF"}
FREE = {"amount": 0, "currency": "CHF"}


async def schedule_job(api, clock, *, ahead: timedelta, **changes):
    """A job accepted and contacted by f1, with an appointment."""
    booking, _ = await api.win("f1", **changes)
    at, winner = f"/v1/bookings/{booking['id']}", await api.friend("f1")
    assert (await winner.post(f"{at}/contacted")).status_code == 200
    starts_at = (await clock.now() + ahead).isoformat()
    agreed = await winner.post(f"{at}/appointment", {"starts_at": starts_at})
    assert agreed.status_code == 200, agreed.text
    return at, winner, api.client(booking["token"])


async def test_the_fee_is_stated_before_fixed_at_the_cancel_and_charged_once(
    api, clock, owner, problem
):
    at, winner, customer = await schedule_job(api, clock, ahead=timedelta(hours=25))
    seen = (await customer.get(at)).json()
    free_until = datetime.fromisoformat(seen["cancellation"]["free_until"])
    assert seen["cancellation"]["fee"] == FREE
    assert free_until - datetime.fromisoformat(seen["server_time"]) == timedelta(hours=1)
    await clock.set(free_until)
    assert (await customer.get(at)).json()["cancellation"]["fee"] == FEE

    for unseen in ({"reason": "other"}, {"reason": "other", "fee_minor_max": 1724}):
        refused = problem(await customer.post(f"{at}/cancel", unseen), 409, "fee-changed")
        assert refused["fee"] == FEE
        assert refused["errors"][0]["field"] == "fee_minor_max"
    assert (await customer.get(at)).json()["state"] == "scheduled"

    for most in (1725, 0):
        done = await customer.post(f"{at}/cancel", {"fee_minor_max": most})
        assert done.status_code == 200, done.text
        assert done.json()["cancel_fee"] == FEE
        assert done.json()["cancellation"] is None
    [charge] = await owner.fetch("SELECT price_minor, pay_minor, friend_id FROM charges")
    assert tuple(charge) == (1725, 1380, api.friends["f1"])
    [earned] = (await winner.get("/v1/me/earnings")).json()["items"]
    assert (earned["cause"], earned["reversed_at"]) == ("late_cancel", None)
    assert earned["pay"] == {"amount": 1380, "currency": "CHF"}
    assert (await winner.get("/v1/me/jobs")).json()["items"] == []
    own = (await customer.get(f"{at}/events")).json()["items"][-1]["data"]
    assert own == {"reason": "other", "fee_minor": 1725}
    whole = (await (await api.operator()).get(f"{at}/events")).json()["items"][-1]["data"]
    assert whole["share_minor"] == 1380


async def test_the_desk_cancels_without_a_fee(api, clock, owner):
    at, _, _ = await schedule_job(api, clock, ahead=timedelta(hours=3))
    desk = await api.operator()
    assert (await desk.get(at)).json()["cancellation"] == {"fee": FREE, "free_until": None}
    assert (await desk.post(f"{at}/cancel", {})).json()["cancel_fee"] == FREE
    assert await owner.fetchval("SELECT count(*) FROM charges") == 0


async def test_a_job_under_way_cannot_be_cancelled_and_has_no_fee(api, clock):
    at, winner, customer = await schedule_job(api, clock, ahead=timedelta(hours=3))
    await winner.post(f"{at}/start")
    seen = (await customer.get(at)).json()
    assert (seen["cancellation"], seen["cancel_fee"]) == (None, None)


async def test_a_customer_without_a_call_reminds_the_friend_or_alerts_the_desk(api, owner):
    waiting, _ = await api.win("f1")
    claimed, _ = await api.win("f2")
    await (await api.friend("f2")).post(f"/v1/bookings/{claimed['id']}/contacted")
    for booking in (waiting, claimed):
        at, customer = f"/v1/bookings/{booking['id']}", api.client(booking["token"])
        result = [(await customer.post(f"{at}/not-called")).json() for _ in range(2)]
        assert result[0]["disputed_at"] is not None
        assert result[0]["disputed_at"] == result[1]["disputed_at"]
    messages = await owner.fetch(
        "SELECT booking_id::text FROM messages WHERE template = $1", "customer_waits"
    )
    assert [row["booking_id"] for row in messages] == [waiting["id"]]
    events = "SELECT booking_id::text, data FROM events WHERE kind = 'contact.disputed'"
    claims = {row["booking_id"]: row["data"]["claimed"] for row in await owner.fetch(events)}
    assert claims == {waiting["id"]: False, claimed["id"]: True}


async def test_a_reminded_friend_who_only_claims_contact_is_in_the_desks_queue(api):
    booking, _ = await api.win("f1")
    at, customer = f"/v1/bookings/{booking['id']}", api.client(booking["token"])
    desk = await api.operator()

    async def waiting():
        queues = await desk.get("/v1/desk/queues")
        return queues.json()["disputed"]

    await customer.post(f"{at}/not-called")
    await (await api.friend("f1")).post(f"{at}/contacted")
    assert (await customer.get(at)).json()["disputed_at"] is None
    assert await waiting() == 0
    assert (await customer.post(f"{at}/not-called")).json()["disputed_at"] is not None
    assert await waiting() == 1


async def test_another_time_is_requested_shown_only_to_the_friend_and_answered(api, clock, owner):
    at, winner, customer = await schedule_job(api, clock, ahead=timedelta(days=3))
    asked = {"wishes": ["evening"], "note": "After six, Vera."}
    result = (await customer.post(f"{at}/move", asked)).json()
    assert result["move_asked_at"] == result["server_time"]
    assert (result["move_wishes"], result["move_note"]) == (["evening"], "After six, Vera.")
    [job] = (await winner.get("/v1/me/jobs")).json()["items"]
    assert (job["move_wishes"], job["move_note"]) == (["evening"], "After six, Vera.")
    everything = "SELECT string_agg(to_jsonb(e)::text, '') FROM (SELECT data FROM {}) AS e"
    for table in ("events", "messages"):
        assert "Vera" not in await owner.fetchval(everything.format(table))

    other = (await clock.now() + timedelta(days=4)).isoformat()
    await winner.post(f"{at}/appointment", {"starts_at": other})
    seen = (await customer.get(at)).json()
    assert (seen["move_asked_at"], seen["move_wishes"], seen["move_note"]) == (None, [], None)


async def test_the_note_about_another_time_is_deleted_with_the_award(api, clock, owner):
    at, winner, customer = await schedule_job(api, clock, ahead=timedelta(days=3))
    await customer.post(f"{at}/move", {"wishes": ["evening"], "note": "Not while my son is here."})
    assert (await winner.post(f"{at}/hand-back", {"reason": "no_time"})).status_code == 200
    assert await owner.fetchval("SELECT count(*) FROM people WHERE move_note IS NOT NULL") == 0
    assert (await customer.get(at)).json()["move_note"] is None


async def test_on_the_way_is_idempotent_and_cleared_by_a_new_appointment(api, clock):
    at, winner, customer = await schedule_job(api, clock, ahead=timedelta(hours=2))
    first = (await winner.post(f"{at}/on-the-way")).json()
    await clock.advance(timedelta(minutes=5))
    assert (await winner.post(f"{at}/on-the-way")).json() == first
    assert (await customer.get(at)).json()["on_the_way_at"] == first["on_the_way_at"]
    later = (await clock.now() + timedelta(hours=5)).isoformat()
    moved = await winner.post(f"{at}/appointment", {"starts_at": later})
    assert moved.json()["on_the_way_at"] is None


async def test_on_the_way_can_be_taken_back(api, clock):
    at, winner, customer = await schedule_job(api, clock, ahead=timedelta(hours=9))
    await winner.post(f"{at}/on-the-way")
    for _ in range(2):
        answer = await winner.delete(f"{at}/on-the-way")
        assert (answer.status_code, answer.json()["on_the_way_at"]) == (200, None)
    assert (await customer.get(at)).json()["on_the_way_at"] is None
    story = (await customer.get(f"{at}/events")).json()["items"]
    assert [one["kind"] for one in story][-2:] == ["booking.on_the_way", "booking.not_on_the_way"]


async def test_the_signature_is_visible_to_the_desk_only(api, clock):
    at, winner, customer = await schedule_job(api, clock, ahead=timedelta(hours=2))
    signed = {"width": 300, "height": 100, "strokes": [[0, 0, 300, 100], [10.5, 20]]}
    body = {"summary": "Done.", "minutes": 5, "signature": signed}
    assert (await winner.post(f"{at}/complete", body)).status_code == 200
    desk = await api.operator()
    assert (await desk.get(at)).json()["signature"] == "M0 0L600 200M21 40L21 40"
    for caller in (customer, winner):
        assert (await caller.get(at)).json()["signature"] is None


async def test_done_before_a_visit_was_possible_is_refused_with_the_moment(api, clock, problem):
    booking, _ = await api.win("f1")
    at, winner = f"/v1/bookings/{booking['id']}", await api.friend("f1")
    await winner.post(f"{at}/contacted")
    started = await winner.post(f"{at}/start")
    possible = datetime.fromisoformat(started.json()["started_at"]) + timedelta(minutes=15)
    possible = possible.replace(microsecond=0)
    done = {"summary": "Done.", "minutes": 5}
    refused = problem(await winner.post(f"{at}/complete", done), 409, "completed-too-early")
    assert datetime.fromisoformat(refused["possible_at"]) == possible
    assert f"from {possible:%Y-%m-%dT%H:%M:%SZ} on" in refused["detail"]
    assert "signature" in refused["detail"]
    await clock.advance(timedelta(minutes=15))
    assert (await winner.post(f"{at}/complete", done)).json()["state"] == "completed"


async def contest(api, ref="f1", decide=None):
    """A completed job that its customer contests, and the desk's decision."""
    booking, _ = await api.win(ref)
    at, winner = f"/v1/bookings/{booking['id']}", await api.friend(ref)
    customer, desk = api.client(booking["token"]), await api.operator()
    await winner.post(f"{at}/contacted")
    await winner.post(f"{at}/complete", SIGNED_DONE)
    assert (await customer.get(at)).json()["contestable_until"]
    seen = (await customer.post(f"{at}/contest", {"reason": "nobody_came"})).json()
    assert (seen["state"], seen["contest"], seen["contestable_until"]) == (
        "completed",
        "open",
        None,
    )
    queue = (await desk.get("/v1/desk/bookings", queue="contested")).json()["items"]
    assert [one["id"] for one in queue] == [booking["id"]]
    if decide:
        assert (await desk.post(f"{at}/{decide}")).status_code == 200
        queue = (await desk.get("/v1/desk/bookings", queue="contested")).json()
        assert queue["items"] == []
    return at, winner, customer


async def test_a_completion_that_the_desk_upholds_stays_and_is_contested_once(api, problem):
    at, winner, customer = await contest(api, decide="uphold")
    seen = (await customer.get(at)).json()
    assert (seen["state"], seen["contest"]) == ("completed", "upheld")
    problem(await customer.post(f"{at}/contest", {"reason": "other"}), 409, "contest-over")
    again = await winner.post(f"{at}/complete", SIGNED_DONE)
    assert again.json()["state"] == "completed"


async def test_the_rating_of_a_reopened_job_is_void_and_the_next_completion_rated_anew(
    api, problem
):
    at, _, customer = await contest(api)
    assert (await customer.post(f"{at}/rating", {"stars": 1})).status_code == 201
    desk, second = await api.operator(), await api.friend("f2")
    assert (await desk.post(f"{at}/reopen")).status_code == 200
    assert (await customer.get(at)).json()["stars"] is None
    await desk.post(f"{at}/award", {"friend": "f2"})
    await second.post(f"{at}/contacted")
    await second.post(f"{at}/complete", SIGNED_DONE)
    assert (await customer.post(f"{at}/rating", {"stars": 4})).status_code == 201
    problem(await customer.post(f"{at}/rating", {"stars": 5}), 409, "already-rated")
    assert (await customer.get(at)).json()["stars"] == 4
    rated = [(await desk.get(f"/v1/desk/friends/{api.friends[f]}")).json() for f in ("f1", "f2")]
    assert [(one["stars"], one["ratings"]) for one in rated] == [(None, 0), (4.0, 1)]


async def test_a_reopened_job_is_offered_again_its_charge_reversed_and_made_anew(api, owner):
    at, winner, customer = await contest(api, decide="reopen")
    seen = (await customer.get(at)).json()
    assert (seen["state"], seen["contest"], seen["friend"]) == ("open", None, None)
    assert (await winner.post(f"{at}/complete", SIGNED_DONE)).status_code == 404
    desk = await api.operator()
    await desk.post(f"{at}/award", {"friend": "f2"})
    second = await api.friend("f2")
    await second.post(f"{at}/contacted")
    assert (await second.post(f"{at}/complete", SIGNED_DONE)).status_code == 200
    left = await owner.fetch(
        "SELECT c.no, c.friend_id, r.at IS NOT NULL AS reversed FROM charges c "
        "LEFT JOIN reversals r ON (r.booking_id, r.no) = (c.booking_id, c.no) ORDER BY c.no"
    )
    f1, f2 = api.friends["f1"], api.friends["f2"]
    assert [tuple(one) for one in left] == [(1, f1, True), (2, f2, False)]
    assert (await customer.get(at)).json()["contestable_until"]
    await check_invariants(owner)


INVALID_STROKES = [
    ([], "strokes"),
    ([[1, 2, 3]], "strokes.0"),
    ([[1, 2], [601, 2]], "strokes.1"),
    ([[1, 201]], "strokes.0"),
    ([[-1, 2]], "strokes.0.0"),
    ([["1", 2]], "strokes.0.0"),
    ([[1, 2]] * 201, "strokes"),
    ([[1, 2] * 4000, [1, 2]], "strokes"),
]


async def test_an_invalid_signature_is_refused_by_field(api, clock, problem):
    at, winner, _ = await schedule_job(api, clock, ahead=timedelta(hours=2))
    for strokes, field in INVALID_STROKES:
        signed = {"width": 600, "height": 200, "strokes": strokes}
        body = {"summary": "Done.", "minutes": 5, "signature": signed}
        result = problem(await winner.post(f"{at}/complete", body), 422, "validation-failed")
        assert result["errors"][0]["field"] == f"signature.{field}", strokes


async def test_the_largest_signature_is_stored(api, clock, owner):
    at, winner, _ = await schedule_job(api, clock, ahead=timedelta(hours=2))
    signed = {"width": 600, "height": 200, "strokes": [[600, 200] * 20] * 200}
    body = {"summary": "Done.", "minutes": 5, "signature": signed}
    assert (await winner.post(f"{at}/complete", body)).status_code == 200
    assert await owner.fetchval("SELECT max(length(signature)) FROM people") == 200 * 20 * 8


async def test_the_customer_sees_the_friends_languages_and_stars(api, clock):
    for stars in (5, 4, 4):
        at, winner, customer = await schedule_job(api, clock, ahead=timedelta(hours=2))
        await winner.post(
            f"{at}/complete", {"summary": "Done.", "minutes": 5, "signature": SIGNATURE}
        )
        await customer.post(f"{at}/rating", {"stars": stars})
        await winner.post(f"{at}/customer-review", {"stars": 5})
    booking, _ = await api.win("f1")
    seen = (await api.client(booking["token"]).get(f"/v1/bookings/{booking['id']}")).json()
    known = {"first_name": "F1", "languages": ["de", "en"], "stars": 4.3, "ratings": 3}
    known["photo"] = None
    assert seen["friend"] == known
    assert seen["asked_in_all"] == 4
    assert seen["cancellation"] == {"fee": FREE, "free_until": None}


async def test_a_job_has_its_distance_while_the_address_is_disclosed(api, clock):
    booking, _ = await api.win("f3")
    winner = await api.friend("f3")
    at = f"/v1/bookings/{booking['id']}"
    [job] = (await winner.get("/v1/me/jobs")).json()["items"]
    assert abs(job["distance_m"] - 300) <= 2
    assert job["server_time"]
    await winner.post(f"{at}/contacted")
    await winner.post(f"{at}/complete", {"summary": "Done.", "minutes": 5, "signature": SIGNATURE})
    await clock.advance(timedelta(days=14))
    [job] = (await winner.get("/v1/me/jobs")).json()["items"]
    assert (job["distance_m"], job["move_note"]) == (None, None)


async def test_a_job_names_the_moment_from_which_setting_out_is_not_early(api, clock):
    _, winner, _ = await schedule_job(api, clock, ahead=timedelta(hours=30))
    [job] = (await winner.get("/v1/me/jobs")).json()["items"]
    starts_at, leave_from = job["appointment"]["starts_at"], job["leave_from"]
    ahead = datetime.fromisoformat(starts_at) - datetime.fromisoformat(leave_from)
    assert ahead == api.rt.policy.early_departure


async def test_a_reported_delay_is_visible_until_a_new_appointment(api, clock, owner, problem):
    at, winner, customer = await schedule_job(api, clock, ahead=timedelta(hours=3))
    first = await winner.post(f"{at}/delay", {"minutes": 20})
    assert first.status_code == 200, first.text
    assert first.json()["delayed_minutes"] == 20
    assert (await winner.post(f"{at}/delay", {"minutes": 20})).json() == first.json()
    assert (await customer.get(at)).json()["delayed_minutes"] == 20
    [event] = [
        one
        for one in (await customer.get(f"{at}/events")).json()["items"]
        if one["kind"] == "booking.delayed"
    ]
    assert event["data"] == {"minutes": 20}
    assert await owner.fetchval("SELECT count(*) FROM messages WHERE template = 'delayed'") == 1
    [job] = (await winner.get("/v1/me/jobs")).json()["items"]
    assert job["delayed_minutes"] == 20

    refused = problem(await winner.post(f"{at}/delay", {"minutes": 3}), 422, "validation-failed")
    assert refused["errors"][0]["field"] == "minutes"
    later = (await clock.now() + timedelta(hours=5)).isoformat()
    await winner.post(f"{at}/appointment", {"starts_at": later})
    assert (await customer.get(at)).json()["delayed_minutes"] is None


async def test_the_numbers_of_the_policy_are_in_catalogue_booking_and_job(api, clock):
    [package] = [
        one
        for one in (await api.client().get("/v1/packages", market="CH")).json()["items"]
        if one["code"] == "wifi-setup"
    ]
    assert (package["fan_out"], package["contact_within_h"]) == (4, 12)
    at, winner, customer = await schedule_job(api, clock, ahead=timedelta(hours=3))
    seen = (await customer.get(at)).json()
    assert (seen["fan_out"], seen["contact_within_h"]) == (4, 12)
    [job] = (await winner.get("/v1/me/jobs")).json()["items"]
    assert job["contact_within_h"] == 12


async def test_every_event_is_a_declared_one(api, clock, owner):
    at, winner, customer = await schedule_job(api, clock, ahead=timedelta(hours=30))
    await customer.post(f"{at}/move", {"wishes": []})
    await winner.post(f"{at}/on-the-way")
    kinds = {row["kind"] for row in await owner.fetch("SELECT kind FROM events")}
    assert {"appointment.move_asked", "booking.on_the_way"} <= kinds <= EVENTS.keys()


async def test_a_contested_contact_is_answered_or_settled_and_its_queue_empties(
    api, clock, problem
):
    booking, _ = await api.win("f1")
    at, winner = f"/v1/bookings/{booking['id']}", await api.friend("f1")
    customer, desk = api.client(booking["token"]), await api.operator()
    await winner.post(f"{at}/contacted")
    seen = (await customer.post(f"{at}/not-called")).json()
    assert seen["contact_contest"] == "open"
    later = (await clock.now() + timedelta(hours=5)).isoformat()
    problem(await winner.post(f"{at}/appointment", {"starts_at": later}), 409, "contact-contested")
    odd = await winner.post(f"{at}/contact-evidence", {"called_at": later})
    assert problem(odd, 422, "evidence-unfit")["errors"][0]["field"] == "called_at"
    called = {"called_at": (await clock.now()).isoformat()}
    for _ in range(2):
        answered = await winner.post(f"{at}/contact-evidence", called)
        assert answered.json()["contact_contest"] == "answered"
    queued = "/v1/desk/bookings"
    assert len((await desk.get(queued, queue="disputed")).json()["items"]) == 1
    assert (await desk.post(f"{at}/uphold")).json()["contact_contest"] == "settled"
    assert (await desk.get(queued, queue="disputed")).json()["items"] == []
    assert (await customer.post(f"{at}/called")).status_code == 200
    assert (await winner.post(f"{at}/appointment", {"starts_at": later})).status_code == 200
