"""The desk in a real browser: what waits, one booking whole, and what an operator does about it."""

import re
from datetime import timedelta
from pathlib import Path

from playwright.async_api import expect

from data.enums import OperatorRole, Tier
from tests.api.conftest import BOOKING
from tests.builders import SIGNATURE, friend_row, import_friends, north
from tests.web.conftest import DESK, PHONE, show
from tests.web.walking import button

FAR = {
    "street": "Bundesplatz 3",
    "postcode": "3011",
    "city": "Bern",
    "country": "CH",
    "lat": 46.9466,
    "lon": 7.4442,
}
PARK = """UPDATE messages SET state = 'parked', problem = 'mailbox full', attempts = 9
    WHERE id = (SELECT id FROM messages WHERE booking_id = $1 AND audience = 'customer' LIMIT 1)
    RETURNING id"""
# What can be pressed besides the rows that open something.
BUTTONS = """() => [...document.querySelectorAll('main :is(.middle, .pane) button')]
    .filter(one => one.checkVisibility() && !one.matches('[data-row], [aria-pressed], .map *'))
    .map(one => one.ariaLabel ?? one.innerText)"""
# What another tab notices of a tab that a device has put to sleep: nothing.
FREEZE = """() => {
  window.told = BroadcastChannel.prototype.postMessage;
  BroadcastChannel.prototype.postMessage = () => {};
}"""
THAW = "() => { BroadcastChannel.prototype.postMessage = window.told; }"
# A little longer than a tab waits before it asks, and for the answer.
SILENCE_MS = 16_000
ANSWER_MS = 4000


def pane(page):
    return page.get_by_role("article")


def queue(page, name):
    return page.get_by_role("region", name="Queues").get_by_role("button", name=name)


async def chapters(page):
    return await page.locator("[data-fact] > .text").all_inner_texts()


async def completed(site, ref):
    """A booking that a friend has completed."""
    booking, _ = await site.api.win(ref)
    friend = await site.api.friend(ref)
    for step, body in [
        ("contacted", None),
        ("start", None),
        ("complete", {"summary": "Done.", "minutes": 30, "signature": SIGNATURE}),
    ]:
        answer = await friend.post(f"/v1/bookings/{booking['id']}/{step}", body)
        assert answer.status_code == 200
    return booking


async def test_a_new_booking_appears_by_itself_and_its_story_goes_on(desk, site, clock):
    page = await desk(timezone_id="America/New_York")
    await page.get_by_text("No bookings yet").wait_for()
    booking, _ = await site.api.win("f2")
    line = page.locator(f"[data-booking='{booking['id']}']")
    await line.get_by_text("awarded").wait_for()
    await line.get_by_text("Vera Beispiel").wait_for()
    await line.click()
    await pane(page).get_by_role("heading", name="Wi-Fi setup").wait_for()
    await pane(page).get_by_text("F2 Muster has the job, call by 2 Mar 2026, 22:00 CET").wait_for()
    assert [text.split(",")[0] for text in await chapters(page)] == [
        "F2 Muster has the job",
        "Round 1: friends asked",
        "Booked: Wi-Fi setup",
    ]
    asked = await page.locator("[data-fact='2'] li").all_inner_texts()
    assert len(asked) == 4
    assert sum("taken by another friend" in one for one in asked) == 3
    assert sum("accepted" in one for one in asked) == 1
    path = f"/v1/bookings/{booking['id']}"
    friend = await site.api.friend("f2")
    assert (await friend.post(f"{path}/contacted")).status_code == 200
    await pane(page).get_by_text("F2 Muster has contacted the customer").wait_for()
    await line.get_by_text("called").wait_for()
    for hours, text in [(30, "Appointment agreed"), (32, "Appointment moved")]:
        starts_at = await clock.now() + timedelta(hours=hours)
        await friend.post(f"{path}/appointment", {"starts_at": starts_at.isoformat()})
        await pane(page).get_by_text(text).wait_for()


async def test_nobody_was_found_and_the_desk_gives_the_job_by_hand(desk, site, no_findings):
    booking = await site.api.book(address=FAR)
    page = await desk()
    # A number beside a queue is its count, and nothing else.
    await expect(queue(page, "Nobody found")).to_have_text(re.compile(r"^Nobody found\s*▲\s*1$"))
    await expect(queue(page, "All bookings")).to_have_text("All bookings")
    await queue(page, "Nobody found").click()
    await page.locator(f"[data-booking='{booking['id']}']").click()
    await pane(page).get_by_role("button", name="Award").click()
    sheet = page.get_by_role("dialog")
    await expect(sheet.get_by_role("searchbox")).to_be_focused()
    await sheet.get_by_text("No friend nearby is suitable now").wait_for()
    assert await sheet.get_by_role("listitem").count() == 0
    await sheet.get_by_text("6 others nearby, with the reason").click()
    row = sheet.get_by_role("listitem").filter(has_text="F6 Muster")
    await expect(row).to_contain_text("outside the friend’s radius · 0 of 20 jobs")
    assert await row.get_by_role("link").get_attribute("href") == "tel:+41440000000"
    await no_findings(page)
    await sheet.get_by_role("searchbox").fill("f3")
    await sheet.get_by_role("button", name="Award the job to F3 Muster").click()
    await page.get_by_text("F3 Muster has the job; everybody is notified").wait_for()
    await pane(page).locator(".clock").get_by_text("Call by").wait_for()
    await page.get_by_role("heading", name="This queue is empty").wait_for()
    answer = (await (await site.api.friend("f3")).get("/v1/me/jobs")).json()
    assert [job["booking_id"] for job in answer["items"]] == [booking["id"]]
    story = await chapters(page)
    assert story[0].startswith("F3 Muster has the job")
    assert "Nobody left to ask" in story
    await page.locator("[data-fact]").first.get_by_text("you").wait_for()


async def test_award_by_hand_lists_who_fits_first_with_number_stars_and_load(desk, site):
    rated = await completed(site, "f4")
    stars = {"stars": 4}
    await site.api.client(rated["token"]).post(f"/v1/bookings/{rated['id']}/rating", stars)
    await import_friends(site.api.rt, [friend_row("near", north(50), name="Nora Nah")])
    operator = await site.api.operator()
    [nora] = (await operator.get("/v1/desk/friends", q="near")).json()["items"]
    assert (nora["phone"], nora["stars"]) == ("+41440000000", None)
    await operator.post(f"/v1/desk/friends/{nora['id']}/state", {"state": "paused"})
    booking = await site.api.book()
    page = await desk(f"/desk/list?booking={booking['id']}")
    await pane(page).get_by_role("button", name="Award").click()
    sheet = page.get_by_role("dialog")
    rows = sheet.get_by_role("listitem")
    await expect(rows.first).to_contain_text("F1 Muster")
    assert await rows.count() == 6
    fourth = rows.filter(has_text="F4 Muster")
    await expect(fourth).to_contain_text("0 of 20 jobs")
    await fourth.get_by_role("img", name="4 stars").wait_for()
    assert await fourth.get_by_role("link").get_attribute("href") == "tel:+41440000000"
    await sheet.get_by_text("1 other nearby, with the reason").click()
    last = rows.filter(has_text="Nora Nah")
    await expect(last).to_contain_text("paused or suspended")
    # Who cannot be given the job has neither button.
    assert await last.get_by_role("button").count() == 0


async def test_taking_a_job_away_is_confirmed_first(desk, site):
    booking, _ = await site.api.win("f1")
    page = await desk(f"/desk/list?booking={booking['id']}")
    await pane(page).get_by_role("button", name="Search again").click()
    sheet = page.get_by_role("dialog")
    await sheet.get_by_text("F1 Muster has the job and loses it").wait_for()
    await sheet.get_by_role("button", name="Take it away").click()
    await pane(page).get_by_text("Taken from F1 Muster, search started again").wait_for()

    await pane(page).get_by_role("button", name="Cancel …").click()
    await sheet.get_by_role("radio", name="Already solved").check()
    async with page.expect_response("**/cancel"):
        await sheet.get_by_role("button", name="Cancel the booking").click()
    await pane(page).get_by_text("Cancelled: Already solved").wait_for()
    assert await pane(page).get_by_role("button", name="Award").count() == 0


async def test_the_desk_settles_contested_completions_and_renews_a_link(desk, tabs, site):
    booking, other = await completed(site, "f1"), await completed(site, "f2")
    await site.api.client(other["token"]).post(
        f"/v1/bookings/{other['id']}/contest", {"reason": "other"}
    )
    customer = await tabs(f"/job/{booking['token']}")
    await button(customer, "It is not done").click()
    await customer.get_by_label("The problem is still there").check()
    await button(customer, "Please look into it").click()
    await customer.get_by_role("heading", name="We are looking into it").wait_for()
    assert await button(customer, "Send rating").count() == 0

    page = await desk("/desk/list?queue=contested")
    await page.locator(f"[data-booking='{other['id']}']").click()
    await pane(page).get_by_role("button", name="Dismiss the objection").click()
    await pane(page).get_by_text("Objection dismissed: the job counts as done").wait_for()
    await page.locator(f"[data-booking='{booking['id']}']").click()
    told = "contests that F1 Muster has done the job: the problem is still there"
    await pane(page).get_by_text(told).wait_for()
    await pane(page).get_by_role("button", name="Reopen").click()
    sheet = page.get_by_role("dialog")
    await sheet.get_by_text("F1 Muster loses the job and its pay").wait_for()
    await button(sheet, "Reopen").click()
    await customer.get_by_role("heading", name="We are asking 4 helpers near you").wait_for()
    await page.get_by_role("heading", name="This queue is empty").wait_for()

    await pane(page).get_by_role("button", name="Renew link").click()
    await page.get_by_text("The new link is on its way to the customer").wait_for()
    await customer.reload()
    await customer.get_by_role("heading", name="This link leads to no booking").wait_for()
    await expect(customer.get_by_text("Reconnecting")).to_have_count(0)


async def test_a_job_that_was_taken_meanwhile_is_not_given_away(desk, site):
    booking = await site.api.book()
    page = await desk(f"/desk/list?booking={booking['id']}")
    await pane(page).get_by_role("button", name="Award").click()
    await page.context.set_offline(True)
    offer = (await site.api.offers(booking))["f4"]
    await (await site.api.friend("f4")).post(f"/v1/offers/{offer}/accept")
    sheet = page.get_by_role("dialog")
    give = sheet.get_by_role("button", name="Award the job to F5 Muster")
    await give.click()
    await sheet.get_by_role("alert").get_by_text("Check the connection").wait_for()
    await page.get_by_text("You are offline").wait_for()
    await page.context.set_offline(False)
    await give.click()
    await sheet.get_by_role("alert").get_by_text("look at the booking again").wait_for()
    await page.keyboard.press("Escape")
    await pane(page).get_by_text("F4 Muster has the job").wait_for()


async def test_the_desk_sees_why_a_friend_was_not_asked(desk, site):
    await import_friends(site.api.rt, [friend_row("ruth", north(150), certificates=("mac",))])
    await import_friends(
        site.api.rt, [friend_row("rolf", north(9000), name="Rolf Fern", radius_m=500)]
    )
    booking = await site.api.book()
    page = await desk(f"/desk/list?booking={booking['id']}")
    why = page.get_by_role("region", name="Why not …?")
    await why.get_by_label("Friend").fill("ruth")
    await page.keyboard.press("Enter")
    await why.get_by_text("certificate missing", exact=True).first.wait_for()
    await why.get_by_label("Friend").fill("Rolf")
    await why.get_by_role("button", name="Why?").click()
    await why.get_by_text("outside the friend’s radius").first.wait_for()
    await why.get_by_label("Friend").fill("nobody at all")
    await why.get_by_role("button", name="Why?").click()
    await why.get_by_text("There is no such friend").wait_for()
    await import_friends(site.api.rt, [friend_row("paula", north(200), tier=Tier.PRO)])
    polish = BOOKING["customer"] | {"language": "pl"}
    unfilled = await site.api.book(package="internet-trouble", customer=polish)
    alone = await desk(f"/desk/list?booking={unfilled['id']}")
    reasons = alone.get_by_role("region", name="Why not …?")
    await reasons.get_by_text("All friends whose radius covers the address").wait_for()
    await reasons.get_by_text("× another tier").wait_for()
    assert "Round" not in await reasons.inner_text()
    near = page.get_by_role("region", name="Friends nearby")
    rows = await near.get_by_role("listitem").all_inner_texts()
    ruth = next(row for row in rows if "ruth" in row)
    assert "certificate missing" in ruth
    assert sum(row.endswith("● asked") for row in rows) == 4


async def test_a_booking_is_found_by_name_mail_postcode_friend_and_reference(desk, site):
    partner = await site.api.partner()
    wanted = {"name": "Zoë Łukasik", "email": "zoe@example.com", "language": "en"}
    named = await site.api.book(customer=wanted | {"phone": "044 000 17 41"})
    won, _ = await site.api.win("f4", address=FAR | {"postcode": "8008", "lat": 47.37, "lon": 8.54})
    made = (await partner.post("/v1/bookings", BOOKING | {"partner_reference": "TILL-7"})).json()
    page = await desk()
    box = page.get_by_role("searchbox")
    for words, found in [
        ("TILL-7", made["id"]),
        ("lukasik", named["id"]),
        ("zoe@example.com", named["id"]),
        ("8008", won["id"]),
        ("f4", won["id"]),
        (named["id"], named["id"]),
    ]:
        await box.fill(words)
        await page.wait_for_function(
            "id => [...document.querySelectorAll('[data-booking]')].map(one => one.dataset.booking)"
            ".join() === id",
            arg=found,
        )
        assert words not in page.url
    await box.fill("nobody of that name")
    await page.get_by_text("Nothing found").wait_for()


async def test_a_parked_message_is_sent_again(desk, site, owner):
    booking = await site.api.book()
    message = await owner.fetchval(PARK, booking["id"])
    page = await desk("/desk/list?queue=parked_messages")
    await page.get_by_text("mailbox full").wait_for()
    await page.get_by_role("button", name="Send again").click()
    await page.get_by_role("heading", name="This queue is empty").wait_for()
    state = await owner.fetchval("SELECT state FROM messages WHERE id = $1", message)
    assert state == "pending"
    late = await site.api.book()
    await owner.fetchval(PARK, late["id"])
    await site.api.book()
    await page.get_by_text("mailbox full").wait_for()


async def test_friends_and_customers_cannot_use_the_desk(tabs, site):
    friend = await site.api.friend("f1")
    booking = await site.api.book()
    context = await tabs.context(viewport=PHONE)
    await tabs.sign_in(context, friend.token)
    page = tabs.watched(await context.new_page())
    await page.goto(f"/desk/list?booking={booking['id']}")
    await page.get_by_role("heading", name="You are signed in as a friend").wait_for()
    assert "Vera" not in await page.content()
    stranger = await tabs("/desk/map")
    await stranger.get_by_role("link", name="Sign in").wait_for()
    assert await stranger.get_by_role("button", name="Friends").count() == 0


async def test_the_desk_offers_a_viewer_nothing_that_the_api_refuses(tabs, site, owner):
    booking, settled = await site.api.book(), await completed(site, "f1")
    await owner.fetchval(PARK, booking["id"])
    contest = await site.api.client(settled["token"]).post(
        f"/v1/bookings/{settled['id']}/contest", {"reason": "other"}
    )
    assert contest.status_code == 200
    await site.api.partner()
    context = await tabs.context(viewport=DESK)
    await tabs.sign_in(context, (await site.api.operator(OperatorRole.VIEWER)).token)
    page = tabs.watched(await context.new_page())
    f5 = site.api.friends["f5"]
    for path, texts, buttons in [
        (f"friends?booking={booking['id']}", ("F5 Muster", "suitable, can"), {"Why?"}),
        (f"partners?friend={f5}", ("Radio Meier", "No jobs yet"), {"History"}),
        (
            f"list?queue=parked_messages&booking={settled['id']}",
            ("mailbox full", "contests that F1 Muster"),
            {"Why?", "F1 Muster"},
        ),
    ]:
        await page.goto(f"/desk/{path}")
        for text in texts:
            await page.locator("main").get_by_text(text).first.wait_for()
        assert set(await page.evaluate(BUTTONS)) == buttons, path
    await page.get_by_text("Your role: view").wait_for()
    await page.keyboard.press("?")
    keys = page.get_by_role("dialog")
    await keys.get_by_text("why not?").wait_for()
    assert await keys.get_by_text("search again").count() == 0


async def test_tabs_share_one_stream_the_next_takes_over_and_hidden_ones_let_go(desk, tabs, site):
    first = await desk()
    await first.context.clock.install()
    # A browser opens six connections to a host over HTTP/1.1: six streams would leave none.
    pages = [first, *[tabs.watched(await first.context.new_page()) for _ in range(2)]]
    for page in pages[1:]:
        await page.goto("/desk/list")
    booking = await site.api.book()
    for page in pages:
        await page.locator(f"[data-booking='{booking['id']}']").wait_for()
    assert site.streams == 1

    # A frozen tab keeps the lock and tells the others nothing; one of them reads until it thaws.
    await first.evaluate(FREEZE)
    missed = await site.api.book()
    await first.context.clock.fast_forward(SILENCE_MS)
    await first.context.clock.fast_forward(ANSWER_MS)
    for page in pages:
        await page.locator(f"[data-booking='{missed['id']}']").wait_for()
    await site.streams_end(2)
    await first.evaluate(THAW)
    thawed = await site.api.book()
    for page in pages:
        await page.locator(f"[data-booking='{thawed['id']}']").wait_for()
    await site.streams_end(1)

    await first.close()
    second = await site.api.book()
    for page in pages[1:]:
        await page.locator(f"[data-booking='{second['id']}']").wait_for()
    assert site.streams == 1

    for page in pages[1:]:
        await show(page, False)
    await site.streams_end()
    third = await site.api.book()
    last = pages[-1]
    await show(last, True)
    await last.locator(f"[data-booking='{third['id']}']").wait_for()
    assert await pages[1].locator(f"[data-booking='{third['id']}']").count() == 0
    assert site.streams == 1


async def test_an_admin_erases_a_customer_and_the_desk_says_so(desk, site):
    booking = await site.api.book()
    cancelled = await site.api.client(booking["token"]).post(
        f"/v1/bookings/{booking['id']}/cancel", {"reason": "changed_mind"}
    )
    assert cancelled.status_code == 200
    page = await desk(f"/desk/list?booking={booking['id']}")
    async with page.expect_download() as saving:
        await page.get_by_role("button", name="Download all data").click()
    saved = await (await saving.value).path()
    assert "Vera Beispiel" in Path(saved).read_text("utf-8")  # noqa: ASYNC240
    await page.get_by_role("button", name="Erase data").click()
    await page.get_by_role("dialog").get_by_role("button", name="Erase data").click()
    await page.get_by_text("The data are erased.").wait_for()
    await page.get_by_text("Details erased").first.wait_for()
    await expect(page.get_by_text("Vera")).to_have_count(0)
