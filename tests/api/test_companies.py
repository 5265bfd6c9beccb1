"""A company of pros on its board: offers, assigning, re-assigning, and who may see what."""

import asyncio

from data.enums import Tier
from data.records.ids import CompanyId
from tests.api.test_openapi import OF_COMPANIES, Story
from tests.builders import SIGNATURE, friend_row, import_friends, north

NAMES = ("t1", "t2", "t3")


async def found(api, *names, company="Alpha AG"):
    """A company with these technicians, and one of its dispatchers."""
    rows = [friend_row(name, north(10 * n), tier=Tier.PRO) for n, name in enumerate(NAMES, 1)]
    api.friends |= await import_friends(api.rt, rows)
    desk = await api.operator()
    made = (await desk.post("/v1/desk/companies", {"name": company})).json()["id"]
    for name in names:
        body = {"friend": str(api.friends[name])}
        answer = await desk.post(f"/v1/desk/companies/{made}/technicians", body)
        assert answer.status_code == 204, answer.text
    return made, await api.dispatcher(CompanyId(made), f"{company.split()[0]} Muster")


async def board_of(dispatcher):
    answer = await dispatcher.get("/v1/company/board")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def accept(api, dispatcher, name):
    [offer] = (await board_of(dispatcher))["offers"]
    body = {"technician": str(api.friends[name])}
    answer = await dispatcher.post(f"/v1/company/offers/{offer['id']}/accept", body)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def decline_all_friends(api, booking):
    """Let every ordinary friend decline, so that pros are asked."""
    while True:
        offers = {r: o for r, o in (await api.offers(booking)).items() if r.startswith("f")}
        for ref, offer in offers.items():
            await (await api.friend(ref)).post(f"/v1/offers/{offer}/decline")
        if len(offers) == 6:
            return


async def asked(api, *names, company="Alpha AG"):
    made, dispatcher = await found(api, *names, company=company)
    booking = await api.book()
    await decline_all_friends(api, booking)
    return booking, made, dispatcher


async def test_an_offer_goes_to_the_dispatchers_who_assign_a_technician(api):
    booking, _, dora = await asked(api, "t1", "t2")
    board = await board_of(dora)
    assert board["company"] == "Alpha AG"
    assert [one["booking_id"] for one in board["offers"]] == [booking["id"]]
    assert "Vera" not in str(board)
    t1 = await api.friend("t1")
    assert (await t1.get("/v1/me/offers")).json()["items"] == []
    offer = board["offers"][0]["id"]
    assert (await t1.post(f"/v1/offers/{offer}/accept")).status_code == 404
    assert (await t1.post(f"/v1/offers/{offer}/decline")).status_code == 404
    done = await accept(api, dora, "t2")
    assert done["technician_id"] == str(api.friends["t2"])
    [job] = (await board_of(dora))["jobs"]
    assert (job["technician"], job["customer"]["name"]) == ("T2 Muster", "Vera Beispiel")
    assert [one["open_jobs"] for one in (await board_of(dora))["technicians"]] == [0, 1]
    t2 = await api.friend("t2")
    assert (await t2.post(f"/v1/bookings/{booking['id']}/contacted")).status_code == 200
    finished = {"summary": "Works again.", "minutes": 30, "signature": SIGNATURE}
    assert (await t2.post(f"/v1/bookings/{booking['id']}/complete", finished)).status_code == 200
    assert (await t2.get("/v1/me/earnings")).json()["items"] == []


async def test_a_job_passes_to_another_technician_with_its_deadline(api):
    booking, _, dora = await asked(api, "t1", "t2")
    before = await accept(api, dora, "t1")
    body = {"technician": str(api.friends["t2"])}
    at = f"/v1/company/jobs/{booking['id']}/reassign"
    after = (await dora.post(at, body)).json()
    assert after["contact_due_at"] == before["contact_due_at"]
    assert after["technician_id"] == str(api.friends["t2"])
    t1, t2 = await api.friend("t1"), await api.friend("t2")
    assert (await t1.get(f"/v1/bookings/{booking['id']}")).status_code == 404
    assert (await t2.get(f"/v1/bookings/{booking['id']}")).status_code == 200
    assert (await t1.post(f"/v1/bookings/{booking['id']}/contacted")).status_code == 404
    back = await dora.post(f"/v1/company/jobs/{booking['id']}/hand-back", {"reason": "no_time"})
    assert back.status_code == 200
    assert (await board_of(dora))["jobs"] == []


async def test_of_two_dispatchers_at_once_one_wins_and_the_other_is_told(api):
    _, made, dora = await asked(api, "t1", "t2")
    other = await api.dispatcher(CompanyId(made), "Otto Muster")
    [offer] = (await board_of(dora))["offers"]
    at = f"/v1/company/offers/{offer['id']}/accept"
    answers = await asyncio.gather(
        dora.post(at, {"technician": str(api.friends["t1"])}),
        other.post(at, {"technician": str(api.friends["t2"])}),
    )
    assert sorted(one.status_code for one in answers) == [200, 409]
    [lost] = [one.json() for one in answers if one.status_code == 409]
    assert lost["code"] == "offer-gone"


async def test_another_company_sees_and_answers_nothing_of_it(api):
    booking, _, dora = await asked(api, "t1", "t2")
    [offer] = (await board_of(dora))["offers"]
    _, rival = await found(api, "t3", company="Beta AG")
    assert (await board_of(rival))["offers"] == []
    body = {"technician": str(api.friends["t3"])}
    accepting = f"/v1/company/offers/{offer['id']}/accept"
    assert (await rival.post(accepting, body)).status_code == 404
    assert (await dora.post(accepting, body)).status_code == 404
    await accept(api, dora, "t1")
    passing = f"/v1/company/jobs/{booking['id']}/reassign"
    assert (await rival.post(passing, body)).status_code == 404
    assert (await dora.post(passing, body)).status_code == 404
    handing = f"/v1/company/jobs/{booking['id']}/hand-back"
    assert (await rival.post(handing, {"reason": "no_time"})).status_code == 404
    assert "Vera" not in str(await board_of(rival))


async def test_a_technician_leaves_only_without_jobs_of_the_company(api):
    _, made, dora = await asked(api, "t1", "t2")
    await accept(api, dora, "t1")
    desk = await api.operator()
    leaving = f"/v1/desk/companies/{made}/technicians/{api.friends['t1']}"
    refused = await desk.delete(leaving)
    assert (refused.status_code, refused.json()["code"]) == (409, "jobs-of-company")
    [job] = (await board_of(dora))["jobs"]
    body = {"technician": str(api.friends["t2"])}
    await dora.post(f"/v1/company/jobs/{job['booking_id']}/reassign", body)
    assert (await desk.delete(leaving)).status_code == 204
    assert [one["ref"] for one in (await board_of(dora))["technicians"]] == ["t2"]


async def test_without_a_dispatcher_nobody_of_the_company_is_asked(api):
    made, dora = await found(api, "t1", "t2", "t3")
    desk = await api.operator()
    team = (await desk.get(f"/v1/desk/companies/{made}")).json()
    [one] = team["dispatchers"]
    gone = f"/v1/desk/companies/{made}/dispatchers/{one['id']}"
    assert (await desk.delete(gone)).status_code == 204
    assert (await dora.get("/v1/company/board")).status_code == 401
    booking = await api.book()
    await decline_all_friends(api, booking)
    shown = (await api.client(booking["token"]).get(f"/v1/bookings/{booking['id']}")).json()
    assert shown["state"] == "unfilled"


async def test_only_a_pro_of_no_other_company_becomes_a_technician(api):
    made, _ = await found(api, "t1")
    desk = await api.operator()
    at = f"/v1/desk/companies/{made}/technicians"
    ordinary = await desk.post(at, {"friend": str(api.friends["f1"])})
    assert (ordinary.status_code, ordinary.json()["code"]) == (409, "no-technician")
    other, _ = await found(api, company="Beta AG")
    taken = await desk.post(
        f"/v1/desk/companies/{other}/technicians", {"friend": str(api.friends["t1"])}
    )
    assert (taken.status_code, taken.json()["code"]) == (409, "no-technician")
    assert (await desk.post(at, {"friend": str(api.friends["t1"])})).status_code == 204


async def test_a_mail_address_is_that_of_one_dispatcher(api, problem):
    made, _ = await found(api)
    desk = await api.operator()
    at = f"/v1/desk/companies/{made}/dispatchers"
    body = {"name": "Dani Muster", "email": "DANI@example.com", "language": "de"}
    assert (await desk.post(at, body)).status_code == 201
    problem(await desk.post(at, body | {"email": "dani@example.com"}), 409, "address-taken")


async def test_the_letter_about_an_offer_goes_to_every_dispatcher_and_to_no_technician(api, owner):
    await asked(api, "t1", "t2")
    sent = await owner.fetch(
        "SELECT p.email, m.template FROM messages m JOIN people p ON p.id = m.recipient_id"
        " WHERE m.audience = 'company'"
    )
    assert [tuple(row) for row in sent] == [("alpha@example.com", "offer")]
    to_technicians = "SELECT count(*) FROM messages WHERE recipient_id = ANY($1::uuid[])"
    assert await owner.fetchval(to_technicians, [api.friends["t1"], api.friends["t2"]]) == 0


async def test_the_examples_work_with_the_ids_of_technicians(api):
    story, desk = Story(api, OF_COMPANIES), await api.operator()
    await story.run("add_company", desk, "/v1/desk/companies", status=201)
    _, made, dora = await asked(api, "t1", "t2", company="Beta AG")
    at, ids = f"/v1/desk/companies/{made}", {name: str(api.friends[name]) for name in NAMES}
    await story.run("add_dispatcher", desk, f"{at}/dispatchers", status=201)
    story.bodies["add_technician"] |= {"friend": ids["t3"]}
    await story.run("add_technician", desk, f"{at}/technicians", status=204)
    [offer] = (await board_of(dora))["offers"]
    story.bodies["accept_for_technician"] |= {"technician": ids["t1"]}
    await story.run("accept_for_technician", dora, f"/v1/company/offers/{offer['id']}/accept")
    job = f"/v1/company/jobs/{offer['booking_id']}"
    story.bodies["reassign_job"] |= {"technician": ids["t2"]}
    await story.run("reassign_job", dora, f"{job}/reassign")
    await story.run("hand_back_for_company", dora, f"{job}/hand-back")
    assert story.bodies == {}
