"""From the files to the screen: every page loads, keeps to its rules and shuts nobody out."""

from tests.web.conftest import DESK, PHONE, examine_at

PAGES = [
    "/",
    "/friend",
    "/desk",
    "/login",
    "/login#once",
    "/exam",
    "/exam/wifi",
    "/account",
    "/nowhere",
]


async def test_every_page_loads_without_a_fault_and_axe_finds_nothing(tabs, site):
    booking = await site.api.book()
    context = await tabs.context()
    token = (await site.api.account()).token
    await context.add_cookies([{"name": "tekkie_account", "value": token, "url": site.url}])
    page = tabs.watched(await context.new_page())
    for path in [*PAGES, f"/job/{booking['token']}"]:
        await page.goto("about:blank")
        await page.goto(path)
        await page.locator("main h1").wait_for()  # fails when there are two
        await examine_at(page, (PHONE, "dark"), (DESK, "light"))
