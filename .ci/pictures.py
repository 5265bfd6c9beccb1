#!/usr/bin/env python3
"""Draw docs/images/faces.png from the running demo: `make pictures`.

Starts `tekkie demo` in a temporary folder, books as a customer, and takes screenshots of the
booking page, of a friend's phone with the offer and of the desk, side by side in one picture.
Needs chromium and the built pages.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.async_api import Browser, Page, async_playwright

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "docs" / "images" / "faces.png"
PHONE = {"width": 390, "height": 722}
DESK = {"width": 1280, "height": 800}
STARTS_WITHIN_S = 180
BUSY_S = 60  # until the list of the desk is full
BOOKING = {
    "package": "wifi-setup",
    "customer": {
        "name": "Vera Beispiel",
        "email": "vera@example.com",
        "phone": "+41 44 000 17 39",
        "language": "en",
    },
    "address": {
        "street": "Münsterhof 1",
        "postcode": "8001",
        "city": "Zürich",
        "country": "CH",
        "lat": 47.37055,
        "lon": 8.54177,
    },
    "wishes": ["evening"],
}
LAYOUT = """<!doctype html>
<style>
  body { margin: 0; padding: 28px 32px 26px; width: max-content; display: flex; gap: 30px;
         background: #e9e3d8; font: 600 17px system-ui, sans-serif; color: #3b403d; }
  figure { margin: 0; }
  img { display: block; height: 590px; border-radius: 12px; box-shadow: 0 6px 22px #0003; }
  .phone img { border: 7px solid #1f2421; border-radius: 30px; }
  .desk img { border: 7px solid #1f2421; border-radius: 14px; }
  figcaption { text-align: center; margin-top: 14px; }
</style>
<figure class="phone"><img src="customer.png"><figcaption>a customer books</figcaption></figure>
<figure class="phone"><img src="friend.png"><figcaption>a friend gets an offer</figcaption></figure>
<figure class="desk"><img src="desk.png"><figcaption>the desk follows both</figcaption></figure>
"""


@contextmanager
def run_demo(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """The demo with its address and the login links of friend and desk; stopped afterwards."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    log = folder / "log"
    words = ["demo", "--data-dir", str(folder / "data"), "--port", str(port)]
    words += ["--bookings-per-minute", "15"]
    with log.open("w") as out:
        env = os.environ | {"TEKKIE_ANONYMOUS_BOOKINGS": "trust"}
        command = [sys.executable, "-m", "api", *words]
        process = subprocess.Popen(command, env=env, stdout=out, stderr=out)
    try:
        until = time.monotonic() + STARTS_WITHIN_S
        while len(links := re.findall(r"http://\S+/login#\S+", log.read_text("utf-8"))) < 2:
            if process.poll() is not None or time.monotonic() > until:
                sys.exit(log.read_text("utf-8"))
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}", links
    finally:
        process.terminate()
        process.wait(30)


async def open_page(browser: Browser, url: str, size: dict[str, int]) -> Page:
    """A page in a browser of its own, at twice the density."""
    context = await browser.new_context(viewport=size, device_scale_factor=2, locale="en")
    page = await context.new_page()
    await page.goto(url)
    return page


async def shoot(folder: Path, base: str, links: list[str]) -> None:
    """Take the three screenshots and combine them."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        friend, desk = [
            await open_page(browser, link, size)
            for link, size in zip(links, (PHONE, DESK), strict=True)
        ]
        for page in (friend, desk):
            await page.get_by_role("button").first.click()
            await page.wait_for_url(re.compile("/(friend|desk)"))
        await asyncio.sleep(BUSY_S)
        customer = await open_page(browser, base, PHONE)
        await customer.get_by_text("Or choose a topic").wait_for()
        answer = await customer.context.request.post(f"{base}/v1/bookings", data=BOOKING)
        assert answer.status == 201, await answer.text()
        await friend.get_by_text("Wi-Fi setup").first.click()
        await friend.get_by_role("button", name="Accept").wait_for()
        await desk.get_by_text("Vera Beispiel").first.click()
        await desk.get_by_text("Round 1: friends asked").wait_for()
        row = desk.get_by_text("Vera Beispiel").first
        await row.evaluate("row => row.scrollIntoView({block: 'center'})")
        await asyncio.sleep(1)
        for name, page in (("customer", customer), ("friend", friend), ("desk", desk)):
            await page.screenshot(path=folder / f"{name}.png")
        (folder / "layout.html").write_text(LAYOUT, "utf-8")
        layout = await open_page(browser, f"file://{folder}/layout.html", DESK)
        await layout.set_viewport_size({"width": 1, "height": 1})
        await layout.locator("body").screenshot(path=PICTURE, scale="css")
        await browser.close()


def main() -> None:
    """Make the picture."""
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="tekkie-pictures-") as name:
        folder = Path(name)
        with run_demo(folder) as (base, links):
            asyncio.run(shoot(folder, base, links))


if __name__ == "__main__":
    main()
