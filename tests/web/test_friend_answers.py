"""The outcomes of answers, also from a phone that had no network."""

from datetime import timedelta

from tests.web.phones import cut_off, installed, phone, ringing


async def test_an_offer_taken_by_another_friend_ends_on_the_open_screen(tabs, site, no_findings):
    page, booking = await ringing(tabs, site, "f2")
    first = await site.api.friend("f1")
    offer = (await site.api.offers(booking))["f1"]
    assert (await first.post(f"/v1/offers/{offer}/accept")).status_code == 200
    await page.get_by_role("heading", name="Taken by another friend").wait_for(timeout=2000)
    assert await page.get_by_role("button", name="Accept").count() == 0
    await no_findings(page)
    await page.get_by_role("link", name="Go to start").tap()
    await page.get_by_role("heading", name="No offers right now").wait_for()


async def test_an_offer_that_is_declined_or_cancelled_leaves_the_screen(tabs, site):
    page, booking = await ringing(tabs, site)
    await page.get_by_role("button", name="Decline").tap()
    await page.get_by_role("heading", name="Declined").wait_for()
    # The fifth is asked instead at once.
    assert "f5" in await site.api.offers(booking)

    page, booking = await ringing(tabs, site, "f2")
    customer = site.api.client(booking["token"])
    cancelled = await customer.post(f"/v1/bookings/{booking['id']}/cancel", {"reason": "solved"})
    assert cancelled.status_code == 200, cancelled.text
    await page.get_by_role("heading", name="Help is no longer needed").wait_for(timeout=2000)


async def test_an_offer_expires_by_the_clock_of_the_server(tabs, site, clock):
    # The clock of this phone is hours off: only the server's counts.
    context = await tabs.context()
    await context.clock.install(time="2026-03-02T03:30:00Z")
    await site.api.friend("f1")
    await tabs.sign_in(context, site.api.tokens["f1"])
    booking = await site.api.book()
    offer = (await site.api.offers(booking))["f1"]
    # A tab that sleeps keeps the lock of the stream, and answers nobody.
    sleeping = tabs.watched(await context.new_page())
    await sleeping.goto("/login")
    await sleeping.evaluate(
        "void navigator.locks.request('tekkie-live:friend', () => new Promise(() => {}))"
    )
    page = tabs.watched(await context.new_page())
    await page.goto(f"/friend/offers/{offer}")
    timer = page.get_by_role("timer")
    await timer.wait_for()
    assert await timer.inner_text() in {"1 hr", "60:00", "59:59", "59:58"}
    await clock.advance(timedelta(minutes=60))
    async with page.expect_request("**/v1/live"):
        await context.clock.fast_forward("01:00:00")
    await page.get_by_role("heading", name="Time is up").wait_for()
    assert await page.get_by_role("button", name="Accept").count() == 0


async def test_an_acceptance_without_network_is_stored_and_sent_later(tabs, site):
    booking = await site.api.book()
    page = await phone(tabs, site)
    await page.goto("/friend")
    await installed(page)
    await page.locator("a.offer").wait_for()
    await cut_off(page, site, True)
    await page.locator("a.offer").tap()
    await page.get_by_role("button", name="Accept").tap()
    await page.get_by_text("The answer is sent as soon as there is a network").wait_for()
    # A phone that is switched off and on again still knows of it, and of the offer.
    await page.reload()
    await page.get_by_text("The answer is sent as soon as there is a network").wait_for()
    desk = await site.api.operator()
    assert (await desk.get(f"/v1/bookings/{booking['id']}")).json()["state"] == "open"

    await cut_off(page, site, False)
    await page.wait_for_url(f"**/friend/jobs/{booking['id']}")
    await page.get_by_text("Bahnhofstrasse 1").wait_for()
    assert (await desk.get(f"/v1/bookings/{booking['id']}")).json()["state"] == "awarded"


async def test_an_acceptance_sent_too_late_is_reported_as_lost(tabs, site, no_findings):
    booking = await site.api.book()
    page = await phone(tabs, site, "f2")
    await page.goto("/friend")
    await installed(page)
    await page.locator("a.offer").wait_for()
    await cut_off(page, site, True)
    await page.locator("a.offer").tap()
    await page.get_by_role("button", name="Accept").tap()
    await page.get_by_text("The answer is sent as soon as there is a network").wait_for()
    await page.get_by_role("link", name="Back").tap()
    await page.get_by_text("The answer is sent as soon as there is a network").wait_for()
    await no_findings(page)
    offer = (await site.api.offers(booking))["f1"]
    first = await site.api.friend("f1")
    assert (await first.post(f"/v1/offers/{offer}/accept")).status_code == 200

    await cut_off(page, site, False)
    notice = page.get_by_role("status").get_by_text("Taken by another friend")
    await notice.wait_for()
    await page.get_by_role("button", name="OK").tap()
    await notice.wait_for(state="detached")
    await page.reload()
    await page.get_by_role("heading", name="No offers right now").wait_for()
    assert await notice.count() == 0


async def test_a_friend_at_capacity_gets_a_link_to_change_it(tabs, site):
    page, _ = await ringing(tabs, site)
    other = await phone(tabs, site)
    for path in ("why", "alarm", "profile"):
        await other.goto(f"/friend/{path}")
        await other.get_by_role("link", name="1 offer for you").wait_for()
    friend = await site.api.friend("f1")
    booking = await site.api.book()
    offer = (await site.api.offers(booking))["f1"]
    assert (await friend.post(f"/v1/offers/{offer}/accept")).status_code == 200
    await friend.send("PATCH", "/v1/me/profile", json={"capacity": 1})
    await page.get_by_role("button", name="Accept").tap()
    await page.get_by_role("heading", name="You have as many jobs as you wanted").wait_for()
    await page.get_by_role("link", name="Change in my profile").tap()
    await page.get_by_role("button", name="One more").tap()
    await page.get_by_text("Saved").wait_for()
    assert (await friend.get("/v1/me/profile")).json()["capacity"] == 2
