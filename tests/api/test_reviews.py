"""Reviews both ways: double-blind, one reply, reports decided by a person; the public profile."""

from datetime import timedelta

import pytest

from data.enums import OperatorRole
from tests.api.test_openapi import OF_REVIEWS, examples

COMMENT = "Friendly, and it works."
TELEPHONE = "Never offered me a coffee."


async def complete(api, clock, ref="f1", **changes):
    """A completed booking: its path, and a client for each side."""
    booking, _ = await api.win(ref, **changes)
    friend, at = await api.friend(ref), f"/v1/bookings/{booking['id']}"
    assert (await friend.post(f"{at}/contacted")).status_code == 200
    await clock.advance(timedelta(hours=3))
    done = await friend.post(f"{at}/complete", {"summary": "Done.", "minutes": 40})
    assert done.status_code == 200, done.text
    return at, api.client(booking["token"]), friend


async def rate(customer, at, stars=4, comment=COMMENT):
    answer = await customer.post(f"{at}/rating", {"stars": stars, "comment": comment})
    assert answer.status_code == 201, answer.text


async def review(friend, at, stars=2, comment=TELEPHONE):
    answer = await friend.post(f"{at}/customer-review", {"stars": stars, "comment": comment})
    assert answer.status_code == 204, answer.text


async def seen(caller, at):
    found = (await caller.get(f"{at}/reviews")).json()["items"]
    return {one["own"]: one["comment"] for one in found}


async def mean(friend):
    return (await friend.get("/v1/me/profile")).json()["rating"]


async def test_neither_side_sees_the_others_review_until_both_are_in(api, clock, owner):
    at, customer, friend = await complete(api, clock)
    await rate(customer, at)
    assert await seen(friend, at) == {}
    assert await seen(customer, at) == {True: COMMENT}
    assert (await mean(friend))["count"] == 0
    assert (await friend.get(at)).json()["stars"] is None
    letter = "SELECT data::text FROM messages WHERE template = 'rated'"
    assert "4" not in await owner.fetchval(letter)
    await review(friend, at)
    assert await seen(friend, at) == {True: TELEPHONE, False: COMMENT}
    assert await seen(customer, at) == {True: COMMENT, False: TELEPHONE}
    assert await mean(friend) == {"stars": 4.0, "count": 1}


async def test_a_review_alone_is_shown_when_the_time_to_review_is_over(api, clock, problem):
    at, customer, friend = await complete(api, clock)
    await review(friend, at)
    until = (await customer.get(f"{at}/reviews")).json()["reviewable_until"]
    within = api.rt.policy.review_within
    await clock.advance(within - timedelta(seconds=30))
    assert await seen(customer, at) == {}
    await clock.advance(timedelta(seconds=30))
    assert await seen(customer, at) == {False: TELEPHONE}
    problem(await customer.post(f"{at}/rating", {"stars": 1}), 409, "review-over")
    assert until is not None


async def test_each_side_reviews_once_and_only_a_completed_job(api, clock, problem):
    booking, _ = await api.win("f2")
    waiting = f"/v1/bookings/{booking['id']}/customer-review"
    other = await api.friend("f2")
    problem(await other.post(waiting, {"stars": 5}), 409, "wrong-state")
    at, _, friend = await complete(api, clock)
    await review(friend, at)
    again = await friend.post(f"{at}/customer-review", {"stars": 5})
    problem(again, 409, "already-rated")
    problem(await other.post(f"{at}/customer-review", {"stars": 5}), 404, "not-found")
    for bad in ({"stars": 0}, {"stars": 6}, {"stars": "5"}, {}, {"stars": 5, "comment": "\0"}):
        problem(await friend.post(f"{at}/customer-review", bad), 422, "validation-failed")
    long = {"stars": 5, "comment": "x" * 1001}
    found = problem(await friend.post(f"{at}/customer-review", long), 422, "validation-failed")
    assert found["errors"][0]["field"] == "comment"


async def test_the_reviewed_reply_once_to_what_is_shown(api, clock, problem):
    at, customer, friend = await complete(api, clock)
    reply = {"text": "Thank you!"}
    problem(await friend.post(f"{at}/reviews/reply", reply), 409, "no-review-shown")
    await rate(customer, at)
    problem(await friend.post(f"{at}/reviews/reply", reply), 409, "no-review-shown")
    await review(friend, at)
    assert (await friend.post(f"{at}/reviews/reply", reply)).status_code == 204
    problem(await friend.post(f"{at}/reviews/reply", reply), 409, "already-rated")
    [own] = [one for one in (await customer.get(f"{at}/reviews")).json()["items"] if one["own"]]
    assert own["reply"] == "Thank you!"


@pytest.mark.parametrize("hide", ["personal_data", None])
async def test_a_report_is_decided_by_a_person_with_a_reason_and_a_letter_to_both(
    api, clock, owner, problem, hide
):
    at, customer, friend = await complete(api, clock)
    await rate(customer, at)
    await review(friend, at)
    desk = await api.operator(OperatorRole.COMMUNITY)
    decision = {"by_friend": False, "hide": hide}
    decide = f"/v1/desk{at.removeprefix('/v1')}/review-decision"
    problem(await desk.post(decide, decision), 404, "not-found")
    for _ in range(2):
        reported = await friend.post(f"{at}/reviews/report", {"text": "It names my street."})
        assert reported.status_code == 204
    [waiting] = (await desk.get("/v1/desk/reviews")).json()["items"]
    assert (waiting["comment"], waiting["report"]) == (COMMENT, "It names my street.")
    assert (await desk.post(decide, decision)).status_code == 204
    assert (await desk.get("/v1/desk/reviews")).json()["items"] == []
    template = "review_hidden" if hide else "review_kept"
    letters = "SELECT audience::text FROM messages WHERE template = $1 ORDER BY 1"
    assert [row[0] for row in await owner.fetch(letters, template)] == ["customer", "friend"]
    assert (False in await seen(friend, at)) is (hide is None)
    assert (await mean(friend))["count"] == (0 if hide else 1)
    [own] = [one for one in (await customer.get(f"{at}/reviews")).json()["items"] if one["own"]]
    assert own["hidden"] == hide


async def test_the_profile_is_for_the_customer_of_a_job_and_shows_what_is_shown(
    api, clock, problem
):
    at, customer, friend = await complete(api, clock)
    stranger = api.client((await api.book())["token"])
    problem(await stranger.get(f"{at}/friend"), 404, "not-found")
    await rate(customer, at)
    profile = (await customer.get(f"{at}/friend")).json()
    assert (profile["first_name"], profile["jobs"], profile["stars"]) == ("F1", 1, None)
    assert profile["reviews"] == []
    await review(friend, at)
    profile = (await customer.get(f"{at}/friend")).json()
    assert (profile["stars"], profile["ratings"]) == (4.0, 1)
    month = f"{await clock.now():%Y-%m}"
    shown = {"stars": 4, "comment": COMMENT, "month": month, "reply": None}
    assert profile["reviews"] == [shown]
    german = {"headers": {"Accept-Language": "de"}}
    assert (await friend.send("GET", "/v1/me/public-profile", **german)).json() == profile
    assert {one["code"] for one in profile["certificates"]} >= {"wifi"}
    waiting = await api.book()
    own = api.client(waiting["token"])
    problem(await own.get(f"/v1/bookings/{waiting['id']}/friend"), 404, "not-found")


async def test_an_erased_side_leaves_stars_without_text(api, clock, owner):
    at, customer, friend = await complete(api, clock)
    await rate(customer, at)
    await review(friend, at)
    assert (await friend.post(f"{at}/reviews/reply", {"text": "Thanks."})).status_code == 204
    desk = await api.operator()
    booking = {"person": at.rpartition("/")[2]}
    whole = (await desk.post("/v1/desk/people/export", booking)).json()["items"][0]
    assert whole["reviews_of_oneself"][0]["comment"] == TELEPHONE
    assert (await desk.post("/v1/desk/people/erase", booking)).status_code == 200
    texts = "SELECT stars, comment, reply FROM reviews ORDER BY by_friend"
    assert [tuple(row) for row in await owner.fetch(texts)] == [(4, None, None), (2, None, None)]


async def test_no_export_tells_what_the_other_side_says_before_it_is_shown(api, clock):
    at, customer, friend = await complete(api, clock)
    await review(friend, at)
    account, desk = await api.account(), await api.operator()

    async def told():
        own = (await account.get("/v1/account/export")).json()["items"]
        whole = await desk.post("/v1/desk/people/export", {"person": "f1"})
        [helper] = whole.json()["items"]
        of_customer = [one["comment"] for item in own for one in item["reviews_of_oneself"]]
        return of_customer, [one["comment"] for one in helper["ratings_received"]]

    assert await told() == ([], [])
    await rate(customer, at)
    assert await told() == ([TELEPHONE], [COMMENT])


async def test_the_examples_of_reviews_work(api, clock):
    at, customer, friend = await complete(api, clock)
    bodies = {name: one for name, one in examples().items() if name in OF_REVIEWS}
    await rate(customer, at)
    desk = await api.operator()
    for caller, path, name in (
        (friend, f"{at}/customer-review", "review_customer"),
        (friend, f"{at}/reviews/reply", "reply_to_review"),
        (friend, f"{at}/reviews/report", "report_review"),
        (desk, f"/v1/desk{at.removeprefix('/v1')}/review-decision", "decide_review"),
    ):
        answer = await caller.post(path, bodies[name])
        assert answer.status_code == 204, (name, answer.text)
