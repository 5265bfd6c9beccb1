"""An exam on a phone, from its rules to the explanations."""

import re

from data.db import transaction
from data.store import exams
from tests.exam_banks import bank
from tests.web.conftest import DESK, PHONE, examine_at
from tests.web.phones import cut_off, phone

RIGHT = re.compile(r"^Option \d+ b en$")


async def answer_and_go_on(page, questions):
    for position in questions:
        await page.get_by_text(f"Question {position} of 10").wait_for()
        await page.get_by_role("radio", name=RIGHT).check()
        if position < 10:
            await page.get_by_role("button", name="Next").click()


async def test_an_exam_survives_a_reload_and_a_lost_connection_and_ends_with_explanations(
    tabs, site
):
    async with transaction(site.api.rt.pool) as tx:
        await exams.put(tx, [bank("printer")])
    page = await phone(tabs, site)
    await page.goto("/exam")
    await page.get_by_role("link", name="Printers and scanners").click()
    await page.get_by_text("You pass with 80 %").wait_for()
    await examine_at(page, (PHONE, "dark"), (DESK, "light"))
    await page.get_by_role("button", name="Start now").click()
    await answer_and_go_on(page, range(1, 4))
    await examine_at(page, (PHONE, "light"), (DESK, "dark"))

    # What is answered without a network is sent again.
    await cut_off(page, site, True)
    await page.get_by_role("radio").first.focus()
    await page.keyboard.press("Space")
    await page.get_by_text("No connection. 1 answer is kept here").wait_for()
    await cut_off(page, site, False)
    await page.get_by_text("No connection.").wait_for(state="detached")
    await page.reload()
    await page.get_by_role("button", name="Question 4, answered").click()
    assert await page.get_by_role("radio").first.is_checked()

    await answer_and_go_on(page, range(4, 11))
    await page.get_by_role("button", name="Finish").click()
    await page.get_by_text("You have answered all questions.").wait_for()
    await page.get_by_role("button", name="Yes, finish").click()
    await page.get_by_role("heading", name="Passed!").wait_for()
    await page.get_by_text("10 of 10 answers are right.").wait_for()
    await page.get_by_text("Because of printer-").first.wait_for()
    await page.get_by_text("You hold this certificate.").wait_for()
    await examine_at(page, (PHONE, "dark"), (DESK, "light"))
