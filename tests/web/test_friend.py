"""A friend's whole job on a phone: offer, acceptance, contact, appointment, visit, completion."""

from datetime import timedelta

from tests.pictures import picture
from tests.web.conftest import show
from tests.web.phones import phone


async def customer_view(site, booking):
    """The booking as its customer sees it."""
    answer = await site.api.client(booking["token"]).get(f"/v1/bookings/{booking['id']}")
    return answer.json()


async def test_a_whole_job_on_a_phone_from_the_offer_to_the_signature(tabs, site, clock):
    # The phone is on a journey: every time is that of the clocks where the job is.
    page = await phone(tabs, site, timezone_id="America/New_York")
    await page.goto("/friend")
    await page.get_by_role("heading", name="No offers right now").wait_for()

    # It rings behind another tab too.
    await show(page, False)
    booking = await site.api.book()
    await page.get_by_role("heading", name="1 offer for you").wait_for(timeout=3000)
    assert (await page.title()).startswith("(1)")
    await show(page, True)
    await page.locator("a.offer").tap()
    assert "Bahnhofstrasse" not in await page.locator("main").inner_text()
    await page.get_by_role("button", name="Accept").tap()

    await page.get_by_text("The job is yours").wait_for()
    await page.wait_for_url(f"**/friend/jobs/{booking['id']}")
    main = page.locator("main")
    await main.get_by_text("Bahnhofstrasse 1").wait_for()
    await main.get_by_text("Speaks German").wait_for()
    assert await page.get_by_role("link", name="Call").get_attribute("href") == "tel:+41440001739"
    assert "22:00 CET" in await page.get_by_text("Get in touch by").inner_text()
    assert (await customer_view(site, booking))["state"] == "awarded"

    await page.get_by_role("button", name="Contact made").tap()
    await page.get_by_role("heading", name="Agree on a time").wait_for()
    assert (await customer_view(site, booking))["contacted_at"] is not None

    await talk(page, site, booking)
    await agree(page)
    view = await customer_view(site, booking)
    assert view["appointment"]["starts_at"] == "2026-03-02T17:30:00Z"

    await set_out_too_early(page, site, booking)
    await clock.advance(timedelta(hours=8))
    await page.reload()
    await page.get_by_role("button", name="I am on my way").tap()
    await main.locator(".badge", has_text="On the way").wait_for()
    assert (await customer_view(site, booking))["on_the_way_at"] is not None
    await page.get_by_role("button", name="I have arrived").tap()
    await page.get_by_role("button", name="Finish").tap()
    assert (await customer_view(site, booking))["state"] == "under_way"

    await add_picture(page, site, booking)
    await page.get_by_role("button", name="Finish the job").tap()
    await page.get_by_text("Write in one sentence").wait_for()
    await page.get_by_label("What did you do?").fill("Router connected.")
    await page.get_by_label("Minutes worked").fill("45")
    await sign(page)
    await page.get_by_role("button", name="Finish the job").tap()
    await page.get_by_text("Thank you for helping").wait_for()
    done = await customer_view(site, booking)
    assert (done["state"], done["ended_at"]) == ("completed", "2026-03-02T17:00:00Z")
    desk = await site.api.operator()
    signature = (await desk.get(f"/v1/bookings/{booking['id']}")).json()["signature"]
    assert signature.startswith("M")


async def talk(page, site, booking):
    """Write to the customer, and read the answer at once; what looks like a page stays text."""
    at = f"/v1/bookings/{booking['id']}/messages"
    customer = site.api.client(booking["token"])
    await page.get_by_label("Message", exact=True).fill("May I come at six?")
    await page.get_by_role("button", name="Send").tap()
    await page.locator("ol li.mine", has_text="May I come at six?").wait_for()
    [sent] = (await customer.get(at)).json()["items"]
    assert (sent["by"], sent["text"]) == ("friend", "May I come at six?")
    hostile = "<img src=x onerror=alert(1)> https://evil.example"
    assert (await customer.post(at, {"text": hostile})).status_code == 201
    answer = page.locator("ol li", has_text=hostile)
    await answer.wait_for(timeout=5000)
    assert await answer.locator("img, a").count() == 0


async def add_picture(page, site, booking):
    """Add a picture of the result, which the customer sees too."""
    content = {"name": "router.jpg", "mimeType": "image/jpeg", "buffer": picture()}
    await page.locator("main input[type=file]").set_input_files(content)
    await page.get_by_role("img", name="Picture router.jpg").wait_for()
    seen = await site.api.client(booking["token"]).get(f"/v1/bookings/{booking['id']}/files")
    assert [one["name"] for one in seen.json()["items"]] == ["router.jpg"]


async def agree(page):
    """Agree on a time: one that has passed, one that is skipped in spring, and a good one."""
    for day, time, told in [
        ("2026-03-02", "09:30", "This time has passed already"),
        ("2026-03-29", "02:30", "There is no such time on that day"),
        ("2026-03-02", "18:30", "Monday 2 March, 18:30 – 19:30 CET"),
    ]:
        await page.get_by_label("Day").fill(day)
        await page.get_by_label("Time (CE").fill(time)
        await page.get_by_role("button", name="Set the appointment").tap()
        await page.get_by_text(told).first.wait_for()
    await page.get_by_role("button", name="I am on my way").wait_for()


async def set_out_too_early(page, site, booking):
    """Hours before the appointment it asks first, and what was told can be taken back."""
    leave = page.get_by_role("button", name="I am on my way", exact=True)
    await leave.tap()
    sheet = page.get_by_role("dialog")
    await sheet.get_by_text("The appointment begins in 8 hrs 30 mins").wait_for()
    await sheet.get_by_role("button", name="Not yet").tap()
    assert (await customer_view(site, booking))["on_the_way_at"] is None
    await leave.tap()
    await sheet.get_by_role("button", name="Yes, I am on my way").tap()
    await page.get_by_role("button", name="Not on the way yet").tap()
    await page.get_by_text("The customer has been informed that you are not coming").wait_for()
    assert (await customer_view(site, booking))["on_the_way_at"] is None


async def sign(page):
    """Draw a stroke into the box, clear it, and draw another."""
    box = page.get_by_role("img", name="Box for the signature, empty")
    for again in (True, False):
        await box.evaluate("box => box.scrollIntoView({ block: 'center' })")
        place = await box.bounding_box()
        await page.mouse.move(place["x"] + 30, place["y"] + 60)
        await page.mouse.down()
        for step in range(1, 8):
            await page.mouse.move(place["x"] + 30 + 25 * step, place["y"] + 60 + 12 * (step % 3))
        await page.mouse.up()
        await page.get_by_role("img", name="Signed").wait_for()
        if again:
            await page.get_by_role("button", name="Clear").tap()
            await box.wait_for()
