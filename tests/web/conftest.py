"""The pages in a real browser: the API on a socket, Debian's chromium, axe."""

import asyncio
import os
import signal
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest
import uvicorn
from axe_playwright_python.base import AXE_FILE_PATH
from playwright.async_api import Browser, BrowserContext, Page, async_playwright

from api.http.static_files import DIST
from api.server.app import create_app
from data.database import Database
from data.settings import Settings
from dispatch.runtime import Runtime
from tests.api.conftest import ApiHarness, Letters, Neighbours, neighbours, no_load_shedding
from tests.conftest import Server, open_kept_runtime
from tests.proxy import Proxy
from tests.web.browser import CURE, find_shell, find_whole

__all__ = ["neighbours", "no_load_shedding"]  # fixtures

ARGS = [
    "--no-sandbox",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-component-extensions-with-background-pages",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-sync",
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--disable-back-forward-cache",
    "--disable-breakpad",
    "--disable-dev-shm-usage",
    "--disable-hang-monitor",
    "--disable-ipc-flooding-protection",
    "--disable-renderer-backgrounding",
    "--allow-pre-commit-input",
    "--force-color-profile=srgb",
    "--hide-scrollbars",
    "--mute-audio",
    "--disable-gpu",
    "--enable-unsafe-swiftshader",
]
PHONE = {"width": 390, "height": 844}
DESK = {"width": 1280, "height": 800}
AXE = Path(AXE_FILE_PATH).read_text("utf-8")
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
PATIENCE_MS = 10_000
# A change of the colour scheme fades.
FINISH = """() => document.getAnimations()
  .forEach(one => one instanceof CSSTransition && one.finish())"""
STARTS_WITHIN_S = 60
# What the browser itself writes about an answer of 400 and more; the pages tell people.
STATUS = "Failed to load resource"
# What the software renderer says of maps: it is slow.
DRIVER = "GL Driver Message"


@dataclass
class Site:
    """The pages and the API under one address; `line` is what browsers reach them by."""

    url: str
    api: ApiHarness
    line: Proxy

    @property
    def streams(self) -> int:
        """How many event streams are open now."""
        return int(self.api.app.state.streams.open)

    async def streams_end(self, left: int = 0) -> None:
        """Wait until no more event streams are open than are `left`."""
        async with asyncio.timeout(PATIENCE_MS / 1000):
            while self.streams > left:  # noqa: ASYNC110 - a stream does not tell when it ends
                await asyncio.sleep(0.01)


@dataclass
class Tabs:
    """Opens pages, and remembers what their console and their requests should not hold."""

    browser: Browser
    url: str
    contexts: list[BrowserContext] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    async def context(self, **options: Any) -> BrowserContext:
        settings = {
            "viewport": PHONE,
            "locale": "en-GB",
            "timezone_id": "Europe/Zurich",
            "reduced_motion": "reduce",
        }
        context = await self.browser.new_context(base_url=self.url, **(settings | options))
        self.contexts.append(context)
        return context

    async def __call__(self, path: str, **options: Any) -> Page:
        """A page of a context of its own, loaded."""
        page = self.watched(await (await self.context(**options)).new_page())
        await page.goto(path)
        return page

    def watched(self, page: Page) -> Page:
        """The same page; whatever it does wrong fails the test."""
        page.on("console", lambda message: self._on_console(message.type, message.text))
        page.on("pageerror", lambda error: self.faults.append(f"error: {error}"))
        page.on("request", lambda request: self._on_request(request.url))
        return page

    def _on_console(self, kind: str, text: str) -> None:
        if kind in {"error", "warning"} and not text.startswith(STATUS) and DRIVER not in text:
            self.faults.append(f"{kind}: {text}")

    def _on_request(self, url: str) -> None:
        if not url.startswith((self.url, "data:", "blob:")):
            self.faults.append(f"asked a third party: {url}")

    async def sign_in(self, context: BrowserContext, token: str) -> None:
        """Give a context the session cookie of a friend or an operator."""
        cookie = {"name": "tekkie_session", "value": token, "url": self.url, "httpOnly": True}
        await context.add_cookies([cookie])


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a browser started once per process: the headless shell, where it is installed.

    It is the same engine and needs a third of the processor time, but shows no notifications.
    """
    yield from started(find_shell(), tmp_path_factory.mktemp("chromium"))


@pytest.fixture(scope="session")
def whole_chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of the whole browser, for tests of notifications."""
    yield from started(find_whole(), tmp_path_factory.mktemp("whole"))


def started(program: str | None, folder: Path) -> Iterator[str]:
    """The URL of a browser, which ends with the generator."""
    assert program, f"chromium is missing. Cure: make dev, or {CURE}"
    # A connection waits for every page that is already there, even for one that hangs.
    own = ["--headless", "--remote-debugging-port=0", f"--user-data-dir={folder}"]
    own.append("--no-startup-window")
    with open(folder / "output", "wb") as output:
        process = subprocess.Popen(
            [program, *ARGS, *own], stdout=output, stderr=output, start_new_session=True
        )
    try:
        yield f"http://127.0.0.1:{_port_of(process, folder)}"
    finally:
        # Debian's command is a script, which alone would leave its browser behind.
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(10)


def _port_of(process: subprocess.Popen[bytes], folder: Path) -> str:
    """The port chromium listens on, once it does."""
    for _ in range(STARTS_WITHIN_S * 20):
        with suppress(FileNotFoundError):
            if port := (folder / "DevToolsActivePort").read_text().partition("\n")[0]:
                return port
        assert process.poll() is None, (folder / "output").read_text(errors="replace")[-2000:]
        time.sleep(0.05)
    pytest.fail(f"chromium was not ready within {STARTS_WITHIN_S} s")


@pytest.fixture(scope="session")
def built() -> Path:
    """The folder of the built pages."""
    assert (DIST / ".built").is_file(), "The pages were not built. Cure: make setup"
    return DIST


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """The socket of this test's server, known before the settings are."""
    with socket.create_server(("127.0.0.1", 0)) as one:
        yield one


@pytest.fixture
async def line(listener: socket.socket) -> AsyncIterator[Proxy]:
    """The network between the browser and this test's server."""
    proxy = Proxy(listener.getsockname()[1])
    await proxy.open()
    yield proxy
    await proxy.close()


@pytest.fixture
def database(server: Server, neighbours: Neighbours) -> Iterator[Database]:
    """A database of this test alone, with the six friends."""
    with server.lend(neighbours.template) as lent:
        yield lent


@pytest.fixture
async def rt(
    database: Database, clock: Any, tmp_path: Path, line: Proxy, recycling: Any
) -> AsyncIterator[Runtime]:
    """A runtime that knows under which address its pages are."""
    settings = Settings(data_dir=tmp_path, port=line.port)
    async with open_kept_runtime(settings, database, recycling) as runtime:
        yield runtime


@pytest.fixture
async def site(
    rt: Runtime, neighbours: Neighbours, listener: socket.socket, line: Proxy, built: Path
) -> AsyncIterator[Site]:
    """The pages and the API with six friends at 100 m to 600 m from the customer."""
    letters = Letters()
    app = create_app(rt)
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off"))
    task = asyncio.create_task(server.serve(sockets=[listener]))
    # Callers who are no browser do without the line, which may be cut.
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{listener.getsockname()[1]}") as http:
        api = ApiHarness(rt, app, letters, http, dict(neighbours.friends))
        yield Site(rt.settings.base_url, api, line)
    if streams := getattr(app.state, "streams", None):
        await streams.close()
    server.should_exit = True
    await task


@pytest.fixture(scope="session")
async def browser(chromium: str) -> AsyncIterator[Browser]:
    """The connection to the browser: opening it takes longer than most tests."""
    async with _connected(chromium) as browser:
        yield browser


@pytest.fixture(scope="session")
async def whole_browser(whole_chromium: str) -> AsyncIterator[Browser]:
    """The connection to the whole browser."""
    async with _connected(whole_chromium) as browser:
        yield browser


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.connect_over_cdp(url, timeout=STARTS_WITHIN_S * 1000)
        yield browser
        await browser.close()


@pytest.fixture
def own_browser(request: pytest.FixtureRequest) -> Browser:
    """The browser of this test."""
    notifies = request.node.get_closest_marker("notifications") is not None
    found: Browser = request.getfixturevalue("whole_browser" if notifies else "browser")
    return found


@pytest.fixture
async def tabs(site: Site, own_browser: Browser) -> AsyncIterator[Tabs]:
    """Opens pages in a browser; at the end nothing may have gone wrong in any of them."""
    opened_tabs = Tabs(own_browser, site.url)
    yield opened_tabs
    for context in opened_tabs.contexts:
        await context.close()
    assert opened_tabs.faults == []


async def show(page: Page, visible: bool) -> None:
    """Bring a tab to the front, or put it behind another; a headless browser does neither."""
    state = "visible" if visible else "hidden"
    await page.evaluate(
        """state => {
          Object.defineProperty(document, 'visibilityState', { value: state, configurable: true });
          document.dispatchEvent(new Event('visibilitychange'));
        }""",
        state,
    )


async def turn_to(page: Page, path: str) -> None:
    """Turn to another view as the back key does: the document stays, and so does axe in it."""
    await page.evaluate(
        """path => {
          history.pushState(null, '', path);
          dispatchEvent(new PopStateEvent('popstate'));
        }""",
        path,
    )


@pytest.fixture
def no_findings() -> Callable[[Page], Awaitable[None]]:
    """`await no_findings(page)`: axe finds nothing that keeps anybody out."""
    return examine


async def examine_at(page: Page, *looks: tuple[Any, str]) -> None:
    """Examine the open screen in each size and colour scheme; nothing is wider than the screen."""
    for viewport, scheme in looks:
        await page.set_viewport_size(viewport)
        await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        await examine(page)
        wide = await page.evaluate("document.documentElement.scrollWidth")
        assert wide <= viewport["width"], (page.url, viewport)


async def examine(page: Page) -> None:
    if not await page.evaluate("'axe' in window"):
        await page.evaluate(f"() => {{ {AXE} }}")
    await page.evaluate(FINISH)
    options = {"runOnly": {"type": "tag", "values": RULES}, "resultTypes": ["violations"]}
    # What was right is long, and nobody reads it.
    find = "options => axe.run(options).then(found => found.violations)"
    violations = {
        one["id"]: [f"{node['html']}: {node['failureSummary']}" for node in one["nodes"]]
        for one in await page.evaluate(find, options)
    }
    assert violations == {}


@pytest.fixture
async def desk(tabs: Tabs, site: Site) -> Callable[..., Awaitable[Page]]:
    """Opens a page of the desk as an operator, on a wide screen by default."""
    operator = await site.api.operator()

    async def open_at(path: str = "/desk", **options: Any) -> Page:
        context = await tabs.context(**({"viewport": DESK} | options))
        await tabs.sign_in(context, str(operator.token))
        page = tabs.watched(await context.new_page())
        page.set_default_timeout(PATIENCE_MS)
        await page.goto(path)
        await page.get_by_role("heading", name="Queues").wait_for(state="attached")
        return page

    return open_at
