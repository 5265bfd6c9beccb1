"""Nobody is shut out: without a mouse, in five languages, in large letters, by day and night."""

from playwright.async_api import Page, expect

from data.markets import Language
from tests.web.walking import heading

TABS_MAX = 60
# A screen of 390 pixels at 200 %.
LARGE = {"width": 195, "height": 422}
KEYS = r"""() => {
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const found = [];
  while (walk.nextNode()) {
    const text = walk.currentNode.textContent.trim();
    if (/^[a-z_]+([.][a-z_]+)+$|[{}]/.test(text)) found.push(text);
  }
  return found;
}"""
# The languages with the longest words.
EXAMINED = {Language.DE: "light", Language.PL: "dark"}
FOCUSED = """() => {
  const one = document.activeElement;
  return one.getAttribute("aria-label") || one.labels?.[0]?.textContent || one.textContent;
}"""


async def to(page: Page, name: str) -> None:
    """Press the tab key until what is called so has the focus."""
    for _ in range(TABS_MAX):
        await page.keyboard.press("Tab")
        if " ".join((await page.evaluate(FOCUSED)).split()).startswith(name):
            return
    raise AssertionError(f"no tab key leads to {name}")


async def write(page: Page, name: str, text: str) -> None:
    await to(page, name)
    await page.keyboard.type(text)


async def press(page: Page, name: str, key: str = "Enter") -> None:
    await to(page, name)
    await page.keyboard.press(key)


async def test_the_whole_booking_is_done_by_the_keyboard_alone(tabs):
    page = await tabs("/")
    await page.get_by_role("heading", level=1).wait_for()
    await press(page, "Internet and Wi-Fi")
    await heading(page, "Internet and Wi-Fi")
    await press(page, "Wi-Fi setup")
    await heading(page, "Where do you need us?")
    await write(page, "Postcode", "8001")
    await expect(page.get_by_label("Town")).to_have_value("Zürich")
    await write(page, "Street and number", "Bahnhofstrasse 1")
    await page.keyboard.press("Enter")
    await heading(page, "Several helpers are near you")
    await press(page, "Continue")
    await heading(page, "When would suit you?")
    await press(page, "In the evening", "Space")
    await press(page, "Continue")
    await heading(page, "Your contact details")
    await write(page, "First and last name", "Vera Beispiel")
    await write(page, "Telephone number", "044 000 17 39")
    await write(page, "E-mail", "vera@example.com")
    await page.keyboard.press("Enter")
    await heading(page, "Is everything right?")
    await press(page, "Book now for")
    await page.wait_for_url("**/job/*")
    await page.get_by_role("heading", name="We are asking 4 helpers near you").wait_for()
    await press(page, "Cancel the booking")
    await press(page, "Cancel for free")
    await page.get_by_role("heading", name="Cancelled").wait_for()


async def test_every_screen_fits_large_letters_in_every_language(tabs, no_findings):
    page = await tabs("/?country=CH", locale="de-CH", viewport=LARGE)

    async def look() -> None:
        for language in Language:
            await page.locator("header select").select_option(language)
            await page.wait_for_function(
                "code => document.documentElement.lang === code", arg=language
            )
            assert await page.evaluate(KEYS) == [], language
            assert await page.evaluate("document.documentElement.scrollWidth") <= LARGE["width"]
            if scheme := EXAMINED.get(language):
                await page.emulate_media(color_scheme=scheme)
                await no_findings(page)

    async def on() -> None:
        await page.locator("main button.wide").last.click()
        await page.locator("h1:focus").wait_for()

    await page.locator("main li button").first.wait_for()
    await look()
    await page.locator("main li button").first.click()
    await page.locator("h1:focus").wait_for()
    await look()
    await page.locator("main li button").first.click()
    await page.locator("[name=postcode]").fill("8001")
    await expect(page.locator("[name=city]")).to_have_value("Zürich")
    await page.locator("[name=street]").fill("Bahnhofstrasse 1")
    await look()
    await on()
    await look()
    await on()
    await look()
    await on()
    await page.locator("[name=name]").fill("Vera Beispiel")
    await page.locator("[name=phone]").fill("044 000 17 39")
    await page.locator("[name=email]").fill("vera@example.com")
    await look()
    await on()
    await page.locator("ol").wait_for()
    await look()
    await page.locator("main button.wide").last.click()
    await page.wait_for_url("**/job/*")
    await page.locator("main ol").wait_for()
    await look()
