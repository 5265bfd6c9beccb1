"""The customer books: one question a screen, nothing lost, nothing booked twice."""

import re
from dataclasses import replace
from datetime import timedelta

import pytest
from playwright.async_api import expect

from tests.builders import SIGNATURE
from tests.web import walking
from tests.web.walking import button, heading

BOOK = re.compile("Book now for")


async def bookings(site) -> list[dict]:
    desk = await site.api.operator()
    return (await desk.get("/v1/bookings")).json()["items"]


async def test_a_booking_from_the_first_page_to_the_rating(tabs, site, clock, no_findings):
    page = await tabs("/", timezone_id="Asia/Tokyo")
    await walking.to_check(page)
    assert "Vera" not in page.url
    await page.get_by_role("button", name=BOOK).click()

    await page.wait_for_url("**/job/*")
    await page.get_by_role("heading", name="We are asking 4 helpers near you").wait_for()
    await no_findings(page)
    [booking] = await bookings(site)
    assert (booking["package"], booking["wishes"]) == ("wifi-setup", ["evening"])
    token = page.url.rpartition("/")[2]
    assert "Vera" not in await page.evaluate("JSON.stringify(sessionStorage)")

    offers = await site.api.offers(booking)
    ref, offer = next(iter(offers.items()))
    friend = await site.api.friend(ref)
    await friend.post(f"/v1/offers/{offer}/accept")
    name = ref.capitalize()
    await page.get_by_role("heading", name=f"{name} has your job").wait_for()
    assert await page.title() == f"{name} will call · tekkie"
    assert await page.get_by_text("Deutsch, English").count() == 1
    path = f"/v1/bookings/{booking['id']}"
    await friend.post(f"{path}/contacted")
    await page.get_by_role("heading", name=f"You are in touch with {name}").wait_for()

    starts_at = (await clock.now()) + timedelta(hours=30)
    await friend.post(f"{path}/appointment", {"starts_at": starts_at.isoformat()})
    told = f"{name} is coming on Tuesday 3 March at 16:00 CET"
    await page.get_by_role("heading", name=told).wait_for()
    await no_findings(page)
    async with page.expect_download() as saving:
        await button(page, "Add to calendar").click()
    file = (await (await saving.value).path()).read_text("utf-8")
    met = (await site.api.client(token).get(path)).json()["appointment"]
    assert f"UID:{booking['id']}\nSEQUENCE:{met['revision']}\n" in file
    assert f"DTSTART:{starts_at:%Y%m%dT%H%M%SZ}\n" in file

    await friend.post(f"{path}/on-the-way")
    await page.get_by_role("heading", name=f"{name} is on the way to you").wait_for()
    await friend.post(f"{path}/start")
    await page.get_by_role("heading", name=f"{name} is with you").wait_for()
    await friend.post(
        f"{path}/complete",
        {"summary": "All devices online.", "minutes": 40, "signature": SIGNATURE},
    )
    await page.get_by_role("heading", name="All done").wait_for()
    await no_findings(page)

    send = button(page, "Send rating")
    await send.click()
    await page.get_by_role("alert").get_by_text("Please choose a number of stars").wait_for()
    await page.get_by_label("5 stars").focus()
    await page.keyboard.press("Space")
    await page.get_by_label(f"Comment for {name}").fill("Quick and kind.")
    await send.click()
    await page.get_by_role("heading", name="Thank you!").wait_for()
    rated = (await site.api.client(token).get(path)).json()
    assert rated["stars"] == 5


async def test_search_forgives_typing_errors_and_knows_other_words(tabs):
    page = await tabs("/")
    field = page.get_by_label("Describe it in your own words")
    first = page.locator("main li button").first
    for query, found in [
        ("wlan", "Wi-Fi"),
        ("internet geht nicht", "Internet trouble"),
        ("drukarka", "Printer"),
        ("imprimante ne marche pas", "Printer"),
        ("prniter", "Printer"),
        ("fernsheer", "TV setup"),
        ("mot de pase oublie", "Passwords"),
        ("zdjecia", "Photos"),
    ]:
        await field.fill(query)
        await first.filter(has_text=found).wait_for(timeout=3000)
    await field.fill("qqqqqqqq")
    await page.get_by_text("We have no package of its own for that").wait_for()
    await first.filter(has_text="Quick help").wait_for()


async def test_faults_appear_at_their_field_and_the_first_is_focused(tabs, no_findings):
    page = await tabs("/")
    await walking.what(page)
    await heading(page, "Where do you need us?")
    await button(page, "Look for helpers nearby").click()
    await page.locator("[name=postcode]:focus").wait_for()
    await page.get_by_label("Postcode").fill("8000")
    await page.get_by_label("Town").fill("Nowhere")
    await page.get_by_label("Street and number").fill(walking.STREET)
    await button(page, "Look for helpers nearby").click()
    await page.get_by_text("We do not know this postcode").wait_for()
    await no_findings(page)
    await walking.address(page)
    await walking.near(page)
    await walking.when(page)
    await heading(page, "Your contact details")
    await button(page, "Continue").click()
    await page.locator("[name=name]:focus").wait_for()
    assert await page.locator("[aria-invalid=true]").count() == 3
    await no_findings(page)
    await walking.person(page, phone="044 1111111111")
    await page.get_by_role("button", name=BOOK).click()
    await page.get_by_text("This number does not exist").wait_for()
    await page.locator("[name=phone]:focus").wait_for()
    await page.get_by_label("Telephone number").fill("044 000 17 39")
    await button(page, "Continue").click()
    await heading(page, "Is everything right?")


async def test_back_and_reload_lose_nothing(tabs):
    page = await tabs("/")
    await walking.to_check(page)
    await page.go_back()
    await heading(page, "Your contact details")
    assert await page.get_by_label("First and last name").input_value() == "Vera Beispiel"
    await page.reload()
    await page.get_by_role("heading", name="Your contact details").wait_for()
    assert await page.get_by_label("E-mail").input_value() == "vera@example.com"
    await page.get_by_role("button", name="Back").click()
    await heading(page, "When would suit you?")
    assert await page.get_by_label("In the evening").is_checked()
    await button(page, "Continue").click()
    await heading(page, "Is everything right?")
    await button(page, "Change: Where").click()
    await walking.where(page, postcode="8004", street="Langstrasse 5")
    await walking.near(page)
    await heading(page, "Is everything right?")
    await page.get_by_text("8004 Zürich").wait_for()
    await page.get_by_text("Langstrasse 5").wait_for()


async def test_two_clicks_and_a_lost_answer_book_once(tabs, site):
    page = await tabs("/")
    # As over plain http in a home network.
    await page.evaluate("delete Crypto.prototype.randomUUID")
    await button(page, "Internet and Wi-Fi").dblclick()
    # The second click lands where a package is by then, and chooses nothing.
    await page.get_by_role("heading", level=1, name="Internet and Wi-Fi").wait_for()
    await page.go_back()
    await walking.to_check(page)
    keys = []

    async def lose(route):
        keys.append(route.request.headers["idempotency-key"])
        answer = await route.fetch()
        assert answer.status == 201
        await route.abort("connectionreset")

    await page.route("**/v1/bookings", lose)
    await page.get_by_role("button", name=BOOK).dblclick()
    await page.get_by_role("alert").get_by_text("nothing is booked twice").wait_for()
    assert len(await bookings(site)) == 1
    await page.unroute("**/v1/bookings")
    await page.reload()
    again = button(page, "Send again")
    await again.wait_for()
    assert await button(page, "Change: Who").count() == 0
    async with page.expect_request("**/v1/bookings") as asking:
        await again.click()
    keys.append((await asking.value).headers["idempotency-key"])
    await page.wait_for_url("**/job/*")
    await page.get_by_role("heading", name="We are asking 4 helpers near you").wait_for()
    assert len(await bookings(site)) == 1
    assert len(keys) >= 3
    assert len(set(keys)) == 1


async def test_after_many_bookings_the_browser_solves_a_proof_of_work(tabs, site):
    rt = site.api.rt
    rt.settings = rt.settings.model_copy(update={"anonymous_bookings": "confirm"})
    rt.policy = replace(rt.policy, proof_after_bookings=1)
    await site.api.book()
    page = await tabs("/")
    await walking.to_check(page)
    # Over plain http a browser offers no cryptography.
    await page.evaluate("Object.defineProperty(crypto, 'subtle', { configurable: true })")
    await page.get_by_role("button", name=BOOK).click()
    await page.get_by_role("alert").get_by_text("only over a secure connection").wait_for()
    assert len(await bookings(site)) == 1
    await page.evaluate("delete crypto.subtle")
    await page.get_by_role("button", name=BOOK).click()
    await page.wait_for_url("**/job/*")
    await page.get_by_role("heading", name="Please confirm your booking").wait_for()
    assert len(await bookings(site)) == 2


async def test_a_pin_finds_the_nearest_without_a_mouse(tabs, site, no_findings):
    page = await tabs("/")
    await walking.what(page)
    await walking.where(page)
    await heading(page, "Several helpers are near you")
    await button(page, "Show on the map").click()
    pin = page.locator(".maplibregl-marker")
    await pin.wait_for()
    await no_findings(page)
    await pin.focus()
    before = await place_of(pin)
    for _ in range(3):
        await page.keyboard.press("ArrowDown")
    await page.get_by_text("Exact place is set").wait_for()
    x, y = await place_of(pin)
    assert (x, y) == (before[0], before[1] + 3)
    async with page.expect_request("**/v1/quotes") as asking:
        await button(page, "Continue").click()
    pinned = (await asking.value).post_data_json["address"]
    await walking.when(page)
    await walking.who(page)
    await page.get_by_role("button", name=BOOK).click()
    await page.wait_for_url("**/job/*")
    [booking] = await bookings(site)
    desk = await site.api.operator()
    address = (await desk.get(f"/v1/bookings/{booking['id']}")).json()["customer"]["address"]
    assert (address["lat"], address["lon"]) == (pinned["lat"], pinned["lon"])


async def place_of(pin) -> tuple[int, int]:
    box = await pin.bounding_box()
    return round(box["x"]), round(box["y"])


async def test_a_map_that_does_not_load_is_reported_and_not_needed(tabs):
    page = await tabs("/")
    await page.route("**/_virtual_land*", lambda route: route.abort())
    await walking.what(page)
    await walking.where(page)
    await button(page, "Show on the map").click()
    await page.get_by_text("The map cannot be shown here.").wait_for()
    await button(page, "Continue").click()
    await heading(page, "When would suit you?")


@pytest.mark.parametrize(
    ("path", "locale", "country"),
    [
        ("/", "pl", "PL"),
        ("/", "de-AT", "AT"),
        ("/?country=de", "pl", "DE"),
        ("/?country=xx", "fr", "CH"),
    ],
)
async def test_the_country_is_that_of_the_link_or_of_the_browser(tabs, path, locale, country):
    page = await tabs(path, locale=locale)
    await expect(page.locator("main select")).to_have_value(country)


async def test_another_country_leaves_the_focus_where_it_is(tabs):
    page = await tabs("/")
    await walking.what(page)
    await page.get_by_label("Street and number").fill(walking.STREET)
    country = page.get_by_label("Country")
    await country.focus()
    async with page.expect_response("**/v1/packages?market=DE*") as answer:
        await country.select_option("DE")
    await (await answer.value).finished()
    await expect(country).to_be_focused()
    await expect(page.get_by_label("Street and number")).to_have_value(walking.STREET)


async def test_without_helpers_nearby_the_page_offers_alternatives(tabs, no_findings):
    page = await tabs("/")
    await walking.what(page)
    await walking.where(page, postcode="1204", street="Rue du Rhône 1")
    await heading(page, "Sorry, there is nobody near you")
    await no_findings(page)
    await button(page, "Another address").click()
    await walking.where(page)
    await walking.near(page)
