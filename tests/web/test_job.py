"""The customer's page of a booking: its state, its costs and its actions."""

import asyncio
import re
from datetime import timedelta
from uuid import UUID

from playwright.async_api import expect

from data.records.ids import BookingId
from dispatch.rules.trust import mailed_secrets
from tests.api.conftest import BOOKING
from tests.web.conftest import show
from tests.web.walking import button


async def agreed(site, clock, hours: float) -> tuple[dict, str]:
    """A job with an appointment in so many hours; the path its friend uses."""
    booking, _ = await site.api.win()
    path = f"/v1/bookings/{booking['id']}"
    friend = await site.api.friend("f1")
    assert (await friend.post(f"{path}/contacted")).status_code == 200
    starts_at = await clock.now() + timedelta(hours=hours)
    answer = await friend.post(f"{path}/appointment", {"starts_at": starts_at.isoformat()})
    assert answer.status_code == 200
    return booking, path


async def test_the_fee_is_displayed_before_cancelling_and_never_exceeded(tabs, site, clock):
    booking, path = await agreed(site, clock, hours=25)
    page = await tabs(f"/job/{booking['token']}")
    await page.get_by_role("heading", name="F1 is coming on").wait_for()
    async with page.expect_response(f"**{path}"):
        await button(page, "Cancel the booking").click()
    await page.get_by_text("Cancelling costs you nothing").wait_for()
    await page.get_by_text("Free until").wait_for()
    # A read that is still under way must not bring the new fee before the click.
    await page.route(f"**{path}", lambda route: route.abort())
    await clock.advance(timedelta(hours=2))
    await button(page, "Cancel for free").click()
    await page.get_by_role("alert").get_by_text("Nothing has been cancelled yet").wait_for()
    await page.unroute(f"**{path}")
    customer = site.api.client(booking["token"])
    assert (await customer.get(path)).json()["state"] == "scheduled"
    await page.get_by_role("button", name=re.compile(r"Cancel for CHF\s17\.25")).click()
    await page.get_by_role("heading", name="Cancelled").wait_for()
    await page.get_by_text(re.compile(r"The cancellation costs CHF\s17\.25")).wait_for()
    assert (await customer.get(path)).json()["cancel_fee"]["amount"] == 1725


async def test_a_missing_call_reminds_the_friend_or_alerts_the_desk(tabs, site):
    booking, _ = await site.api.win()
    page = await tabs(f"/job/{booking['token']}")
    await button(page, "Nobody has called me").click()
    await button(page, "Please remind").click()
    await page.get_by_text("We have reminded F1 to call you").wait_for()
    await expect(button(page, "Nobody has called me")).to_have_count(0)

    other, _ = await site.api.win("f2")
    friend = await site.api.friend("f2")
    await friend.post(f"/v1/bookings/{other['id']}/contacted")
    page = await tabs(f"/job/{other['token']}")
    await button(page, "Nobody has called me").click()
    await button(page, "Please look into it").click()
    await page.get_by_text("F2 has to answer by").first.wait_for()
    desk = await site.api.operator()
    assert (await desk.get("/v1/desk/queues")).json()["disputed"] == 1

    await button(page, "Make this link invalid").click()
    await button(page, "Send a new link").click()
    await page.get_by_role("heading", name="This link is no longer valid").wait_for()
    await expect(page.get_by_text("Reconnecting")).to_have_count(0)
    await page.reload()
    await page.get_by_text("This link is no longer valid").wait_for(state="detached")
    old = await site.api.client(other["token"]).get(f"/v1/bookings/{other['id']}")
    assert old.status_code == 401


async def test_another_time_is_asked_for_and_answered(tabs, site, clock):
    booking, path = await agreed(site, clock, hours=48)
    page = await tabs(f"/job/{booking['token']}")
    await page.get_by_text("Fixed price, takes about").wait_for()
    read: list[str] = []
    page.on("request", lambda one: read.append(one.url))
    await button(page, "Another time").click()
    await button(page, "Ask for another time").click()
    await page.get_by_text("Please choose what would be better").wait_for()
    await page.get_by_label("At the weekend").check()
    await button(page, "Ask for another time").click()
    asked = page.get_by_text("You have asked for another time")
    await asked.wait_for()
    customer = await site.api.client(booking["token"]).get(path)
    assert customer.json()["move_wishes"] == ["weekend"]
    # Where tabs cannot share a stream, a hidden one lets go of its own.
    alone = await (await tabs.context()).new_page()
    await alone.add_init_script("delete Navigator.prototype.locks")
    await tabs.watched(alone).goto(f"/job/{booking['token']}")
    await alone.get_by_text("You have asked for another time").wait_for()
    assert site.streams == 2
    for one in (alone, page):
        await show(one, False)
    await site.streams_end(1)
    friend = await site.api.friend("f1")
    starts_at = await clock.now() + timedelta(hours=120)
    await friend.post(f"{path}/appointment", {"starts_at": starts_at.isoformat()})
    await page.get_by_role("heading", name="Saturday").wait_for()
    await expect(page).to_have_title(re.compile("Sat.*7"))
    await expect(asked).to_have_count(0)
    await expect(alone.get_by_text("You have asked for another time")).to_have_count(1)
    await show(alone, True)
    await expect(alone.get_by_text("You have asked for another time")).to_have_count(0)
    # What does not change is not read again.
    assert [url for url in read if "/v1/packages" in url] == []


async def test_without_a_network_the_last_known_state_stays_with_its_time(tabs, site):
    booking = await site.api.book()
    page = await tabs(f"/job/{booking['token']}")
    await page.get_by_role("heading", name="We are asking 4 helpers near you").wait_for()
    await page.context.set_offline(True)
    await page.get_by_text("As of").wait_for()
    offer = (await site.api.offers(booking))["f1"]
    await (await site.api.friend("f1")).post(f"/v1/offers/{offer}/accept")
    await expect(page.get_by_role("heading", name="We are asking")).to_have_count(1)
    await page.context.set_offline(False)
    await page.get_by_role("heading", name="F1 has your job").wait_for()
    await expect(page.get_by_text("As of")).to_have_count(0)

    await page.route("**/v1/**", lambda route: route.abort())
    await page.reload()
    await page.get_by_role("heading", name="F1 has your job").wait_for()
    await page.get_by_text("As of").wait_for()


async def test_a_wrong_link_and_an_unfilled_booking_are_explained(tabs, site, no_findings):
    booking = await site.api.book()
    wrong = booking["token"][:-1] + ("A" if booking["token"][-1] != "A" else "B")
    for path in (f"/job/{wrong}", "/job/short"):
        page = await tabs(path)
        await page.get_by_role("heading", name="This link leads to no booking").wait_for()
    await no_findings(page)

    geneva = {"street": "Rue du Rhône 1", "postcode": "1204", "city": "Genève", "country": "CH"}
    nobody = await site.api.book(address=geneva)
    page = await tabs(f"/job/{nobody['token']}")
    await page.get_by_role("heading", name="We have not found anybody yet").wait_for()
    await no_findings(page)
    await button(page, "Cancel the booking").click()
    await no_findings(page)
    await button(page, "Cancel for free").click()
    await page.get_by_role("heading", name="Cancelled").wait_for()
    assert await page.title() == "Cancelled · tekkie"


async def test_a_booking_is_confirmed_by_the_code_or_the_link_of_its_mail(tabs, site):
    rt = site.api.rt
    rt.settings = rt.settings.model_copy(update={"anonymous_bookings": "confirm"})
    booking = await site.api.book()
    secret, booking_id = rt.settings.key(), BookingId(UUID(booking["id"]))
    code = mailed_secrets.of_booking(secret, booking_id).code
    page = await tabs(f"/job/{booking['token']}")
    await page.get_by_role("heading", name="Please confirm your booking").wait_for()
    await page.get_by_text("You confirm your e-mail address").wait_for()
    assert await button(page, "Make this link invalid").count() == 0
    await button(page, "Cancel the booking").click()
    await page.get_by_text("Cancelling costs you nothing").wait_for()
    await button(page, "Keep it").click()
    await page.get_by_label("Code from the e-mail").fill(f"{(int(code) + 1) % 10**6:06}")
    await button(page, "Confirm the booking").click()
    await page.get_by_text("This is not the code of this booking").wait_for()
    # What was read before the confirmation and arrives after it is out of date.
    read, confirmed = asyncio.Event(), asyncio.Event()

    async def arrive_late(route):
        if confirmed.is_set():
            return await route.fulfill(status=400)
        found = await route.fetch()
        read.set()
        await confirmed.wait()
        return await route.fulfill(response=found)

    await page.route(f"**/v1/bookings/{booking['id']}", arrive_late)
    await page.get_by_label("Code from the e-mail").fill(f"{(int(code) + 2) % 10**6:06}")
    await button(page, "Confirm the booking").click()
    await read.wait()
    await page.get_by_label("Code from the e-mail").fill(f"{code[:3]} {code[3:]}")
    await button(page, "Confirm the booking").click()
    asking = page.get_by_role("heading", name="We are asking 4 helpers near you")
    await asking.wait_for()
    confirmed.set()
    await page.get_by_text("As of").wait_for()
    await expect(asking).to_have_count(1)

    other = await site.api.book(customer=BOOKING["customer"] | {"email": "zoe@example.com"})
    link = mailed_secrets.of_booking(secret, BookingId(UUID(other["id"]))).link
    page = await tabs(f"/job/{other['token']}#{link}")
    await button(page, "Confirm the booking").click()
    await page.get_by_role("heading", name="We are asking 4 helpers near you").wait_for()
