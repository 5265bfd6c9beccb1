"""From the files to the screen: every page loads, keeps to its rules and shuts nobody out."""

import pytest

from tests.web.conftest import DESK, PHONE

PAGES = ["/", "/friend", "/desk", "/login", "/login#once", "/nowhere"]


@pytest.mark.parametrize(
    ("viewport", "scheme"), [(PHONE, "dark"), (DESK, "light")], ids=["phone", "desk"]
)
async def test_every_page_loads_without_a_fault_and_axe_finds_nothing(
    tabs, site, no_findings, viewport, scheme
):
    booking = await site.api.book()
    context = await tabs.context(viewport=viewport, color_scheme=scheme)
    page = tabs.watched(await context.new_page())
    for path in [*PAGES, f"/job/{booking['token']}"]:
        await page.goto("about:blank")
        await page.goto(path)
        await page.locator("main h1").wait_for()  # fails when there are two
        await no_findings(page)
        wide = await page.evaluate("document.documentElement.scrollWidth")
        assert wide <= viewport["width"], path
