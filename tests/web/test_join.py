"""From nothing to the first offer: the steps of joining in the browser, counted."""

import re
from dataclasses import dataclass

from playwright.async_api import Page

from data.db import transaction
from data.store import exams
from tests.exam_banks import bank
from tests.sms import Texts
from tests.web.conftest import DESK, PATIENCE_MS, PHONE, Tabs, examine_at

CLICK_S, FIELD_S = 4, 6
PREPARED_S = 6 * 60
DRAWN, LONGEST = 10, 20
RIGHT = re.compile(r"^Option \d+ b en$")
LINK = re.compile(r"https?://\S+/join#\S+")
LOOKS = (PHONE, "dark"), (DESK, "light"), (PHONE, "light")


@dataclass
class Hand:
    """Clicks and fills in, and counts both."""

    page: Page
    clicks: int = 0
    fields: int = 0

    async def press(self, name: str, role: str = "button") -> None:
        await self.page.get_by_role(role, name=name).click()
        self.clicks += 1

    async def fill(self, label: str, value: str) -> None:
        await self.page.locator("input").and_(self.page.get_by_label(label)).fill(value)
        self.fields += 1

    async def head(self, name: str) -> None:
        await self.page.get_by_role("heading", name=name, level=1).wait_for()

    async def look(self) -> None:
        await examine_at(self.page, *LOOKS)

    def seconds(self) -> int:
        """How long it takes a prepared person whose exam is the longest."""
        clicks = self.clicks + 2 * (LONGEST - DRAWN)
        return CLICK_S * clicks + FIELD_S * self.fields


async def enter(hand: Hand, site) -> None:
    """Give name and address, and open the link of the mail."""
    await hand.head("Become a helper")
    await hand.look()
    await hand.fill("First and last name", "Mara Muster")
    await hand.fill("E-mail address", "mara@example.com")
    await hand.press("Continue")
    await hand.head("Check your mailbox")
    await hand.look()
    await site.api.post_letters()
    await hand.page.goto("about:blank")
    await hand.page.goto(LINK.search(site.api.letters.sent[-1]["text"])[0])
    await hand.press("Continue")
    await hand.head("About you")


async def tell(hand: Hand, texts: Texts) -> None:
    """The steps of the application."""
    page = hand.page
    await hand.head("About you")
    await hand.look()
    await hand.fill("Mobile number", "079 123 45 67")
    await hand.press("Send code")
    await page.get_by_text("We have sent a code").wait_for()
    await hand.fill("Code", await texts.code())
    await hand.press("Confirm")
    await page.get_by_text("+41791234567 is confirmed").wait_for()
    await hand.fill("Date of birth", "1990-05-14")
    await hand.press("Continue")
    await hand.head("Where do you help?")
    await hand.fill("Postcode or town", "8001")
    await hand.press("8001 Zürich")
    await page.locator(".maplibregl-canvas").wait_for()
    await hand.look()
    await hand.press("Continue")
    await hand.head("What can you do?")
    await hand.look()
    await page.get_by_label("German").check()
    hand.clicks += 1
    await hand.press("Continue")
    await hand.head("Finally")
    for box in await page.get_by_role("checkbox").all():
        await box.check()
        hand.clicks += 1
    await hand.look()
    await hand.press("Send the application")
    await hand.head("Thank you, your application has arrived")
    await hand.look()


async def sit(hand: Hand) -> None:
    """The exam, answered right."""
    page = hand.page
    await hand.press("Sit the exam", role="link")
    await hand.press("Printers and scanners", role="link")
    await hand.press("Start now")
    for position in range(1, DRAWN + 1):
        await page.get_by_text(f"Question {position} of {DRAWN}").wait_for()
        await page.get_by_role("radio", name=RIGHT).check()
        hand.clicks += 1
        await hand.press("Next" if position < DRAWN else "Finish")
    await hand.press("Yes, finish")
    await page.get_by_role("heading", name="Passed!").wait_for()


async def test_a_prepared_person_is_certified_within_minutes_and_the_phone_rings_once_accepted(
    tabs: Tabs, site
):
    async with transaction(site.api.rt.pool) as tx:
        await exams.put(tx, [bank("printer")])
    texts = Texts(site.api)
    hand = Hand(await tabs("/join"))
    page = hand.page
    page.set_default_timeout(PATIENCE_MS)
    await enter(hand, site)
    await page.goto("/join?step=agree")  # what is missing is named, and leads there
    await page.get_by_role("button", name="Postcode or town").first.click()
    await hand.head("Where do you help?")
    await page.goto("/join")
    await tell(hand, texts)
    await page.goto("/friend")
    await page.get_by_text("Next: sit a short exam.").wait_for()
    await hand.look()
    await page.goto("/join")
    await sit(hand)
    assert hand.seconds() <= PREPARED_S, hand

    await page.goto("/friend")
    await page.get_by_text("We decide soon and write to you.").wait_for()
    desk = await site.api.operator()
    [row] = (await desk.get("/v1/desk/applications")).json()["items"]
    answer = await desk.post(f"/v1/desk/applications/{row['friend_id']}/accept")
    assert answer.status_code == 204
    await page.reload()
    await page.get_by_role("heading", name="No offers right now").wait_for()
    await site.api.book(package="printer-setup")  # nobody else is certified for it
    await page.get_by_role("heading", name="1 offer for you").wait_for()
