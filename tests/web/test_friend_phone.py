"""What the phone itself does: push, offline, alarm, profile; and that nobody is shut out of it."""

import asyncio
import json
import re
from dataclasses import replace
from datetime import timedelta

import pytest
from playwright.async_api import expect

from data.markets import Language
from scheduler.errands import Errands
from scheduler.providers import Providers
from scheduler.providers.sms_folder import SmsFolder
from scheduler.senders.push import payload
from tests.web.conftest import DESK, PHONE, examine_at, turn_to
from tests.web.phones import cut_off, installed, phone, ringing, worker
from tests.web.test_login import link

TALL = {"width": PHONE["width"], "height": 6000}  # nothing lies under the bar at the foot
ZOOMED = {"width": 195, "height": 422}  # a phone at 200 %
POINT = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
SUBSCRIBED = """
PushManager.prototype.subscribe = async function ({ userVisibleOnly, applicationServerKey }) {
  const key = new Uint8Array(applicationServerKey);
  if (!userVisibleOnly || key.length !== 65 || key[0] !== 4) throw new Error('no such key');
  return { toJSON: () => ({ endpoint: 'https://fcm.googleapis.com/fcm/send/phone', keys: {
    p256dh: 'POINT', auth: 'BTBZMqHH6r4Tts7J_aSIgg' } }) };
};
""".replace("POINT", POINT)
NOTIFICATIONS = """async () => {
  const worker = await navigator.serviceWorker.ready;
  const all = await worker.getNotifications();
  return all.map(({ title, tag, silent, requireInteraction, data }) =>
    ({ title, tag, silent, requireInteraction, data }));
}"""


@pytest.mark.notifications
async def test_a_push_rings_and_the_end_of_its_offer_replaces_it_silently(tabs, site):
    page = await phone(tabs, site)
    await page.context.grant_permissions(["notifications"])
    await page.goto("/friend")
    await installed(page)
    session, registration = await worker(page)
    booking = await site.api.book()
    offer = (await site.api.offers(booking))["f1"]
    ids = {"booking_id": booking["id"], "offer_id": offer}
    address = f"{site.url}/friend/offers/{offer}"
    # The very bytes that scheduler/senders seals, padding and all.
    for template in ("offer", "offer_gone"):
        sent = payload(template, Language.EN, navigate=address, tag=booking["id"], ids=ids)
        await session.send(
            "ServiceWorker.deliverPushMessage",
            {"origin": site.url, "registrationId": registration, "data": sent.decode()},
        )
        notifications = []
        while [one["data"]["kind"] for one in notifications] != [template]:
            notifications = await page.evaluate(NOTIFICATIONS)
        [one] = notifications
        words = json.loads(sent)["notification"]
        assert (one["title"], one["tag"]) == (words["title"], booking["id"])
        assert one["data"] == {"kind": template, "navigate": address, **ids}
        assert one["silent"] is (template == "offer_gone")
        assert one["requireInteraction"] is (template == "offer")


async def test_the_page_opens_without_network_and_stores_nothing_of_a_customer(tabs, site):
    booking, _ = await site.api.win("f1")
    page = await phone(tabs, site)
    await page.goto(f"/friend/jobs/{booking['id']}")
    await page.get_by_text("Bahnhofstrasse 1").wait_for()
    await installed(page)
    kept = await page.evaluate(
        """async () => {
          const stored = [];
          for (const name of await caches.keys()) {
            const cache = await caches.open(name);
            for (const request of await cache.keys()) {
              stored.push(new URL(request.url).pathname, await (await cache.match(request)).text());
            }
          }
          for (const { name } of await indexedDB.databases()) {
            const asked = indexedDB.open(name);
            const base = await new Promise(done => asked.onsuccess = () => done(asked.result));
            for (const store of base.objectStoreNames) {
              const all = base.transaction(store).objectStore(store).getAll();
              stored.push(JSON.stringify(await new Promise(done =>
                all.onsuccess = () => done(all.result))));
            }
            base.close();
          }
          return stored.concat(JSON.stringify(localStorage));
        }"""
    )
    assert "/friend" in kept
    assert not [text for text in kept if text.startswith("/v1")]
    assert not [text for text in kept if "Bahnhofstrasse" in text or "Vera" in text]

    await cut_off(page, site, True)
    await page.reload()
    await page.get_by_text("You are offline").wait_for()
    await page.get_by_role("heading", name="No internet connection").wait_for()
    await cut_off(page, site, False)
    await page.get_by_text("Bahnhofstrasse 1").wait_for()


@pytest.mark.notifications
async def test_the_alarm_test_rings_this_phone_and_lists_the_obstacles(
    tabs, site, clock, no_findings
):
    rung = []

    async def ring(phones, language):
        rung.append(([one.endpoint for one in phones], language))
        return [None for _ in phones]

    app = site.api.app
    app.state.ports = replace(app.state.ports, send_test_push=ring)
    context = await tabs.context(has_touch=True)
    await context.grant_permissions(["notifications"])
    await context.add_init_script(SUBSCRIBED)
    page = tabs.watched(await context.new_page())
    # Right after the first sign-in it is asked whether the phone rings.
    await page.goto(await link(site))
    await page.get_by_role("button", name="Sign in now").tap()
    await page.wait_for_url("**/friend/alarm")
    await page.get_by_role("heading", name="No phone rings for you yet").wait_for()
    await no_findings(page)
    friend = await site.api.friend("f1")
    quiet = {"from": "09:00", "until": "11:00"}  # it is ten in Zurich
    await friend.send("PATCH", "/v1/me/profile", json={"paused": True, "quiet": quiet})
    await page.get_by_role("button", name="Test my alarm").tap()
    await page.get_by_text("The test was sent to 1 phone").wait_for()
    await page.get_by_role("heading", name="Does your phone really ring?").wait_for()
    assert [endpoints for endpoints, _ in rung] == [["https://fcm.googleapis.com/fcm/send/phone"]]
    assert await page.locator("li strong").all_inner_texts() == [
        "You are paused",
        "These are your quiet hours",
    ]
    await no_findings(page)
    await page.get_by_role("button", name="Test once more").tap()
    await page.get_by_text("It has just rung").wait_for()
    await page.goto("/friend")
    await page.get_by_role("heading", name="Does your phone really ring?").wait_for()
    await page.get_by_text("the offer appears here").wait_for()
    await clock.advance(timedelta(seconds=10))
    await page.get_by_role("link", name="Test the alarm").tap()
    await page.get_by_role("button", name="Test my alarm").tap()
    await page.get_by_role("button", name="Yes, it rang").tap()
    await page.get_by_text("New offers ring on your phone").wait_for()
    await no_findings(page)
    await page.get_by_role("link", name="Home").tap()
    await page.get_by_text("your phone rings").first.wait_for()
    assert await page.get_by_role("heading", name="Does your phone really ring?").count() == 0


@pytest.mark.notifications
async def test_a_phone_without_permission_explains_how_to_allow_it(tabs, site):
    page = await phone(tabs, site)
    await page.goto("/friend/alarm")
    await page.get_by_role("button", name="Test my alarm").tap()
    await page.get_by_text("Notifications are blocked").wait_for()
    await page.get_by_text("left of the address").wait_for()

    iphone = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_4 like Mac OS X) AppleWebKit/605.1.15"
    page = await phone(tabs, site, "f2", user_agent=iphone)
    await page.goto("/friend/alarm")
    await page.get_by_role("button", name="Test my alarm").tap()
    await page.get_by_text("Add to Home Screen").wait_for()


async def test_a_number_is_confirmed_by_a_code_on_the_profile(tabs, site, monkeypatch):
    rt = site.api.rt
    monkeypatch.setattr(rt, "settings", rt.settings.model_copy(update={"sms_provider": "folder"}))
    texts = SmsFolder(rt.settings.text_folder, rt.settings.key())
    page = await phone(tabs, site)
    await page.goto("/friend/profile")
    await page.get_by_role("textbox", name="Mobile number").fill("044 211 11 11")
    await page.get_by_role("button", name="Send code").tap()
    await expect(page.get_by_text("Only mobile numbers")).to_be_visible()
    await page.get_by_role("textbox", name="Mobile number").fill("079 000 17 39")
    await page.get_by_role("button", name="Send code").tap()
    await expect(page.get_by_text("We have sent a code to +41790001739.")).to_be_visible()
    calling = Errands(rt, Providers(sms=texts), request_tick=lambda: None)
    await calling.tick()
    await asyncio.gather(*calling._under_way)
    await page.get_by_role("textbox", name="Code").fill("12")
    await page.get_by_role("button", name="Confirm").tap()
    await expect(page.get_by_text("This code is not right.")).to_be_visible()
    await examine_at(page, (PHONE, "light"), (DESK, "dark"))
    await page.get_by_role("textbox", name="Code").fill(texts.texts()[0]["text"].partition(" ")[0])
    await page.get_by_role("button", name="Confirm").tap()
    await expect(page.get_by_text("+41790001739 is confirmed")).to_be_visible()


async def test_changes_of_the_profile_are_saved(tabs, site):
    page = await phone(tabs, site)
    await page.goto("/friend/profile")
    friend = await site.api.friend("f1")

    async def profile():
        return (await friend.get("/v1/me/profile")).json()

    async def saved():
        await page.get_by_text("Saved").first.wait_for()

    slider = page.get_by_role("slider")
    await slider.focus()
    await slider.press("ArrowRight")
    await saved()
    assert (await profile())["radius_m"] == 20_500
    await page.get_by_label("From").fill("21:30")
    await page.get_by_role("button", name="Set quiet hours").tap()
    await page.get_by_role("button", name="No quiet hours").wait_for()
    assert (await profile())["quiet"] == {"from": "21:30", "until": "07:00"}
    await page.get_by_text("Wi-Fi and home network").wait_for()
    await page.get_by_label("Language").select_option("fr")
    await page.get_by_text("Wi-Fi et réseau domestique").wait_for()
    await page.get_by_label("Langue").select_option("en")
    async with page.expect_response(lambda one: one.request.method == "PATCH"):
        await page.get_by_role("checkbox", name="Français").check()
    assert (await profile())["languages"] == ["de", "en", "fr"]
    await page.get_by_role("button", name="Pause").tap()
    await page.get_by_role("heading", name="You are paused").wait_for()
    assert (await profile())["paused"] is True

    before = (await profile())["base"]
    pin = page.get_by_role("button", name="Move the place with the arrow keys")
    for again in (False, True):
        await pin.focus()
        await pin.press("ArrowUp")
        await page.get_by_role("button", name="Move it here").tap()
        if again:
            await page.get_by_text(
                "You have moved it recently. Possible again: 3 Mar 2026"
            ).wait_for()
        else:
            await page.get_by_role("button", name="Move it here").wait_for(state="detached")
    after = (await profile())["base"]
    assert after["lat"] > before["lat"]
    assert after["lon"] == pytest.approx(before["lon"], abs=1e-6)
    await ask_for_review(page, friend)


async def ask_for_review(page, friend):
    """Ask a person to look again, see oneself as others do, and take everything along."""
    ask = page.get_by_role("button", name="Ask for a review")
    await ask.tap()
    await page.get_by_text("Write in a few words").wait_for()
    await page.get_by_label("What is it about?").select_option("limits")
    await page.get_by_label("What should we look at?").fill("I have time for more.")
    await ask.tap()
    await page.get_by_text("Answer by 16 Mar 2026").wait_for()
    [asked] = (await friend.get("/v1/me/review-requests")).json()["items"]
    assert (asked["about"], asked["text"]) == ("limits", "I have time for more.")
    await page.get_by_text("How others see you").tap()
    await page.get_by_text("No review with words yet").wait_for()
    await examine_at(page, (PHONE, "light"), (DESK, "dark"))
    for name, file in (("as JSON", "tekkie.json"), ("as a table", "tekkie.csv")):
        async with page.expect_download() as saved:
            await page.get_by_text(f"Download {name}").click()
        assert (await saved.value).suggested_filename == file


async def test_hours_holidays_and_areas_are_saved(tabs, site):
    page = await phone(tabs, site)
    await page.goto("/friend/profile")
    await page.get_by_role("button", name="Set hours").tap()
    monday = page.get_by_role("group", name="Monday")
    await monday.get_by_label("From").fill("22:00")
    await monday.get_by_label("Until").fill("02:00")
    await monday.get_by_role("button", name="Copy to all days").tap()
    await page.get_by_role("button", name="Remove hours, Sunday").tap()
    await page.get_by_label("First day").fill("2026-12-24")
    await page.get_by_label("Last day").fill("2027-01-02")
    await page.get_by_label("Around a postcode or town").fill("8004")
    await page.get_by_role("button", name="8004").first.tap()
    await page.evaluate("scrollTo(0, 0)")  # else a button lies half below the bar
    await examine_at(page, (PHONE, "light"), (DESK, "dark"))
    await page.get_by_role("button", name="Save areas").tap()
    await page.get_by_role("button", name="Save areas").wait_for(state="detached")
    await page.get_by_role("button", name="Save weekly plan").tap()
    await page.get_by_role("button", name="Save weekly plan").wait_for(state="detached")
    await page.get_by_role("button", name="Add holidays").tap()
    await page.get_by_role("button", name="Remove 24 Dec 2026").wait_for()
    now = (await (await site.api.friend("f1")).get("/v1/me/profile")).json()
    assert [one["from"] for one in now["week"]] == ["22:00"] * 6
    assert now["week"][5] == {"day": "saturday", "from": "22:00", "until": "02:00"}
    assert now["holidays"] == [{"from": "2026-12-24", "until": "2027-01-02"}]
    assert [one["radius_m"] for one in now["areas"]] == [5000]
    await page.get_by_role("button", name="Draw on the map").tap()
    for x, y in ((60, 60), (240, 60), (150, 200)):
        await page.get_by_role("region", name="Map of your areas").click(position={"x": x, "y": y})
    await page.get_by_text("3 set.").wait_for()
    await page.get_by_role("button", name="Undo last corner").tap()
    await expect(page.get_by_role("button", name="Finish drawing")).to_be_disabled()


async def test_signing_out_leaves_nothing_on_the_phone(tabs, site):
    page = await phone(tabs, site)
    await page.goto("/friend/profile")
    await installed(page)
    await page.get_by_role("button", name="Sign out").tap()
    await page.wait_for_url("**/login")
    assert await page.evaluate("caches.keys()") == []
    assert await page.evaluate("indexedDB.databases()") == []
    assert await page.evaluate("navigator.serviceWorker.getRegistrations()") == []
    assert "tekkie_session" not in {one["name"] for one in await page.context.cookies()}
    assert (await (await site.api.friend("f1")).get("/v1/me/offers")).status_code == 401


async def test_an_offer_is_accepted_and_contact_made_by_the_keyboard_alone(tabs, site):
    page, booking = await ringing(tabs, site)
    await page.goto("/friend")
    await page.locator("a.offer").focus()
    await page.keyboard.press("Enter")
    take = page.get_by_role("button", name="Accept")
    await take.wait_for()
    for _ in range(8):
        await page.keyboard.press("Tab")
        if await take.evaluate("one => one === document.activeElement"):
            break
    await page.keyboard.press("Enter")
    talked = page.get_by_role("button", name="Contact made")
    await talked.wait_for()
    for _ in range(12):
        await page.keyboard.press("Tab")
        if await talked.evaluate("one => one === document.activeElement"):
            break
    await page.keyboard.press("Enter")
    await page.get_by_role("heading", name="Agree on a time").wait_for()
    desk = await site.api.operator()
    assert (await desk.get(f"/v1/bookings/{booking['id']}")).json()["state"] == "contacted"


async def test_axe_finds_nothing_on_any_screen_and_none_is_too_wide(tabs, site, clock):
    page, _ = await ringing(tabs, site)
    friend = await site.api.friend("f1")

    async def sound():
        await examine_at(page, (DESK, "dark"), (ZOOMED, "light"), (TALL, "light"))

    await page.locator(".maplibregl-canvas").wait_for()
    await sound()
    await page.get_by_role("button", name="Accept").click()
    await page.get_by_text("Bahnhofstrasse 1").wait_for()
    await sound()
    job = page.url.rpartition("/")[2]
    await page.get_by_role("button", name="Contact made").click()
    await page.get_by_role("heading", name="Agree on a time").wait_for()
    await sound()
    await page.get_by_role("button", name="Hand back").click()
    await page.get_by_role("dialog").wait_for()
    await sound()
    await page.keyboard.press("Escape")
    await clock.advance(timedelta(hours=1))
    assert (await friend.post(f"/v1/bookings/{job}/start")).status_code == 200
    await page.get_by_role("button", name="Finish").click()
    await page.get_by_label("Minutes worked").wait_for()
    await sound()
    await site.api.book()
    for path, title, name in [
        ("", "Home", "1 offer for you"),
        ("/profile", "Profile", "Profile"),
        ("/why", "Why was I asked", "Why was I asked"),
        ("/earnings", "My earnings", "My earnings"),
        ("/messages", "Messages", "Messages"),
        ("/offers/none", "Offer", "No longer open"),
        ("/jobs/none", "Job", "no longer yours"),
    ]:
        await turn_to(page, f"/friend{path}")
        await page.get_by_role("heading", name=name, level=1).wait_for()
        await expect(page).to_have_title(re.compile(rf"^\(1\) {title}"))
        await sound()
