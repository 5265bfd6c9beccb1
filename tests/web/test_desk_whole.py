"""The desk's friends, partners, map and keyboard in a real browser, and nobody shut out."""

import re

from scheduler.index_feed import IndexFeed
from tests.builders import friend_row, import_friends, north
from tests.web.conftest import DESK, PHONE, examine_at, turn_to

COLUMNS = "ref,name,email,phone,radius_km,languages,lat,lon\n"
BEA = "zh-900,Bea Beispiel,bea@example.org,+41 44 000 17 39,8,de;en,47.37,8.54\n"
DAN = "zh-901,Dan Beispiel,dan@example.org,+41 44 000 17 40,8,de,{lat},8.55\n"
LOOK = "document.querySelector('[data-testid=live-map]').dataset"
MANY = 20_000
MANY_FRIENDS = """
    WITH one AS (SELECT gen_random_uuid() AS id, n FROM generate_series(1, $1) AS n),
    named AS (INSERT INTO people (id, kind, name, email, language, lat, lon)
              SELECT id, 'friend', 'Nora ' || n, 'n' || n || '@example.org', 'de',
                     46.2 + (n * 7919::bigint % 1000) / 800.0,
                     6.3 + (n * 104729::bigint % 3000) / 1000.0 FROM one)
    INSERT INTO friends (id, ref, tier, market, languages, radius_m, capacity, created_at)
    SELECT id, 'many-' || n, 'friend', 'CH', '{de}', 8000, 3, now() FROM one"""


def file(content):
    return {"name": "friends.csv", "mimeType": "text/csv", "buffer": (COLUMNS + content).encode()}


async def test_an_import_names_all_faults_and_takes_the_good_rows(desk):
    page = await desk("/desk/friends")
    await page.get_by_role("button", name="Import a file").click()
    sheet = page.get_by_role("dialog")
    bad = DAN.format(lat="8.5").replace("@", "")
    await sheet.get_by_label("File").set_input_files(file(BEA + bad))
    rows = sheet.get_by_role("listitem")
    await rows.first.get_by_text("Line 3").wait_for()
    assert await rows.locator("code").all_inner_texts() == ["email", "lat"]
    assert all(await rows.locator(".muted").all_inner_texts())
    await sheet.get_by_text("Rows with errors: 1").wait_for()
    assert await sheet.get_by_role("button", name="Import (").count() == 0
    assert await page.locator("[data-row]").get_by_text("zh-900").count() == 0
    await sheet.get_by_role("button", name="Import the valid rows (1)").click()
    await page.get_by_text("Imported: 1 new, 0 changed").wait_for()
    await page.locator("[data-row]").get_by_text("zh-900").wait_for()

    await page.get_by_role("button", name="Import a file").click()
    await sheet.get_by_label("File").set_input_files(file(BEA + DAN.format(lat="47.36")))
    await sheet.get_by_text("New: 1").wait_for()
    assert await page.locator("[data-row]").get_by_text("zh-901").count() == 0
    await sheet.get_by_role("button", name="Import (1)").click()
    await page.locator("[data-row]").get_by_text("zh-901").wait_for()


async def test_a_friend_is_paused_with_a_reason_certified_and_listed_with_their_jobs(desk, site):
    await site.api.win("f1")
    page = await desk(f"/desk/friends?friend={site.api.friends['f1']}")
    whole = page.get_by_role("article")
    await whole.get_by_role("button", name="Pause").click()
    await page.get_by_role("dialog").get_by_label("Reason").fill("On holiday.")
    await page.get_by_role("dialog").get_by_role("button", name="Pause").click()
    await whole.get_by_text("paused: On holiday.").wait_for()
    await whole.get_by_role("button", name="Activate").wait_for()
    await whole.get_by_role("button", name="Set the level").click()
    await page.get_by_role("dialog").get_by_label("2").check()
    await page.get_by_role("dialog").get_by_label("Reason").fill("Proved at the training.")
    await page.get_by_role("dialog").get_by_role("button", name="Set the level").click()
    await whole.get_by_role("heading", name="Level 2 of 3").wait_for()
    await whole.get_by_text("set from 1 to 2 by our team").wait_for()
    await whole.get_by_label("Choose a certificate").select_option("printer")
    await whole.get_by_role("button", name="Add", exact=True).click()
    await whole.get_by_role("button", name="Remove Printers and scanners").wait_for()
    await whole.get_by_role("button", name="Remove Mac and macOS").click()
    await page.get_by_text("Mac and macOS removed").wait_for()
    answer = await (await site.api.operator()).get(f"/v1/desk/friends/{site.api.friends['f1']}")
    assert [one["code"] for one in answer.json()["certificates"]] == ["printer", "wifi"]
    await _set_limits(page, site)
    for kind, text in (("friend.uncertified", "removed: Mac and macOS"), ("friend.paused", "you")):
        await whole.locator(f'[data-entry="{kind}"]').get_by_text(text).wait_for()
    await whole.get_by_role("button", name="Wi-Fi setup").click()
    await page.locator("h3#story").wait_for()


async def _set_limits(page, site):
    """A typo in a limit is refused at its field; it does not remove the limit."""
    sheet = page.get_by_role("dialog")
    radius, save = sheet.get_by_label("Radius at most"), sheet.get_by_role("button", name="Save")
    for typed in ("30000", "8 km", "40000"):
        await page.get_by_role("button", name="Limits").click()
        await radius.fill(typed)
        await save.click()
        if typed == "8 km":
            await sheet.get_by_text("Use digits only").wait_for()
            assert await radius.get_attribute("aria-invalid") == "true"
            await sheet.get_by_role("button", name="Leave it").click()
        await sheet.wait_for(state="detached")
        answer = await (await site.api.operator()).get(f"/v1/desk/friends/{site.api.friends['f1']}")
        assert answer.json()["radius_max_m"] == (40000 if typed == "40000" else 30000)


async def test_a_partners_key_is_shown_once_and_can_be_revoked(desk, site):
    page = await desk("/desk/partners")
    await page.get_by_role("button", name="New partner").click()
    sheet = page.get_by_role("dialog")
    await sheet.get_by_label("Name").fill("Elektro Muster")
    await sheet.get_by_role("button", name="Add the partner").click()
    key = await sheet.locator("code").inner_text()
    partner = site.api.client(key)
    assert (await partner.get("/v1/bookings")).status_code == 200
    await sheet.get_by_role("button", name="I have saved it").click()
    await page.get_by_role("heading", name="Elektro Muster").wait_for()
    assert key not in await page.content()
    await page.get_by_role("button", name="Revoke key").click()
    await sheet.get_by_role("button", name="Revoke").click()
    await page.get_by_text("revoked").first.wait_for()
    await page.get_by_role("button", name="History").click()
    await page.locator('[data-entry="partner.key_revoked"]').get_by_text("Key tk_live_").wait_for()
    assert (await partner.get("/v1/bookings")).status_code == 401

    await page.get_by_role("button", name="New partner").click()
    await sheet.get_by_label("Name").fill("Elektro Muster")
    await sheet.get_by_role("button", name="Add the partner").click()
    await sheet.get_by_text("A partner has this name already").wait_for()
    assert await sheet.get_by_label("Name").get_attribute("aria-invalid") == "true"


async def test_an_applicant_is_declined_with_reasons_and_another_one_accepted(desk, site):
    api = site.api
    for name in ("Mara", "Nico"):
        await submit_application(api, name)
    page = await desk("/desk/applicants")
    whole, alert = page.get_by_role("article"), page.get_by_text("Decided")
    await page.get_by_role("button", name="Mara Muster").click()
    await whole.get_by_text("Accepting needs a valid certificate first.").wait_for()
    assert await whole.get_by_role("button", name="Accept").is_disabled()
    await whole.get_by_role("button", name="Decline").click()
    await whole.get_by_label("There is no demand in this area at present.").check()
    await whole.get_by_label("Note").fill("Full in town.")
    await examine_at(page, (DESK, "light"), (PHONE, "dark"))
    await page.set_viewport_size(DESK)
    await whole.get_by_role("button", name="Decline").click()
    await alert.first.wait_for()
    await page.get_by_role("button", name="Mara Muster").wait_for(state="detached")

    await page.get_by_role("button", name="Nico Muster").click()
    await whole.get_by_label("Choose a certificate").select_option("wifi")
    await whole.get_by_role("button", name="Add", exact=True).click()
    await whole.get_by_role("button", name="Accept").click()
    await whole.get_by_role("button", name="Pause").wait_for()
    await page.get_by_label("State").select_option("declined")
    await page.get_by_role("button", name="Mara Muster").click()
    await whole.get_by_text("Full in town.").first.wait_for()


async def submit_application(api, name: str) -> None:
    """Somebody joins and submits, by the API."""
    who = {"email": f"{name}@example.com", "language": "en", "market": "CH"}
    await api.client().post("/v1/applications", who | {"name": f"{name} Muster"})
    await api.post_letters()
    token = re.search(r"/join#(\S+)", api.letters.sent[-1]["text"])[1]
    made = await api.client().post("/v1/applications/link", {"token": token})
    api.http.cookies.clear()
    me = api.client(made.json()["token"])
    facts = {"phone": "079 123 45 67", "birth_date": "1990-05-14", "postcode": "8001"}
    place = {"city": "Zürich", "base": {"lat": 47.3667, "lon": 8.541}}
    texts = {"skills": ["explaining"], "consents": ["terms", "privacy"]}
    await me.send("PATCH", "/v1/me/application", json=facts | place | texts)
    assert (await me.post("/v1/me/application/submit")).status_code == 200


async def test_a_package_is_changed_and_its_history_names_the_author(desk, site):
    page = await desk("/desk/packages")
    await page.get_by_label("Find a package").fill("wifi-setup")
    await page.get_by_role("button", name="Open Wi-Fi setup").click()
    await page.get_by_role("button", name="Change the package").click()
    sheet = page.get_by_role("dialog")
    await sheet.get_by_label("Price in CH (CHF)").fill("seventy")
    await sheet.get_by_role("button", name="Save").click()
    await sheet.get_by_text("Give an amount in").wait_for()
    await sheet.get_by_label("Price in CH (CHF)").fill("72.50")
    await sheet.get_by_label("Who may come in PL").select_option("pro")
    await examine_at(page, (DESK, "light"), (PHONE, "dark"))
    await sheet.get_by_role("button", name="Save").click()
    await page.get_by_text("Written by Olga Pult").wait_for()
    latest = site.api.rt.catalogue.latest("wifi-setup")
    assert (latest.version, latest.prices["CH"].amount) == (2, 7250)
    assert latest.in_market("PL").tier == "pro"


async def test_the_whole_desk_by_keyboard_alone(desk, site):
    older, newer = await site.api.book(), await site.api.book()
    page = await desk()
    await page.locator(f"[data-booking='{older['id']}']").wait_for()
    press = page.keyboard.press
    await press("j")
    await press("j")
    await press("k")
    await press("j")
    await press("Enter")
    article = page.get_by_role("article")
    await article.get_by_text(older["id"][-8:]).wait_for()
    await page.wait_for_function("() => document.activeElement.id === 'booking-title'")
    await press("n")
    await page.keyboard.type("Please call after six: a j k.")
    await press("Tab")
    await press("Enter")
    await article.get_by_text("Please call after six: a j k.").first.wait_for()
    await press("a")
    await page.get_by_role("dialog").get_by_text("Call first").wait_for()
    await press("Escape")
    await press("Escape")
    await page.get_by_text("Choose a booking or a friend").wait_for()
    await press("/")
    await page.keyboard.type(newer["id"])
    await press("ArrowDown")
    await page.locator(f"[data-booking='{older['id']}']").wait_for(state="detached")
    await page.locator(f"[data-booking='{newer['id']}']").wait_for()
    await press("ArrowDown")
    await press("Enter")
    await article.get_by_text(newer["id"][-8:]).wait_for()
    for key, name in [("9", "Not solved"), ("7", "Messages parked"), ("1", "Nobody found")]:
        await press(key)
        await page.get_by_role("heading", name=name).wait_for()
    keyed = "[...document.querySelectorAll('[aria-keyshortcuts]')].map(b => b.ariaKeyShortcuts)"
    assert await page.evaluate(keyed) == list("0123456789")
    for letter, heading in [
        ("f", "Friends"),
        ("p", "Partners"),
        ("m", "Map"),
        ("l", "Nobody found"),
    ]:
        await press("g")
        await press(letter)
        await page.get_by_role("heading", name=heading, exact=True).wait_for()
    await press("?")
    sheet = page.get_by_role("dialog")
    await sheet.get_by_text("through the list").wait_for()
    await sheet.get_by_label("Use single letters as keys").press("Space")
    await press("Escape")
    await press("2")
    await press("g")
    assert await page.get_by_role("heading", name="Nobody found").count() == 1
    assert "unfilled" in page.url


async def test_twenty_thousand_friends_are_clustered_and_a_click_selects(desk, site, owner):
    await owner.execute(MANY_FRIENDS, MANY)
    await IndexFeed(site.api.rt).reconcile()
    booking = await site.api.book()
    page = await desk("/desk/map", reduced_motion="reduce")
    chart = page.get_by_test_id("live-map")
    await page.get_by_text("1 booking, 20,006 friends").wait_for()
    await page.wait_for_function(f"() => Number(({LOOK}).friendClusters) > 1")
    await page.locator(f"[data-booking='{booking['id']}']").click()
    # The flight is over and its end is drawn.
    await page.wait_for_function(f"() => ({LOOK}).chosen === {booking['id']!r}")
    await page.keyboard.press("Escape")
    await page.get_by_text("Choose a booking or a friend").wait_for()
    await chart.click()
    await page.get_by_role("article").get_by_text(booking["id"][-8:]).wait_for()
    late = await site.api.book()
    await page.get_by_text("2 bookings, 20,006 friends").wait_for()
    await page.locator(f"[data-booking='{late['id']}']").wait_for()


async def test_axe_finds_nothing_on_any_view(desk, site, owner):
    await import_friends(site.api.rt, [friend_row("ruth", north(150), certificates=("mac",))])
    booking, _ = await site.api.win("f1")
    await owner.execute("UPDATE messages SET state = 'parked', problem = 'mailbox full'")
    await site.api.partner()
    asked = {"about": "limits", "text": "I have time for more."}
    friend = await site.api.friend("f2")
    assert (await friend.post("/v1/me/review-requests", asked)).status_code == 201
    page = await desk(reduced_motion="reduce")
    light, dark = (DESK, "light"), (PHONE, "dark")

    async def examine_once_filled(*looks) -> None:
        await page.locator("main").wait_for()
        await page.wait_for_function("() => !document.querySelector('.skeleton')")
        await examine_at(page, *looks)

    for path, title in [
        ("/desk", "Queues"),
        ("/desk/list", "All bookings"),
        ("/desk/list?queue=parked_messages", "Messages parked"),
        (f"/desk/list?booking={booking['id']}", "Wi-Fi setup"),
        (f"/desk/friends?friend={site.api.friends['f1']}", "F1 Muster"),
        ("/desk/friends", "Friends"),
        ("/desk/partners", "Partners"),
        ("/desk/packages", "Catalogue"),
        ("/desk/applicants", "Applicants"),
        ("/desk/exams", "Practical checks"),
        ("/desk/reviews", "Reported reviews"),
        ("/desk/requests", "Requests for review"),
    ]:
        await page.emulate_media(color_scheme="light", reduced_motion="reduce")
        await turn_to(page, path)
        await page.get_by_role("heading", name=title, level=2).wait_for()
        await examine_once_filled(light, dark)
    await answer_request(page, friend)
    await read_messages(page, booking)
    # A map that changes its colours while it loads warns of images that are about to come.
    for look in (light, dark):
        await page.emulate_media(color_scheme=look[1], reduced_motion="reduce")
        await page.goto("/desk/map", wait_until="load")
        await examine_once_filled(look)


async def answer_request(page, friend):
    """Answer what a friend asks a person to look at, found by the menu of a phone."""
    await page.set_viewport_size(PHONE)
    await page.goto("/desk/list")
    await page.get_by_role("button", name="More").click()
    await page.get_by_role("dialog").get_by_role("button", name="Community").click()
    await page.get_by_role("button", name="Requests for review").click()
    await page.get_by_label("Reasons").fill("You may take ten jobs now.")
    await page.get_by_role("button", name="Change the decision").click()
    await page.get_by_text("No open requests").wait_for()
    [mine] = (await friend.get("/v1/me/review-requests")).json()["items"]
    assert (mine["outcome"], mine["reasons"]) == ("changed", "You may take ten jobs now.")
    await page.set_viewport_size(DESK)


async def read_messages(page, booking):
    """The messages of the two are read by a click alone, which is recorded."""
    await page.goto(f"/desk/list?booking={booking['id']}")
    await page.get_by_role("button", name="Read the messages").click()
    await page.get_by_text("No messages yet").wait_for()
