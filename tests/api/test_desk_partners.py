"""Partners and their keys for the desk, and unsent messages."""

from uuid import uuid4

from tests.api.conftest import BOOKING, expect

PARTNERS = "/v1/desk/partners"


async def test_a_key_is_returned_once_and_valid_until_revoked(api, owner):
    desk = await api.operator()
    made = (await desk.post(PARTNERS, {"name": "Foto Huber", "members_only": True})).json()
    further = (await desk.post(f"{PARTNERS}/{made['id']}/keys")).json()
    for one in (made, further):
        assert one["key"].startswith(one["prefix"])
        assert (await api.client(one["key"]).get("/v1/bookings")).status_code == 200
    listed = await desk.get(PARTNERS)
    assert made["key"] not in listed.text
    [partner] = listed.json()["items"]
    assert (partner["name"], partner["members_only"]) == ("Foto Huber", True)
    assert {key["prefix"] for key in partner["keys"]} == {made["prefix"], further["prefix"]}
    gone = await desk.delete(f"{PARTNERS}/{made['id']}/keys/{made['prefix']}")
    assert gone.status_code == 204
    assert (await api.client(made["key"]).get("/v1/bookings")).status_code == 401
    assert (await api.client(further["key"]).get("/v1/bookings")).status_code == 200
    again = await desk.delete(f"{PARTNERS}/{made['id']}/keys/{made['prefix']}")
    expect(again, 404, "not-found")
    journal = f"{PARTNERS}/{made['id']}/journal"
    entries = (await desk.get(journal)).json()["items"]
    assert [(one["seq"], one["kind"], one["data"].get("prefix")) for one in entries] == [
        (4, "partner.key_revoked", made["prefix"]),
        (3, "partner.key_made", further["prefix"]),
        (2, "partner.key_made", made["prefix"]),
        (1, "partner.added", None),
    ]
    assert all(one["actor"].startswith("operator:") for one in entries)
    page = (await desk.get(journal, limit=3)).json()
    assert page["items"] == entries[:3]
    assert (await desk.get(journal, cursor=page["next_cursor"])).json()["items"] == entries[3:]
    other = (await desk.post(PARTNERS, {"name": "Radio Meier"})).json()
    foreign = await desk.get(journal.replace(made["id"], other["id"]), cursor=page["next_cursor"])
    assert expect(foreign, 422, "validation-failed")["errors"][0]["field"] == "cursor"
    expect(await desk.get(journal.replace(made["id"], str(uuid4()))), 404, "not-found")


async def test_names_of_partners_are_unique_and_keys_belong_to_one(api):
    desk = await api.operator()
    first = (await desk.post(PARTNERS, {"name": "Foto Huber"})).json()
    second = (await desk.post(PARTNERS, {"name": "Radio Meier"})).json()
    expect(await desk.post(PARTNERS, {"name": "Foto Huber"}), 409, "name-taken")
    foreign = await desk.delete(f"{PARTNERS}/{second['id']}/keys/{first['prefix']}")
    expect(foreign, 404, "not-found")
    assert (await api.client(first["key"]).get("/v1/bookings")).status_code == 200


async def test_parked_messages_are_listed_and_retried(api, owner):
    booking, desk = await api.book(), await api.operator()
    park = """UPDATE messages SET state = 'parked', problem = 'gone', attempts = 9,
              next_at = next_at + seq * interval '1 second' WHERE booking_id = $1 RETURNING id"""
    parked = {str(row["id"]) for row in await owner.fetch(park, booking["id"])}
    assert len(parked) > 2
    seen, cursor = [], None
    while cursor is not None or not seen:
        query = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = (await desk.get("/v1/desk/messages", **query)).json()
        seen += page["items"]
        cursor = page["next_cursor"]
    assert {one["id"] for one in seen} == parked
    assert [one["since"] for one in seen] == sorted(one["since"] for one in seen)
    assert {(one["state"], one["problem"], one["attempts"]) for one in seen} == {
        ("parked", "gone", 9)
    }
    at = f"/v1/desk/messages/{seen[0]['id']}/send-again"
    assert (await desk.post(at)).status_code == 204
    expect(await desk.post(at), 404, "not-found")
    pending = (await desk.get("/v1/desk/messages", state="pending")).json()["items"]
    assert [one["id"] for one in pending] == [seen[0]["id"]]
    assert len((await desk.get("/v1/desk/messages")).json()["items"]) == len(parked) - 1
    [line] = await owner.fetch("SELECT * FROM audit WHERE act = 'message.sent_again'")
    assert (line["subject_kind"], line["subject"]) == ("booking", booking["id"])
    assert line["data"] == {"message": seen[0]["id"]}


async def test_a_partner_gets_no_link_of_its_customer(api):
    partner = await api.partner()
    once = {"Idempotency_Key": "once"}
    for answer in [await partner.post("/v1/bookings", BOOKING, **once) for _ in range(2)]:
        assert answer.json()["customer_link"] is None
        assert api.token_of(answer.json()) not in answer.text


async def test_a_partner_is_named_with_letters(api):
    desk = await api.operator()
    refused = await desk.post("/v1/desk/partners", {"name": "\u200b\u3164"})
    assert refused.status_code == 422
    added = await desk.post("/v1/desk/partners", {"name": "Radio\u200b Meier"})
    assert added.json()["name"] == "Radio Meier"
