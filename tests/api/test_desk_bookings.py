"""Bookings for the desk: numbers, queues, search, details, friends nearby, the map."""

import gzip
import json
from datetime import timedelta

import pytest

from data.enums import FriendState
from dispatch.flows.jobs import commands
from dispatch.flows.people import friends
from geo.point import Point
from tests.api.conftest import BOOKING, expect
from tests.builders import SIGNATURE, friend_row, import_friends, north

ALICE = {
    "name": "Zoë d'Alice-Müller",
    "email": "zoe.alice@example.org",
    "phone": "+41 44 000 18 40",
    "language": "de",
}
BERN = {"street": "Gasse 2", "postcode": "3011", "city": "Bern", "country": "CH"}
ELSEWHERE = BERN | {"lat": 46.9481, "lon": 7.4474}


async def refs(desk, **params):
    """The ids found, in the order of the list."""
    answer = await desk.get("/v1/desk/bookings", **params)
    assert answer.status_code == 200, answer.text
    return [row["id"] for row in answer.json()["items"]]


async def test_the_numbers_of_the_day_count_each_booking_once_per_kind(api, clock):
    desk = await api.operator()
    await api.book()
    await clock.advance(timedelta(days=1))
    await api.book()
    booking = await api.book()
    await clock.advance(timedelta(seconds=90))
    offer = (await api.offers(booking))["f1"]
    winner = await api.friend("f1")
    assert (await winner.post(f"/v1/offers/{offer}/accept")).status_code == 200
    at = f"/v1/bookings/{booking['id']}"
    assert (await winner.post(f"{at}/contacted")).status_code == 200
    assert (await api.client(booking["token"]).post(f"{at}/cancel", {})).status_code == 200
    result = (await desk.get("/v1/desk/numbers")).json()
    assert result["since"] == "2026-03-02T23:00:00Z"
    assert result["server_time"] > result["since"]
    wanted = {"booked": 2, "awarded": 1, "contacted_in_time": 1, "cancelled": 1, "missed": 0}
    assert wanted.items() <= result.items()
    assert result["median_seconds_to_award"] == 90
    assert result["live_offers"] == 4
    assert result["friends_available"] == 6
    other = (await desk.get("/v1/desk/numbers", market="PL")).json()
    assert (other["booked"], other["live_offers"], other["friends_available"]) == (0, 0, 0)
    assert other["median_seconds_to_award"] is None


async def waiting(api, clock, owner):
    """One booking in each queue, by queue."""
    made = {"unfilled": (await api.book(address=ELSEWHERE))["id"]}
    made["unsure_addresses"] = (await api.book())["id"]
    town = "UPDATE people SET precision = 'town' FROM bookings b WHERE b.customer_id = people.id"
    await owner.execute(f"{town} AND b.id = $1", made["unsure_addresses"])
    missed, _ = await api.win("f1")
    made["missed"] = missed["id"]
    await clock.advance(timedelta(hours=12))
    await commands.fire_due_timers(api.rt, limit=10)
    made["contact_due_soon"] = (await api.win("f2"))[0]["id"]
    await clock.advance(timedelta(hours=9))
    disputed, _ = await api.win("f3")
    made["disputed"] = disputed["id"]
    worker = await api.friend("f3")
    assert (await worker.post(f"/v1/bookings/{disputed['id']}/contacted")).status_code == 200
    await owner.execute(
        "UPDATE awards SET disputed_at = contacted_at WHERE booking_id = $1", disputed["id"]
    )
    silent, _ = await api.win("f1")
    made["nothing_agreed"] = silent["id"]
    worker = await api.friend("f1")
    assert (await worker.post(f"/v1/bookings/{silent['id']}/contacted")).status_code == 200
    earlier = ", ".join(
        f"{one} = {one} - $2::interval" for one in ("awarded_at", "contact_due_at", "contacted_at")
    )
    await owner.execute(
        f"UPDATE awards SET {earlier} WHERE booking_id = $1",
        *(silent["id"], api.rt.policy.agree_within),
    )
    returned, _ = await api.win("f2")
    made["hand_backs"] = returned["id"]
    await owner.execute("UPDATE friends SET hand_backs_per_day = 0 WHERE ref = 'f2'")
    worker = await api.friend("f2")
    back = await worker.post(f"/v1/bookings/{returned['id']}/hand-back", {"reason": "no_time"})
    assert back.status_code == 200
    doubted, _ = await api.win("f3")
    made["contested"] = doubted["id"]
    at, worker = f"/v1/bookings/{doubted['id']}", await api.friend("f3")
    assert (await worker.post(f"{at}/contacted")).status_code == 200
    done = {"summary": "Done.", "minutes": 5, "signature": SIGNATURE}
    assert (await worker.post(f"{at}/complete", done)).status_code == 200
    customer = api.client(doubted["token"])
    assert (await customer.post(f"{at}/contest", {"reason": "other"})).status_code == 200
    left, _ = await api.win("f4")
    made["incomplete"] = left["id"]
    at, worker = f"/v1/bookings/{left['id']}", await api.friend("f4")
    assert (await worker.post(f"{at}/contacted")).status_code == 200
    assert (await worker.post(f"{at}/incomplete", {"reason": "needs_pro"})).status_code == 200
    await owner.execute(
        "UPDATE messages SET state = CASE WHEN booking_id = $1 AND seq = 1 "
        "THEN 'parked'::message_state ELSE 'expired' END WHERE state = 'pending'",
        left["id"],
    )
    made["parked_messages"] = left["id"]
    return made


async def test_every_queue_has_exactly_its_bookings(api, clock, owner):
    made = await waiting(api, clock, owner)
    desk = await api.operator()
    counts = (await desk.get("/v1/desk/queues")).json()
    assert counts.keys() == made.keys()
    for queue, booking in made.items():
        assert await refs(desk, queue=queue) == [booking], queue
        assert counts[queue] == 1, queue
    assert await refs(desk, queue="unfilled", state="incomplete") == []
    assert await refs(desk, queue="missed", q="vera") == [made["missed"]]
    assert await refs(desk, queue="missed", q="zoe") == []
    at = f"/v1/desk/friends/{api.friends['f2']}/state"
    assert (await desk.post(at, {"state": "suspended"})).status_code == 200
    assert await refs(desk, queue="hand_backs") == []


async def test_a_booking_is_found_by_any_known_detail(api):
    partner, desk = await api.partner(), await api.operator()
    for _ in range(2):
        await api.book()
    order = BOOKING | {"customer": ALICE, "address": ELSEWHERE, "partner_reference": "A-17/b"}
    zoe = (await partner.post("/v1/bookings", order)).json()["id"]
    vera, _ = await api.win("f1")
    for q in (zoe, "A-17/b", "zoe", "ZOË", "müll", "muller zoe", "alice", "zoe.alice@example.org"):
        assert await refs(desk, q=q) == [zoe], q
    for q in ("3011", "bern", "ALICE Bern 30", "41440001840"):
        assert await refs(desk, q=q) == [zoe], q
    for q in ("044 000 18 40", "0440001840", "+41 44 000 18 40", "0041440001840", "044/000-18"):
        assert await refs(desk, q=q) == [zoe], q
        assert await refs(desk, q=f"Zoe {q} Bern") == [zoe], q
        assert await refs(desk, q=f"{q}9") == [], q
    for q in ("Mueller", "mu\u0308ller", "MUE", "Moeller"):
        assert await refs(desk, q=q) == ([] if q == "Moeller" else [zoe]), q
    assert await refs(desk, q="f1") == [vera["id"]]
    assert len(await refs(desk, q="Beispiel 8001")) == 3
    for q in ("oe", "zoe basel", "' | 'x", "& !", "\\", ":*", "zoe:X", "%", "''"):
        assert await refs(desk, q=q) == [], q


async def test_pages_contain_every_result_once(api):
    desk = await api.operator()
    made = [(await api.book())["id"] for _ in range(5)]
    for params in ({}, {"state": "open"}, {"q": "vera"}):
        found, cursor = [], None
        while cursor is not None or not found:
            query = params | {"limit": 2} | ({"cursor": cursor} if cursor else {})
            page = (await desk.get("/v1/desk/bookings", **query)).json()
            found += [row["id"] for row in page["items"]]
            cursor = page["next_cursor"]
        assert found == made[::-1], params
    for cursor in ("x", "%00", "bm8"):
        expect(await desk.get("/v1/desk/bookings", cursor=cursor), 422, "validation-failed")
        answer = await desk.get("/v1/desk/messages", cursor=cursor)
        expect(answer, 422, "validation-failed")


async def test_a_row_has_what_a_list_needs(api):
    booking, _ = await api.win("f1")
    await api.book()
    desk = await api.operator()
    [row] = (await desk.get("/v1/desk/bookings", state="awarded")).json()["items"]
    assert row["id"] == booking["id"]
    assert row["friend"] == {"id": str(api.friends["f1"]), "ref": "f1", "first_name": "F1"}
    assert row["place"] == {"postcode": "8001", "city": "Zürich"}
    assert row["price"] == {"amount": 6900, "currency": "CHF"}
    assert (row["customer_name"], row["contact_due_at"]) == (
        "Vera Beispiel",
        "2026-03-02T21:00:00Z",
    )


async def test_the_details_are_complete_and_notes_are_visible_to_the_desk_only(api):
    booking, offer = await api.win("f2")
    desk = await api.operator()
    at = f"/v1/bookings/{booking['id']}"
    for text in ("Call after six.", "Ring at Meier's."):
        made = await desk.post(f"{at}/notes", {"text": text})
        assert made.status_code == 201, made.text
    details = (await desk.get(f"/v1/desk/bookings/{booking['id']}")).json()
    result = (await desk.get(at)).json()
    assert result.items() <= details.items()
    assert details["customer"]["email"] == "vera@example.com"
    assert [note["text"] for note in details["notes"]] == ["Call after six.", "Ring at Meier's."]
    assert {note["name"] for note in details["notes"]} == {"Olga Pult"}
    assert [one["ref"] for one in details["offers_made"]] == ["f1", "f2", "f3", "f4"]
    states = {one["ref"]: one["state"] for one in details["offers_made"]}
    assert states == {"f1": "lost", "f2": "accepted", "f3": "lost", "f4": "lost"}
    assert details["offers_made"][1]["id"] == offer
    assert [(one["ref"], one["state"]) for one in details["awards"]] == [("f2", "live")]
    assert [one["seq"] for one in details["events"]] == [1, 2, 3]
    assert details["events"][-1]["actor"] == f"friend:{api.friends['f2']}"
    assert (details["address_precision"], details["radius_m"]) == ("address", 0)
    for caller in (api.client(booking["token"]), await api.friend("f2")):
        for path in (at, f"{at}/events"):
            assert "Meier" not in (await caller.get(path)).text


async def test_the_number_of_notes_is_limited(api, owner):
    booking, desk = await api.book(), await api.operator()
    note = """{"at": "2026-03-02T09:00:00Z", "by": "0197f0a0-0000-7000-8000-000000000001",
               "text": "x"}"""
    await owner.execute(
        "UPDATE people SET desk_notes = (SELECT jsonb_agg($1::jsonb) FROM generate_series(1, 200)) "
        "WHERE kind = 'customer'",
        json.loads(note),
    )
    answer = await desk.post(f"/v1/bookings/{booking['id']}/notes", {"text": "more"})
    expect(answer, 409, "notes-full")


async def test_every_friend_nearby_has_one_present_outcome(api, clock):
    booking = await api.book()
    desk = await api.operator()
    await friends.set_state(api.rt, api.friends["f6"], FriendState.PAUSED, actor="desk")
    await import_friends(api.rt, [friend_row("far", north(9000), radius_m=5000)])
    near = (await desk.get(f"/v1/desk/bookings/{booking['id']}/around")).json()["items"]
    asked = [(f"f{n}", "OFFERED") for n in range(1, 5)]
    others = [("f5", "FITS"), ("f6", "INACTIVE"), ("far", "OUT_OF_RADIUS")]
    assert [(one["ref"], one["outcome"]) for one in near] == asked + others
    assert near[0]["name"] == "F1 Muster"
    assert near[0]["lat"] == pytest.approx(47.3676)
    assert [one["distance_m"] // 100 for one in near] == [0, 1, 2, 3, 4, 5, 89]
    answer = await desk.get(f"/v1/desk/bookings/{booking['id']}/around", limit=2)
    assert [one["ref"] for one in answer.json()["items"]] == ["f1", "f2"]
    await desk.post(f"/v1/bookings/{booking['id']}/award", {"friend": "f5"})
    near = (await desk.get(f"/v1/desk/bookings/{booking['id']}/around")).json()["items"]
    assert [one["outcome"] for one in near][:5] == [*["FITS"] * 4, "HOLDS_IT"]


async def test_the_map_has_everybody_in_columns_and_is_compressed(api, clock):
    old = await api.book()
    await api.client(old["token"]).post(f"/v1/bookings/{old['id']}/cancel", {})
    waiting = await api.book(address=ELSEWHERE)
    await clock.advance(timedelta(days=8))
    desk = await api.operator()
    await friends.set_state(api.rt, api.friends["f1"], FriendState.SUSPENDED, actor="desk")
    await import_friends(api.rt, [friend_row("new", Point(lat=46.2, lon=6.15))])
    answer = await desk.get("/v1/desk/map")
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["vary"] == "Accept-Encoding"
    result = answer.json()
    states = dict(zip(result["friends"]["id"], result["friends"]["state"], strict=True))
    assert len(states) == 7
    assert states[str(api.friends["f1"])] == "suspended"
    places = dict(zip(result["friends"]["lat"], result["friends"]["lon"], strict=True))
    assert places[46.2] == 6.15
    assert set(result["friends"]["tier"]) == {"friend"}
    assert result["bookings"] == {
        "id": [waiting["id"]],
        "lat": [46.9481],
        "lon": [7.4474],
        "state": ["unfilled"],
    }
    plain = await desk.send("GET", "/v1/desk/map", headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.json() == result
    assert json.loads(gzip.decompress(gzip.compress(plain.content))) == result


LOOKS = [
    ("booking.opened", "/v1/desk/bookings/{booking}"),
    ("booking.opened", "/v1/desk/bookings/{booking}/around"),
    ("booking.opened", "/v1/bookings/{booking}"),
    ("friend.opened", "/v1/desk/friends/{friend}"),
    ("bookings.listed", "/v1/desk/bookings"),
    ("friends.listed", "/v1/desk/friends"),
    ("map.opened", "/v1/desk/map"),
    ("bookings.listed", "/v1/bookings"),
]


async def test_access_to_personal_data_is_logged_once_in_ten_minutes(api, clock, owner):
    booking, desk = await api.book(), await api.operator()
    ids = {"booking": booking["id"], "friend": api.friends["f1"]}
    lines = "SELECT actor FROM audit WHERE act = $1 AND subject = $2"
    seen = set()
    for act, path in LOOKS:
        kind = act.partition(".")[0]
        subject = str(ids.get(kind, "desk"))
        for _ in range(3):
            assert (await desk.get(path.format(**ids))).status_code == 200
        [line] = await owner.fetch(lines, act, subject)
        assert line["actor"].startswith("operator:")
        seen.add((act, subject))
    await clock.advance(timedelta(minutes=11))
    for _, path in LOOKS:
        await desk.get(path.format(**ids))
    for act, subject in seen:
        assert len(await owner.fetch(lines, act, subject)) == 2, act


async def test_every_search_and_every_award_by_hand_leaves_a_line(api, owner):
    booking, desk = await api.book(), await api.operator()
    for _ in range(2):
        for path, q in (("bookings", "vera"), ("friends", "f1")):
            found = await desk.get(f"/v1/desk/{path}", q=q)
            assert len(found.json()["items"]) == 1
    lines = await owner.fetch("SELECT act, data FROM audit WHERE act LIKE '%.searched' ORDER BY id")
    assert [(row["act"], row["data"]) for row in lines] == [
        ("bookings.searched", {"found": [booking["id"]]}),
        ("friends.searched", {"found": [str(api.friends["f1"])]}),
    ] * 2
    assert "vera" not in str(lines).lower()
    at = f"/v1/bookings/{booking['id']}"
    awarded = await desk.post(f"{at}/award", {"friend": "f5"})
    assert awarded.json()["customer"]["name"] == "Vera Beispiel"
    opened = "SELECT count(*) FROM audit WHERE act = 'booking.opened' AND subject = $1"
    assert await owner.fetchval(opened, booking["id"]) == 1
