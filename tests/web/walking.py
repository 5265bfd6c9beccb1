"""The steps of a booking in the browser, as a customer takes them."""

from playwright.async_api import Locator, Page, expect

STREET = "Bahnhofstrasse 1"
PACKAGE = "Wi-Fi setup"


def button(page: Page | Locator, name: str) -> Locator:
    """The button of this name, whole."""
    return page.get_by_role("button", name=name, exact=True)


async def heading(page: Page, name: str) -> None:
    """Wait for the question, and see that the focus has gone to it."""
    await page.locator("h1:focus", has_text=name).wait_for()


async def what(page: Page) -> None:
    """Choose the Wi-Fi setup by its topic."""
    await button(page, "Internet and Wi-Fi").click()
    await heading(page, "Internet and Wi-Fi")
    await page.get_by_role("button", name=PACKAGE).click()


async def where(page: Page, postcode: str = "8001", street: str = STREET) -> None:
    """Give the address; the town completes itself."""
    await heading(page, "Where do you need us?")
    await address(page, postcode, street)


async def address(page: Page, postcode: str = "8001", street: str = STREET) -> None:
    """Fill in the address and ask who is near."""
    await page.get_by_label("Town").fill("")
    await page.get_by_label("Postcode").fill(postcode)
    await expect(page.get_by_label("Town")).not_to_have_value("")
    await page.get_by_label("Street and number").fill(street)
    await button(page, "Look for helpers nearby").click()


async def near(page: Page) -> None:
    """See that somebody is near."""
    await heading(page, "Several helpers are near you")
    await button(page, "Continue").click()


async def when(page: Page) -> None:
    """Wish for the evening."""
    await heading(page, "When would suit you?")
    await page.get_by_label("In the evening").check()
    await page.get_by_label("Message to your helper").fill("Third floor, ring twice.")
    await button(page, "Continue").click()


async def who(page: Page) -> None:
    """Say who is to be called."""
    await heading(page, "Your contact details")
    await person(page)


async def person(page: Page, phone: str = "044 000 17 39") -> None:
    """Fill in name and numbers."""
    await page.get_by_label("First and last name").fill("Vera Beispiel")
    await page.get_by_label("Telephone number").fill(phone)
    await page.get_by_label("E-mail").fill("vera@example.com")
    await button(page, "Continue").click()


async def to_check(page: Page) -> None:
    """Everything up to the last step."""
    await what(page)
    await where(page)
    await near(page)
    await when(page)
    await who(page)
    await heading(page, "Is everything right?")
