"""The rights of a person: export, erasure on request and by policy, and what the law keeps."""

import asyncio
import csv
import io
import re
from datetime import timedelta
from uuid import UUID

import pytest

from data.enums import Channel, OperatorRole
from data.markets import MARKETS, Market
from data.records.ids import OfferId, PersonId, customer_key
from data.records.jobs import Protocol
from data.store import rights as rights_store
from dispatch.flows import maintenance
from dispatch.flows.jobs import commands
from dispatch.flows.people import friends, rights, sessions
from dispatch.rules.refusals import NotFound
from scheduler.relay import Relay
from scheduler.retention import Retention
from scheduler.senders.mail import Mail
from tests.api.conftest import BOOKING, expect
from tests.api.test_reviews import complete, rate, review

ERASE, EXPORT = "/v1/desk/people/erase", "/v1/desk/people/export"
VERA = {"person": "Vera@example.com"}
# What identifies the customer of `tests.api.conftest.BOOKING`, and what others wrote.
WRITTEN = ("vera, may i", "vera writes", "vera was")
MARKS = (
    *("vera b", "vera@", "vera is", "vera says", "vera called", *WRITTEN),
    *("440001739", "ring twice"),
)
AWARD = """
    WITH o AS (UPDATE offers SET state = 'accepted', answered_at = moment()
               WHERE booking_id = $1 AND friend_id = $2 RETURNING *)
    INSERT INTO awards (id, booking_id, friend_id, offer_id, round, state, awarded_at,
                        contact_due_at, contact_within_s)
    SELECT id, booking_id, friend_id, id, round, 'live', moment(), moment() + interval '12 hours',
           43200 FROM o
"""
WAITING = """
    SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
    WHERE NOT l.granted AND a.datname = current_database()
"""
NOT_EXPORTED = {
    **dict.fromkeys(
        ["certificates", "exams", "packages", "prices", "partner_keys"], "of no person"
    ),
    **dict.fromkeys(
        ["postcodes", "geocodes", "transitions", "migrations", "clock", "policies"], "of no person"
    ),
    "package_versions": "of no person but the id of the operator who made one",
    "quotes": "names nobody",
    "companies": "of no person",
    "dispatchers": "for which company a person dispatches, as the journal of the person says",
    "timers": "deadlines, which follow from the events and certificates",
    "subjects": "counts the entries of a journal",
    "decisions": "says why others were asked; a friend sees their own outcome by the booking",
    "answers": "responses that repeat what is exported, kept for a day",
    "login_links": "secrets",
    "spent_challenges": "of no person",
    "file_contents": "of the pictures in `files`: those of nobody else are added in base64",
    "notices": "of no person: what a provider calls an errand, which is exported",
    "quotas": "hashes under the key of the service, kept for a day",
}
SENT_BY_CANCELLING = """
    SELECT m.template FROM messages m JOIN events e USING (booking_id, seq)
    WHERE e.kind = 'booking.cancelled' AND m.channel = 'mail' AND m.state = 'sent'
"""
OLD_BLOCK = """
    INSERT INTO audit (at, actor, act, subject, data)
    VALUES (moment(), 'desk', 'friend.blocked', $1, $2)
"""
TABLES = """
    SELECT table_name FROM information_schema.tables
    WHERE table_schema = 'tekkie' AND table_type = 'BASE TABLE'
"""


async def deliver_mails(api):
    relay = Relay(api.rt, {Channel.MAIL: Mail.of(api.rt)}, request_tick=lambda: None)
    for _ in range(30):
        await relay.tick()
        if not relay._under_way and not relay._outcomes:
            return
        if relay._under_way:
            await asyncio.wait(relay._under_way)


async def complete_visit(api, clock):
    """A booking that f1 has completed and the customer rated, with mails in the folder.

    The two have written to each other.
    """
    booking, _ = await api.win("f1")
    friend, at = await api.friend("f1"), f"/v1/bookings/{booking['id']}"
    assert (await friend.post(f"{at}/contacted")).status_code == 200
    customer = api.client(booking["token"])
    for author, text in ((friend, "Vera, may I come at six?"), (customer, "Vera writes: yes.")):
        assert (await author.post(f"{at}/messages", {"text": text})).status_code == 201
    await clock.advance(timedelta(hours=3))
    done = await friend.post(f"{at}/complete", {"summary": "Vera is online.", "minutes": 40})
    assert done.status_code == 200, done.text
    rated = await api.client(booking["token"]).post(
        f"{at}/rating", {"stars": 5, "comment": "Vera says thanks."}, Idempotency_Key="r1"
    )
    assert rated.status_code == 201
    said = {"stars": 5, "comment": "Vera was kind."}
    assert (await friend.post(f"{at}/customer-review", said)).status_code == 204
    desk = await api.operator()
    assert (await desk.post(f"{at}/notes", {"text": "Vera called."})).status_code == 201
    await deliver_mails(api)
    return booking


async def rows_with(owner, marks):
    """The tables and rows that hold any of these words."""
    return [
        (row["table_name"], found[0])
        for row in await owner.fetch(TABLES)
        for found in await owner.fetch(f"SELECT to_jsonb(t)::text FROM {row['table_name']} t")
        if any(mark in found[0].lower() for mark in marks)
    ]


def mails(api):
    folder = api.rt.settings.mail_folder
    return [path.read_bytes().decode() for path in folder.glob("*.eml")]


async def test_an_erased_customer_is_in_no_row_and_no_mail_and_the_ledger_stays(api, owner, clock):
    booking, desk = await complete_visit(api, clock), await api.operator()
    counts = "SELECT (SELECT count(*) FROM events), (SELECT sum(stars) FROM ratings)"
    before = await owner.fetchrow(counts)
    assert len(await rows_with(owner, MARKS)) >= 3
    assert any("To: vera@example.com" in mail for mail in mails(api))
    done = await desk.post(ERASE, VERA)
    assert done.status_code == 200, done.text
    assert (done.json()["erased"], done.json()["address_kept"]) == (1, 0)
    assert await rows_with(owner, MARKS) == []
    assert done.json()["mails_deleted"] >= 1
    assert not any("To: vera@example.com" in mail for mail in mails(api))
    assert any("To: f1@example.org" in mail for mail in mails(api))
    assert await owner.fetchrow(counts) == before
    charged = "SELECT price_minor FROM charges WHERE booking_id = $1"
    assert await owner.fetchval(charged, booking["id"]) == booking["price"]["amount"]
    seen = await api.client(booking["token"]).get(f"/v1/bookings/{booking['id']}")
    assert seen.json()["state"] == "completed"
    for path in (
        f"/v1/desk/bookings/{booking['id']}",
        f"/v1/desk/bookings/{booking['id']}/around",
        f"/v1/bookings/{booking['id']}/decisions?friend=f2",
        f"/v1/bookings/{booking['id']}",
        "/v1/desk/bookings",
        "/v1/desk/map",
    ):
        assert (await desk.get(path)).status_code == 200, path
    friend = await api.friend("f1")
    assert (await friend.get("/v1/me/jobs")).status_code == 200
    point = await owner.fetchrow("SELECT lat, lon FROM people WHERE name = '–'")
    cell = await owner.fetchrow("SELECT cell_lat, cell_lon FROM bookings")
    assert tuple(point) == tuple(cell)
    expect(await desk.post(ERASE, VERA), 404, "not-found")
    line = await owner.fetchrow("SELECT actor, data FROM journal WHERE kind = 'person.erased'")
    assert line["actor"].startswith("operator:")
    assert line["data"] == {"kept": []}


async def test_nobody_is_erased_while_a_job_is_open(api):
    booking, _ = await api.win("f1")
    desk = await api.operator()
    for person in ("vera@example.com", booking["id"], "f1", "f1@example.org"):
        refused = expect(await desk.post(ERASE, {"person": person}), 409, "still-needed")
        assert booking["id"] in refused["detail"]


async def test_nobody_is_erased_while_a_completion_is_contested(api, clock):
    booking, desk = await complete_visit(api, clock), await api.operator()
    contest = {"reason": "not_solved"}
    done = await api.client(booking["token"]).post(f"/v1/bookings/{booking['id']}/contest", contest)
    assert done.status_code == 200, done.text
    for person in ("vera@example.com", "f1"):
        refused = expect(await desk.post(ERASE, {"person": person}), 409, "still-needed")
        assert booking["id"] in refused["detail"]


async def test_a_job_accepted_during_an_erasure_is_seen_by_it_or_refused(api, owner):
    """The friend's row is locked by the one who was first."""
    booking = await api.book()
    person = PersonId(api.friends["f1"])
    async with owner.transaction():
        await owner.execute("SELECT FROM friends WHERE id = $1 FOR NO KEY UPDATE", person)
        erasing = asyncio.create_task(rights.erase(api.rt, "f1", actor="system"))
        await wait_for_lock(owner)
        await owner.execute(AWARD, booking["id"], person)
    with pytest.raises(rights.StillNeeded, match=booking["id"]):
        await erasing


async def test_an_accept_after_the_erasure_of_its_friend_is_refused(api, owner):
    """Even one whose session was read before."""
    offer = OfferId(UUID((await api.offers(await api.book()))["f1"]))
    await rights.erase(api.rt, "f1", actor="system")
    with pytest.raises(NotFound, match="no such friend"):
        await commands.accept(api.rt, offer, api.friends["f1"])
    assert await owner.fetchval("SELECT count(*) FROM awards") == 0


async def wait_for_lock(owner):
    """Return once another session of this database waits for a row."""
    while not await owner.fetchval(WAITING):  # noqa: ASYNC110
        await asyncio.sleep(0.01)


async def test_of_a_paid_friend_the_law_keeps_name_and_address_for_years(api, owner, clock):
    await complete_visit(api, clock)
    person = PersonId(api.friends["f1"])
    name = await owner.fetchval("SELECT name FROM people WHERE id = $1", person)
    assert any(name.split()[0] in mail for mail in mails(api) if "To: vera" in mail)
    token = await sessions.create_token(api.rt, person)
    done = await (await api.operator()).post(ERASE, {"person": "f1"})
    assert done.json()["address_kept"] == 1
    row = await owner.fetchrow("SELECT * FROM people WHERE id = $1", person)
    assert (row["name"], row["country"]) == (name, "CH")
    assert (row["phone"], row["lat"], row["notes"]) == (None, None, None)
    assert await rows_with(owner, ["f1@example.org", *WRITTEN]) == []
    assert not any(name in mail or "f1@example.org" in mail for mail in mails(api))
    assert await sessions.find_session(api.rt, token) is None
    assert api.rt.index.get(api.friends["f1"]) is None
    years = MARKETS[Market.CH].records_years
    for days, kept in ((365 * (years - 1), name), (3 * 365, "–")):
        await clock.advance(timedelta(days=days))
        await Retention(api.rt).tick()
        assert await owner.fetchval("SELECT name FROM people WHERE id = $1", person) == kept


async def test_of_an_unpaid_friend_nothing_stays(api, owner):
    desk = await api.operator()
    await owner.execute("UPDATE friends SET alarmed_at = moment() WHERE ref = 'f6'")
    await api.client().post("/v1/login-links", {"email": "f6@example.org", "kind": "friend"})
    assert (await desk.post(ERASE, {"person": "F6@example.org"})).json() == {
        "erased": 1,
        "address_kept": 0,
        "mails_deleted": 0,
    }
    assert await rows_with(owner, ["f6@", '"ref": "f6"']) == []
    assert await owner.fetchval("SELECT count(*) FROM account_mails") == 0
    assert await owner.fetchval("SELECT count(*) FROM friends WHERE alarmed_at IS NOT NULL") == 0


async def test_a_person_gets_everything_kept_and_no_secret(api, owner, clock):
    booking, desk = await complete_visit(api, clock), await api.operator()
    [whole] = (await desk.post(EXPORT, {"person": booking["id"]})).json()["items"]
    assert whole["person"]["name"] == "Vera Beispiel"
    assert whole["person"]["notes"] == "Third floor, ring twice."
    assert whole["bookings"][0]["id"] == booking["id"]
    assert whole["visits"][0]["summary"] == "Vera is online."
    assert whole["ratings_given"][0]["comment"] == "Vera says thanks."
    assert [one["text"] for one in whole["written"]] == ["Vera writes: yes."]
    assert [one["comment"] for one in whole["reviews_of_oneself"]] == ["Vera was kind."]
    assert len(whole["payments"]) == 1
    assert {one["act"] for one in whole["accesses"]} >= {"booking.noted"}
    [friend] = (await desk.post(EXPORT, {"person": "f1"})).json()["items"]
    assert friend["person"]["email"] == "f1@example.org"
    assert (len(friend["jobs"]), len(friend["ratings_received"])) == (1, 1)
    assert [one["text"] for one in friend["written"]] == ["Vera, may I come at six?"]
    assert friend["certificates"]
    assert friend["offers"]
    assert "token" not in str(friend["sessions"])
    acts = await owner.fetch("SELECT subject FROM audit WHERE act = 'person.exported'")
    assert [row["subject"] for row in acts] == [whole["person"]["id"], friend["person"]["id"]]


async def test_an_export_holds_no_review_that_is_not_shown_yet(api, clock):
    at, customer, friend = await complete(api, clock)
    desk = await api.operator()

    async def exported(person, part):
        [whole] = (await desk.post(EXPORT, {"person": person})).json()["items"]
        return [one["stars"] for one in whole[part]]

    booking = at.rpartition("/")[2]
    await rate(customer, at)
    assert await exported("f1", "ratings_received") == []
    assert await exported(booking, "ratings_given") == [4]
    await review(friend, at)
    assert await exported("f1", "ratings_received") == [4]
    assert await exported(booking, "reviews_of_oneself") == [2]
    otto = BOOKING["customer"] | {"name": "Otto Beispiel", "email": "otto@example.com"}
    at, _, friend = await complete(api, clock, "f2", customer=otto)
    await review(friend, at)
    other = at.rpartition("/")[2]
    assert await exported(other, "reviews_of_oneself") == []
    await clock.advance(api.rt.policy.review_within)
    assert await exported(other, "reviews_of_oneself") == [2]


async def test_an_export_lists_the_blocks_that_the_person_made_and_not_those_by_others(
    api, owner, clock
):
    booking, desk = await api.book(), await api.operator()
    key, exported = customer_key("vera@example.com"), {}
    for ref, by_friend in (("f1", True), ("f2", False), ("f3", False)):
        await clock.advance(timedelta(minutes=1))
        one = api.friends[ref]
        await friends.block_customer(api.rt, one, key, by_friend=by_friend, actor="desk")
        # An earlier release kept the line in the audit log.
        await owner.execute(OLD_BLOCK, str(one), {"by_friend": by_friend})
    for person in (booking["id"], "f1", "f2"):
        [exported[person]] = (await desk.post(EXPORT, {"person": person})).json()["items"]
    blocks = {person: whole["blocks"] for person, whole in exported.items()}
    assert [len(one) for one in blocks.values()] == [2, 1, 0]
    assert all(one.keys() == {"at"} for made in blocks.values() for one in made)
    assert blocks["f1"][0] not in blocks[booking["id"]]
    assert [one["data"] for one in exported["f1"]["journal"]] == [{"by_friend": True}]
    for person in (booking["id"], "f2"):
        del exported[person]["blocks"]
        assert not re.search("block|by_friend", str(exported[person]))
    # A gap in the numbers of the journal would tell of a block.
    assert "seq" not in exported["f1"]["journal"][0]


async def test_customers_are_erased_when_the_time_of_the_policy_is_over(api, owner, clock):
    await complete_visit(api, clock)
    await api.account()
    young = await api.book(customer={"name": "Otto", "email": "otto@example.com",
                                     "phone": "044 000 17 40", "language": "de"})  # fmt: skip
    await clock.advance(api.rt.policy.customers_kept - timedelta(days=1))
    retention = Retention(api.rt)
    await retention.tick()
    assert await rows_with(owner, ["vera@"])
    await api.client(young["token"]).post(
        f"/v1/bookings/{young['id']}/cancel", {"reason": "changed_mind"}
    )
    await clock.advance(timedelta(days=2))
    await retention.tick()
    assert await rows_with(owner, MARKS[:8]) == []
    assert await rows_with(owner, ["otto@"])
    assert not mails(api)
    assert (
        await owner.fetchval("SELECT actor FROM journal WHERE kind = 'person.erased'") == "system"
    )


async def begin_visit(api, verb, body=None):
    """Book, let a friend call, and then do this."""
    booking, _ = await api.win("f1")
    friend, at = await api.friend("f1"), f"/v1/bookings/{booking['id']}"
    assert (await friend.post(f"{at}/contacted")).status_code == 200
    done = await friend.post(f"{at}/{verb}", body)
    assert done.status_code == 200, done.text
    return booking


async def leave_unfilled(api, owner):
    await api.book()
    await owner.execute("UPDATE offers SET state = 'withdrawn', answered_at = moment()")
    await owner.execute("UPDATE bookings SET state = 'unfilled'")


async def leave_incomplete(api, owner):
    await begin_visit(api, "incomplete", {"reason": "needs_pro"})


async def leave_held(api, owner):
    await api.win("f1")


@pytest.mark.parametrize(
    ("leave", "letters"),
    [(leave_unfilled, []), (leave_incomplete, []), (leave_held, ["job_cancelled"])],
)
async def test_a_booking_that_nobody_ended_is_cancelled_before_its_customer_is_erased(
    api, owner, clock, leave, letters
):
    """A friend who still holds the job gets a letter; the customer gets none."""
    await leave(api, owner)
    await deliver_mails(api)
    await clock.advance(api.rt.policy.customers_kept + timedelta(days=1))
    await Retention(api.rt).tick()
    assert await rows_with(owner, MARKS[:8]) == []
    assert await owner.fetchval("SELECT state FROM bookings") == "cancelled"
    assert not mails(api)
    await deliver_mails(api)
    assert [row["template"] for row in await owner.fetch(SENT_BY_CANCELLING)] == letters
    assert len(mails(api)) == len(letters)
    assert all("To: f1@example.org" in mail for mail in mails(api))


async def test_an_erasure_that_failed_after_its_cancellation_is_made_at_the_next_turn(
    api, owner, clock, monkeypatch
):
    """Each is erased directly after its cancellation, so that a failure concerns one alone."""
    for _ in range(3):
        await api.book()
    await clock.advance(api.rt.policy.customers_kept + timedelta(days=1))
    retention, erase, calls = Retention(api.rt), rights.erase_customers, []

    async def fail_once(rt, customers):
        calls.append(customers)
        if len(calls) == 2:
            raise ConnectionError
        return await erase(rt, customers)

    monkeypatch.setattr(rights, "erase_customers", fail_once)
    with pytest.raises(ConnectionError):
        await retention.tick()
    states = "SELECT array_agg(state::text ORDER BY created_at, id) FROM bookings"
    assert await owner.fetchval(states) == ["cancelled", "cancelled", "open"]
    erased = "SELECT count(*) FROM people WHERE kind = 'customer' AND erased_at IS NOT NULL"
    assert await owner.fetchval(erased) == 1
    await retention.tick()
    assert await owner.fetchval(erased) == 3
    assert await rows_with(owner, MARKS) == []


async def test_a_customer_whose_job_ends_while_retention_works_is_kept(
    api, owner, clock, monkeypatch
):
    await begin_visit(api, "start")
    await clock.advance(api.rt.policy.customers_kept + timedelta(days=1))
    cancel, done = maintenance.cancel_forgotten, Protocol(summary="Done.", minutes=40)

    async def complete_first(rt, booking_id):
        await commands.complete(rt, booking_id, api.friends["f1"], done)
        return await cancel(rt, booking_id)

    monkeypatch.setattr(maintenance, "cancel_forgotten", complete_first)
    await Retention(api.rt).tick()
    assert await owner.fetchval("SELECT state FROM bookings") == "completed"
    assert await rows_with(owner, MARKS[:2])


async def test_the_policy_deletes_the_mails_of_a_customer_kept_as_files(api, clock):
    booking = await complete_visit(api, clock)
    await clock.advance(api.rt.policy.customers_kept - timedelta(days=1))
    renewed = await api.client(booking["token"]).post(f"/v1/bookings/{booking['id']}/renew-link")
    assert renewed.status_code == 200, renewed.text
    await api.book(customer=BOOKING["customer"] | {"email": "otto@example.com"})
    await deliver_mails(api)
    assert any("To: vera@example.com" in mail for mail in mails(api))
    await clock.advance(timedelta(days=2))
    await Retention(api.rt).tick()
    assert not any("To: vera@example.com" in mail for mail in mails(api))
    assert any("To: otto@example.com" in mail for mail in mails(api))


async def test_the_policy_spares_the_mails_of_others_with_the_same_address(api, owner, clock):
    booking = await complete_visit(api, clock)
    await clock.advance(api.rt.policy.customers_kept - timedelta(days=1))
    await api.client(booking["token"]).post(f"/v1/bookings/{booking['id']}/renew-link")
    later = await api.book()
    await deliver_mails(api)
    sent = [path.stem for path in api.rt.settings.mail_folder.glob("*.eml")]
    of = "SELECT DISTINCT booking_id::text FROM messages WHERE id = ANY($1) AND audience = $2"
    assert len(await owner.fetch(of, sent, "customer")) == 2
    await clock.advance(timedelta(days=2))
    await Retention(api.rt).tick()
    left = [path.stem for path in api.rt.settings.mail_folder.glob("*.eml")]
    assert [row[0] for row in await owner.fetch(of, left, "customer")] == [later["id"]]


async def test_the_policy_spares_the_login_links_of_an_account_with_the_same_address(
    api, owner, clock
):
    """Those asked for under an address that is of no such account go."""
    await api.book(customer=BOOKING["customer"] | {"email": "F6@example.org"})
    await clock.advance(api.rt.policy.customers_kept + timedelta(days=1))
    for kind in ("friend", "operator"):
        await api.client().post("/v1/login-links", {"email": "f6@example.org", "kind": kind})
    kinds = "SELECT array_agg(kind::text ORDER BY kind) FROM account_mails"
    assert await owner.fetchval(kinds) == ["friend", "operator"]
    await Retention(api.rt).tick()
    assert await owner.fetchval(kinds) == ["friend"]
    assert await owner.fetchval("SELECT count(*) FROM people WHERE email ILIKE 'f6@%'") == 1


async def test_a_visit_under_way_keeps_its_customer_and_is_reported_once(api, owner, clock, caplog):
    booking = await begin_visit(api, "start")
    await clock.advance(api.rt.policy.customers_kept + timedelta(days=1))
    retention = Retention(api.rt)
    for _ in range(2):
        await retention.tick()
    assert await rows_with(owner, MARKS[:2])
    [warning] = [one for one in caplog.records if one.name == "scheduler.retention"]
    assert booking["id"] in warning.getMessage()
    assert "under_way" in warning.getMessage()


async def test_the_pseudonyms_of_an_erased_customer_go_with_the_last_booking(api, owner, clock):
    await complete_visit(api, clock)
    key = customer_key("vera@example.com")
    await owner.execute("INSERT INTO blocks SELECT $1, $2, true, moment()", api.friends["f3"], key)
    await owner.execute(
        "INSERT INTO confirmed_contacts SELECT contact_key(b.customer_key, p.phone), moment() "
        "FROM bookings b JOIN people p ON p.id = b.customer_id"
    )
    assert await rows_with(owner, [key])
    await (await api.operator()).post(ERASE, VERA)
    assert await rows_with(owner, [key]) == []
    assert await owner.fetchval("SELECT count(*) FROM confirmed_contacts") == 0


async def test_every_table_is_exported_or_excepted_with_a_reason(owner):
    tables = {row["table_name"] for row in await owner.fetch(TABLES)}
    exported = set(re.findall(r"(?:FROM|JOIN) (\w+) ", rights_store.sql.export))
    assert tables - exported == set(NOT_EXPORTED)


async def test_an_operator_gets_passkeys_and_account_mails_without_secrets(api, owner):
    desk = await api.operator()
    person, email = await owner.fetchrow("SELECT id, email FROM people WHERE kind = 'operator'")
    await owner.execute(
        "INSERT INTO passkeys SELECT $1, $1, 'credential', 'secret', 0, 'Laptop', moment()", person
    )
    await api.client().post("/v1/login-links", {"email": email, "kind": "operator"})
    [whole] = (await desk.post(EXPORT, {"person": str(person)})).json()["items"]
    assert [one["name"] for one in whole["passkeys"]] == ["Laptop"]
    assert [one["template"] for one in whole["account_mails"]] == ["login_link"]
    assert whole["operator"]["role"] == "admin"
    assert [one["kind"] for one in whole["journal"]] == ["operator.added"]
    assert "credential" not in str(whole)


async def test_retention_goes_through_all_pages(api, owner, clock, monkeypatch):
    for _ in range(3):
        await api.book()
    await clock.advance(api.rt.policy.customers_kept + timedelta(days=1))
    monkeypatch.setattr(rights, "PAGE", 1)
    await Retention(api.rt).tick()
    assert await rows_with(owner, MARKS) == []


@pytest.mark.parametrize("role", [OperatorRole.VIEWER, OperatorRole.DISPATCHER])
async def test_only_an_admin_exports_and_erases(api, role):
    desk = await api.operator(role)
    for path in (ERASE, EXPORT):
        expect(await desk.post(path, VERA), 403, "forbidden")


async def test_a_friend_takes_along_what_is_kept_in_json_or_as_a_table(api, owner):
    await owner.execute("UPDATE people SET name = '=1+1' WHERE id = $1", api.friends["f1"])
    me = await api.friend("f1")
    [whole] = (await me.get("/v1/me/export")).json()["items"]
    assert (whole["person"]["name"], whole["friend"]["ref"]) == ("=1+1", "f1")
    answer = await me.get("/v1/me/export.csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert "attachment" in answer.headers["content-disposition"]
    rows = list(csv.reader(io.StringIO(answer.text.removeprefix("\ufeff"))))
    assert ["1", "person", "1", "name", "'=1+1"] in rows
    assert ["1", "friend", "1", "ref", "f1"] in rows
    assert not any("token_sha256" in field for row in rows for field in row)
    looks = "SELECT count(*) FROM audit WHERE act = 'person.exported' AND subject = $1"
    assert await owner.fetchval(looks, str(api.friends["f1"])) == 2
