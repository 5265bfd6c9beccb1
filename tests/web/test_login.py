"""Signing in by the mailed link, in the browser."""

from data.enums import OperatorRole
from data.markets import Language
from data.records.ids import PersonId
from dispatch.flows.people import sessions
from tests.web.conftest import DESK

AUTHENTICATOR = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


async def link(site, ref: str = "f1") -> str:
    token = await sessions.create_login_link(site.api.rt, PersonId(site.api.friends[ref]))
    return f"/login#{token}"


async def test_a_link_is_used_up_by_the_click_and_not_by_opening_it(tabs, site):
    path = await link(site)
    scanner = await tabs(path)  # a mail filter opens every link, and presses nothing
    await scanner.get_by_role("button", name="Sign in now").wait_for()
    assert await scanner.evaluate("location.hash") == ""

    page = await tabs(path)
    await page.get_by_role("button", name="Sign in now").click()
    await page.wait_for_url("**/friend/alarm")
    await page.get_by_role("heading", level=1).wait_for()
    cookie = {one["name"]: one for one in await page.context.cookies()}["tekkie_session"]
    assert (cookie["httpOnly"], cookie["sameSite"], cookie["secure"]) == (True, "Lax", False)
    assert (await page.request.get("/v1/me/profile")).status == 200

    await scanner.get_by_role("button", name="Sign in now").click()
    await scanner.get_by_text("This link no longer works").wait_for()


async def test_a_link_that_is_used_up_leads_to_a_new_one(tabs, site, no_findings):
    page = await tabs("/login#AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
    await page.get_by_role("button", name="Sign in now").click()
    await page.get_by_role("alert").get_by_text("This link no longer works").wait_for()
    await no_findings(page)
    send = page.get_by_role("button", name="Mail me a link")
    await page.get_by_label("E-mail address").fill("no address")
    await send.click()
    field = page.get_by_label("E-mail address")
    assert await field.get_attribute("aria-invalid") == "true"
    described_by = await field.get_attribute("aria-describedby")
    assert "looks like" in await page.locator(f"#{described_by}").inner_text()

    desk = await sessions.add_operator(site.api.rt, "Olga Pult", "desk@example.com", Language.EN)
    assert desk
    await page.get_by_text("Desk staff").click()
    await field.fill("desk@example.com")
    await send.click()
    heading = page.get_by_role("heading", name="Check your mailbox")
    await heading.wait_for()
    assert await heading.evaluate("one => one === document.activeElement")
    await no_findings(page)
    await site.api.post_letters()
    mailed = site.api.letters.sent[-1]["link"]
    await page.goto("about:blank")
    await page.goto(mailed)
    await page.get_by_role("button", name="Sign in now").click()
    await page.wait_for_url("**/desk")
    await page.get_by_text("Signed in as Olga Pult").wait_for()
    await page.get_by_role("button", name="Sign out").click()
    await page.wait_for_url("**/login?kind=operator")
    assert (await page.request.get("/v1/sessions/current")).status == 401


async def test_a_code_signs_in_where_no_link_opens(tabs, site, no_findings):
    page = await tabs("/login")
    await page.get_by_label("E-mail address").fill("f1@example.org")
    await page.get_by_role("button", name="Mail me a link").click()
    field = page.get_by_label("Code from the mail")
    await field.fill("12E45")
    await field.press("Enter")
    assert await field.get_attribute("aria-invalid") == "true"
    await site.api.post_letters()
    code = site.api.letters.sent[-1]["code"]
    await field.fill("000000" if code != "000000" else "000001")
    await field.press("Enter")
    await page.get_by_text("This code is not right").wait_for()
    await no_findings(page)
    assert await field.get_attribute("autocomplete") == "one-time-code"
    assert await field.get_attribute("inputmode") == "numeric"
    await page.reload()  # as a phone does while its mail is read
    await field.fill(code)
    await page.get_by_role("button", name="Sign in").click()
    await page.wait_for_url("**/friend/alarm")
    assert await page.evaluate("localStorage.getItem('tekkie.login')") is None


async def test_an_operator_signs_in_with_a_passkey(tabs, site, no_findings):
    # A passkey belongs to the name of a host, never to a number.
    tabs.url = site.url.replace("127.0.0.1", "localhost")
    rt = site.api.rt
    rt.settings = rt.settings.model_copy(update={"public_url": tabs.url})
    context = await tabs.context(viewport=DESK)
    await tabs.sign_in(context, (await site.api.operator(OperatorRole.VIEWER)).token)
    page = tabs.watched(await context.new_page())
    device = await context.new_cdp_session(page)
    await device.send("WebAuthn.enable")
    await device.send("WebAuthn.addVirtualAuthenticator", {"options": AUTHENTICATOR})
    await page.goto("/desk")
    await page.get_by_text("Your role: view").wait_for()
    await page.get_by_text("Passkeys", exact=True).click()
    await page.get_by_role("button", name="Add a passkey").click()
    await page.get_by_text("The passkey is saved.").wait_for()
    await context.clear_cookies()
    await page.goto("/login?kind=operator")
    await no_findings(page)
    await page.get_by_role("button", name="Sign in with a passkey").click()
    await page.wait_for_url("**/desk")
    await page.get_by_text("Your role: view").wait_for()


async def test_the_page_uses_the_language_of_the_browser(tabs):
    for asked, title in [("fr-CH", "M’envoyer"), ("pl", "Wyślij"), ("ja", "Mail me")]:
        page = await tabs("/login", locale=asked)
        await page.locator("h1", has_text=title).wait_for()


async def test_a_chosen_language_is_kept(tabs):
    page = await tabs("/login?lang=it")
    await page.locator("h1", has_text="Inviami").wait_for()
    await page.get_by_label("Lingua").select_option("de")
    await page.locator("h1", has_text="Link zum Anmelden").wait_for()
    assert await page.evaluate("document.documentElement.lang") == "de"
    await page.goto("/nowhere")
    await page.get_by_role("heading", name="Diese Seite gibt es nicht").wait_for()
