"""How pages are handed out: what may be kept, what is packed, and what no path leads to."""

import asyncio
import gzip
import re
from contextlib import closing
from http.client import HTTPConnection
from urllib.parse import urlsplit

import httpx2
import pytest
from starlette.testclient import TestClient

from api.http.static_files import Pages, security_headers

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "font-src 'self'; connect-src 'self'; worker-src 'self'; manifest-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
TOKEN = "AbCdEfGhIjKlMnOpQrStUvWxYz-_0123456789AbCdEfGhIjKlMnOpQrStUvWxYz0"
PAGES = {
    "/": "no-cache",
    "/friend": "no-cache",
    "/friend/offers/0197": "no-cache",
    "/desk": "no-cache",
    "/desk/bookings/0197": "no-cache",
    "/login": "no-store",
    "/account": "no-store",
    f"/job/{TOKEN}": "no-store",
}
OUTSIDE = [
    "/../main.py",
    "/assets/../../../main.py",
    "/assets/..%2f..%2f..%2fmain.py",
    "/%2e%2e/%2e%2e/pyproject.toml",
    "/assets/%5c..%5c..%5cmain.py",
    "//etc/passwd",
    "/.built",
    "/book.html",
    "/assets/",
    "/friend/../v1",
    "/job/%00",
]
HTML = {"Accept": "text/html,application/xhtml+xml"}


@pytest.fixture
async def http(site):
    async with httpx2.AsyncClient(base_url=site.url) as client:
        yield client


def script(page: httpx2.Response) -> str:
    found = re.search(r'<script[^>]+src="(/assets/[^"]+)"', page.text)
    assert found
    return found[1]


async def test_a_page_sets_the_security_headers(http):
    for path, keep in PAGES.items():
        answer = await http.get(path)
        assert answer.status_code == 200, path
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert answer.headers["content-security-policy"] == POLICY
        assert answer.headers["cache-control"] == keep
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cross-origin-opener-policy"] == "same-origin"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert answer.headers["permissions-policy"].startswith("geolocation=(self), camera=()")
        assert ("etag" in answer.headers) == (keep != "no-store")


async def test_a_page_that_is_cached_is_not_sent_again(http):
    first = await http.get("/")
    again = await http.get("/", headers={"If-None-Match": f'"other", W/{first.headers["etag"]}'})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["content-security-policy"] == POLICY
    assert (await http.get("/", headers={"If-None-Match": '"other"'})).status_code == 200


async def test_a_script_is_named_by_its_content_cached_for_ever_and_compressed_as_requested(http):
    path = script(await http.get("/login"))
    plain = await http.get(path, headers={"Accept-Encoding": "identity"})
    assert plain.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert plain.headers["content-type"] == "text/javascript; charset=utf-8"
    assert "content-encoding" not in plain.headers
    async with http.stream("GET", path, headers={"Accept-Encoding": "gzip, br;q=0"}) as packed:
        raw = b"".join([part async for part in packed.aiter_raw()])
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.headers["vary"] == "Accept-Encoding"
    assert gzip.decompress(raw) == plain.content
    best = await http.send(
        http.build_request("HEAD", path, headers={"Accept-Encoding": "gzip, br"})
    )
    assert best.headers["content-encoding"] == "br"
    assert int(best.headers["content-length"]) < len(raw)


async def test_head_answers_as_get_does_without_the_page(http):
    same = ("content-length", "content-type", "cache-control", "content-security-policy")
    for path in ("/", "/login"):
        head, whole = await http.head(path), await http.get(path)
        assert head.content == b""
        assert [head.headers[name] for name in same] == [whole.headers[name] for name in same]


async def test_no_path_leads_out_of_the_pages(site):
    for path in OUTSIDE:
        status, body = await asyncio.to_thread(plainly, site.url, path)
        assert status == 404, path
        assert body.startswith(b"<!doctype html>"), path


def plainly(url: str, path: str) -> tuple[int, bytes]:
    """Ask for a path as it stands: clients would tidy it up."""
    parts = urlsplit(url)
    with closing(HTTPConnection(parts.hostname, parts.port, timeout=5)) as connection:
        connection.putrequest("GET", path)
        connection.putheader("Accept", "text/html")
        connection.endheaders()
        response = connection.getresponse()
        return response.status, response.read()


async def test_an_unknown_path_is_a_problem_for_programs_and_a_page_for_browsers(http):
    person = await http.get("/nowhere", headers=HTML)
    assert (person.status_code, person.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert person.headers["cache-control"] == "no-store"
    for path, asked in [("/nowhere", {}), ("/v1/nowhere", HTML)]:
        program = await http.get(path, headers=asked)
        assert program.status_code == 404
        assert program.headers["content-type"] == "application/problem+json"


async def test_a_page_is_only_read(http):
    answer = await http.post("/login", json={})
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD"


async def test_metrics_count_the_page_and_not_the_token(http):
    await http.get(f"/job/{TOKEN}")
    figures = (await http.get("/metrics")).text
    assert 'route="/job/{token}"' in figures
    assert TOKEN not in figures


def test_only_the_host_of_the_map_style_is_allowed():
    policy = security_headers("https://maps.example:8443/styles/calm.json?key=1")[
        "Content-Security-Policy"
    ]
    assert "connect-src 'self' https://maps.example:8443;" in policy
    assert "img-src 'self' data: blob: https://maps.example:8443;" in policy
    assert "script-src 'self';" in policy


def test_the_page_contains_the_map_style(built):
    url = 'https://maps.example/?a=1&b="2"'
    page = TestClient(Pages(never, map_style_url=url, dist=built)).get("/")
    meta = '<meta name="map-style" content="https://maps.example/?a=1&amp;b=&quot;2&quot;" />'
    assert meta in page.text
    assert page.text.index(meta) < page.text.index("</head>")


def test_pages_that_were_not_built_name_the_cure(tmp_path):
    answer = TestClient(Pages(never, map_style_url=None, dist=tmp_path)).get("/friend")
    assert answer.status_code == 503
    assert "make setup" in answer.text


async def never(scope, receive, send):
    raise AssertionError("the API was asked for a page")
