"""Messages between customer and friend, through HTTP: who sees which, and what others never see."""

from datetime import timedelta

import pytest

from dispatch.flows import maintenance
from dispatch.rules.policy import POLICY
from tests.builders import SIGNATURE
from tests.flows.invariants import check_invariants

HOSTILE = "<b>x</b> https://evil.example/\u202etxt.exe \u200b line\nnext"


async def both(api, ref="f1"):
    """A job that a friend has: its address, and the two who may write."""
    booking, _ = await api.win(ref)
    at = f"/v1/bookings/{booking['id']}"
    return at, await api.friend(ref), api.client(booking["token"])


async def texts(caller, at):
    return [one["text"] for one in (await caller.get(f"{at}/messages")).json()["items"]]


async def test_both_read_in_order_what_both_wrote_and_count_what_is_unread(api, owner):
    at, friend, customer = await both(api)
    for caller, text in [(friend, "One"), (friend, HOSTILE), (customer, "Three")]:
        sent = await caller.post(f"{at}/messages", {"text": text})
        assert sent.status_code == 201, sent.text
    for caller, unread in ((friend, 1), (customer, 0)):
        thread = (await caller.get(f"{at}/messages")).json()
        assert [(one["seq"], one["by"], one["text"]) for one in thread["items"]] == [
            (1, "friend", "One"),
            (2, "friend", HOSTILE),
            (3, "customer", "Three"),
        ]
        assert (thread["unread"], thread["is_open"], thread["open_until"]) == (unread, True, None)
    [item] = (await friend.get("/v1/me/messages")).json()["items"]
    assert (item["unread"], item["last_by"], item["customer"]) == (1, "customer", "Vera Beispiel")
    assert (await friend.post(f"{at}/messages/read", {"up_to": 3})).status_code == 204
    [item] = (await friend.get("/v1/me/messages")).json()["items"]
    assert item["unread"] == 0
    page = (await customer.get(f"{at}/messages", after=1, limit=1)).json()
    assert ([one["seq"] for one in page["items"]], page["next_cursor"]) == ([2], "2")
    await check_invariants(owner)


async def test_a_repeated_send_is_one_message_and_its_stored_answer_has_no_text(api, owner):
    at, friend, customer = await both(api)
    for _ in range(2):
        sent = await friend.post(f"{at}/messages", {"text": "Once"}, Idempotency_Key="k1")
        assert sent.json()["seq"] == 1
    assert await texts(customer, at) == ["Once"]
    assert "Once" not in str(await owner.fetch("SELECT body FROM answers"))


@pytest.mark.parametrize("text", ["", "   ", "\u200b\u202e", "a\x00b", "a\x1b[2Jb", "x" * 2001])
async def test_an_unfit_text_is_refused_with_its_field_and_cure(api, problem, text):
    at, _, customer = await both(api)
    refused = problem(
        await customer.post(f"{at}/messages", {"text": text}), 422, "validation-failed"
    )
    assert refused["errors"][0]["field"] == "text"
    assert refused["errors"][0]["cure"]


async def test_the_next_friend_has_another_thread_and_the_former_sees_none(api, problem):
    at, friend, customer = await both(api)
    await friend.post(f"{at}/messages", {"text": "Mine"})
    assert (await friend.post(f"{at}/hand-back", {"reason": "no_time"})).status_code == 200
    problem(await friend.get(f"{at}/messages"), 404, "not-found")
    problem(await friend.post(f"{at}/messages", {"text": "Still here?"}), 404, "not-found")
    problem(await customer.post(f"{at}/messages", {"text": "Anybody?"}), 409, "wrong-state")
    assert (await friend.get("/v1/me/messages")).json()["items"] == []
    booking = {"id": at.rpartition("/")[2]}
    offer = (await api.offers(booking))["f2"]
    other = await api.friend("f2")
    assert (await other.post(f"/v1/offers/{offer}/accept")).status_code == 200
    assert await texts(other, at) == await texts(customer, at) == []
    await other.post(f"{at}/messages", {"text": "Yours"})
    assert await texts(customer, at) == ["Yours"]
    desk = await api.operator()
    seen = (await desk.get(f"/v1/desk{at.removeprefix('/v1')}/messages")).json()["items"]
    assert [one["text"] for one in seen] == ["Mine", "Yours"]
    assert len({one["award_id"] for one in seen}) == 2


async def test_the_desk_reads_with_a_line_in_the_audit_and_a_partner_sees_nothing(api, owner):
    partner = await api.partner()
    booking, _ = await api.win("f1")
    at, friend = f"/v1/bookings/{booking['id']}", await api.friend("f1")
    await owner.execute(
        "UPDATE bookings SET partner_id = (SELECT id FROM partners) WHERE id::text = $1",
        booking["id"],
    )
    await friend.post(f"{at}/messages", {"text": "Hush"})
    assert (await partner.get(f"{at}/messages")).status_code == 403
    events = (await partner.get(f"{at}/events")).json()["items"]
    assert [one["seq"] for one in events] == [1, 2, 3], "nothing of it, not even a gap"
    assert "messages" not in (await partner.get(at)).text
    desk = await api.operator()
    await desk.get(f"/v1/desk/bookings/{booking['id']}/messages")
    acts = "SELECT count(*) FROM audit WHERE act = 'messages.read' AND subject = $1"
    assert await owner.fetchval(acts, booking["id"]) == 1


async def test_it_is_read_only_some_days_after_the_end(api, clock, problem):
    at, friend, customer = await both(api)
    await friend.post(f"{at}/messages", {"text": "Before"})
    await friend.post(f"{at}/contacted")
    done = {"summary": "Done.", "minutes": 5, "signature": SIGNATURE}
    assert (await friend.post(f"{at}/complete", done)).status_code == 200
    assert (await customer.post(f"{at}/messages", {"text": "Thanks"})).status_code == 201
    await clock.advance(POLICY.messages_for)
    problem(await customer.post(f"{at}/messages", {"text": "Late"}), 409, "thread-closed")
    thread = (await customer.get(f"{at}/messages")).json()
    assert ([one["text"] for one in thread["items"]], thread["is_open"]) == (
        ["Before", "Thanks"],
        False,
    )
    problem(await friend.get(f"{at}/messages"), 404, "not-found")


async def test_texts_are_emptied_days_after_the_end_and_an_open_job_keeps_them(api, clock, owner):
    at, friend, customer = await both(api)
    await friend.post(f"{at}/messages", {"text": "Kept while it is open"})
    await friend.post(f"{at}/contacted")
    await clock.advance(POLICY.messages_kept)
    await maintenance.empty_old_messages(api.rt)
    assert await texts(customer, at) == ["Kept while it is open"]
    done = {"summary": "Done.", "minutes": 5, "signature": SIGNATURE}
    api.tokens.clear()  # the sessions have ended meanwhile
    friend = await api.friend("f1")
    assert (await friend.post(f"{at}/complete", done)).status_code == 200
    await customer.post(f"{at}/messages", {"text": "Thanks"})
    kept = "SELECT text FROM thread_notes ORDER BY seq"
    for wait, left in (
        (POLICY.messages_kept, ["Kept while it is open", "Thanks"]),
        (timedelta(microseconds=1), [None, None]),
    ):
        await clock.advance(wait)
        await maintenance.empty_old_messages(api.rt)
        assert [row["text"] for row in await owner.fetch(kept)] == left


@pytest.mark.parametrize("how", ["answered", "read"])
async def test_a_message_that_the_customer_answered_is_evidence_in_a_contest(api, problem, how):
    at, friend, customer = await both(api)
    await friend.post(f"{at}/messages", {"text": "May I call at six?"})
    await friend.post(f"{at}/contacted")
    assert (await customer.post(f"{at}/not-called")).json()["contact_contest"] == "open"
    odd = await friend.post(f"{at}/contact-evidence", {})
    assert problem(odd, 422, "evidence-unfit")["errors"][0]["field"] == "called_at"
    if how == "read":
        await customer.post(f"{at}/messages/read", {"up_to": 1})
    else:
        await customer.post(f"{at}/messages", {"text": "Nobody has called."})
    for _ in range(2):
        answered = (await friend.post(f"{at}/contact-evidence", {})).json()
        assert answered["contact_contest"] == "answered"
    assert (await customer.get(at)).json()["called_at"] is None
    desk = await api.operator()
    events = (await desk.get(f"{at}/events")).json()["items"]
    assert events[-1]["data"]["evidence"] == "messages"


async def test_the_letter_waits_for_the_end_of_a_burst_and_is_dropped_when_all_is_read(
    api, clock, owner
):
    at, friend, customer = await both(api)
    for text in ("One", "Two"):
        await friend.post(f"{at}/messages", {"text": text})
    pending = "SELECT template, data::text, next_at FROM messages WHERE template = 'written'"
    [letter] = await owner.fetch(pending)
    assert letter["next_at"] == await clock.now() + POLICY.letter_after
    assert "One" not in letter["data"]
    await customer.post(f"{at}/messages/read", {"up_to": 2})
    assert (await customer.get(at)).json()["contacted_at"] is not None
    assert timedelta(0) < POLICY.letters_every
