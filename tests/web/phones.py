"""A friend's phone: a context signed in as one of the six friends."""

from typing import Any

from playwright.async_api import CDPSession, Page

from tests.proxy import NORMAL, Conditions
from tests.web.conftest import Site, Tabs


async def phone(tabs: Tabs, site: Site, ref: str = "f1", **options: Any) -> Page:
    """A phone with a page not yet opened."""
    context = await tabs.context(has_touch=True, **options)
    await site.api.friend(ref)
    await tabs.sign_in(context, site.api.tokens[ref])
    return tabs.watched(await context.new_page())


async def ringing(tabs: Tabs, site: Site, ref: str = "f1", **options: Any) -> tuple[Page, Any]:
    """A phone with the offer of a new booking on its screen, and the booking."""
    booking = await site.api.book()
    offer = (await site.api.offers(booking))[ref]
    page = await phone(tabs, site, ref, **options)
    await page.goto(f"/friend/offers/{offer}")
    await page.get_by_role("button", name="Accept").wait_for()
    return page, booking | {"offer": offer}


async def installed(page: Page) -> None:
    """The service worker has the page and all it needs, and holds it."""
    await page.evaluate("navigator.serviceWorker.ready")
    await page.evaluate(
        """() => navigator.serviceWorker.controller !== null || new Promise(done =>
          navigator.serviceWorker.addEventListener('controllerchange', () => done(true)))"""
    )


async def cut_off(page: Page, site: Site, away: bool) -> None:
    """Without network, or with it again: the line is cut, and the browser knows.

    The browser alone would not do: while it loads a page anew, requests slip through.
    """
    if away:
        site.line.change(Conditions(cut=True))
    else:
        site.line.change(NORMAL)
    await page.context.set_offline(away)


async def worker(page: Page) -> tuple[CDPSession, str]:
    """The browser's hold on the service worker, and the id of its registration."""
    session = await page.context.new_cdp_session(page)
    found: list[str] = []

    def on_update(event: dict[str, Any]) -> None:
        found.extend(one["registrationId"] for one in event["registrations"])

    session.on("ServiceWorker.workerRegistrationUpdated", on_update)
    await session.send("ServiceWorker.enable")
    while not found:
        await page.evaluate("navigator.serviceWorker.ready.then(() => 0)")
    return session, found[0]
