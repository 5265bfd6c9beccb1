"""The pages: files made by `make setup`, served with what a browser should know.

Only what lay in the folder when the process started is served, so no path leads out of it. A page's
path is its route: tokens and ids in it are in no metric and no log.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from html import escape
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from api.http import problems
from api.http.problems import WrongMethod

DIST: Final = Path(__file__).parents[1] / "web" / "dist"
PAGES: Final[Mapping[str, tuple[re.Pattern[str], str]]] = {
    "/": (re.compile(r"/"), "book"),
    "/job/{token}": (re.compile(r"/job(?:/[\w-]{1,200})?"), "job"),
    "/friend": (re.compile(r"/friend(?:/(?:offers|jobs)/[\w-]{1,64}|/[a-z-]{1,32})?"), "friend"),
    "/desk": (re.compile(r"/desk(?:/[a-z-]{1,32}(?:/[\w-]{1,64})?)?"), "desk"),
    "/login": (re.compile(r"/login"), "login"),
}
PRIVATE: Final = frozenset({"job", "login"})
OF_THE_API: Final = re.compile(r"/(?:v1|healthz|readyz|metrics|docs|openapi\.json)(?:/|$)")
TYPES: Final[Mapping[str, str]] = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".woff2": "font/woff2",
    ".txt": "text/plain; charset=utf-8",
}
PACKED: Final[Mapping[str, str]] = {"br": ".br", "gzip": ".gz"}
FOREVER: Final = "public, max-age=31536000, immutable"
NOT_BUILT: Final = (
    "<!doctype html><html lang=en><meta charset=utf-8><title>tekkie</title>"
    "<h1>The pages were not built</h1><p>The API works. Build the pages with "
    "<code>make setup</code> (without <code>TEKKIE_WEB=skip</code>), then start tekkie anew."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """One file as it is sent, plain and packed; `tag` names its content."""

    body: bytes
    packed: Mapping[str, bytes]
    type: str
    tag: str


@dataclass(frozen=True, slots=True)
class Way:
    """What a page is called in the metrics."""

    path: str


class Pages:
    """Answers for everything that is not the API."""

    def __init__(self, app: ASGIApp, *, map_style_url: str | None, dist: Path = DIST) -> None:
        self.app = app
        self._files = _shelf(dist, map_style_url)
        self._headers = headers(map_style_url)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or OF_THE_API.match(scope["path"]):
            await self.app(scope, receive, send)
            return
        asked = Headers(scope=scope)
        found = self._found(scope, asked)
        if found is None:
            await self.app(scope, receive, send)
            return
        if scope["method"] not in {"GET", "HEAD"}:
            await problems.answer(WrongMethod(), {"Allow": "GET, HEAD"})(scope, receive, send)
            return
        answer = found if isinstance(found, Response) else self._page(*found, asked)
        if scope["method"] == "HEAD":
            answer.body = b""
        await answer(scope, receive, send)

    def _found(self, scope: Scope, asked: Headers) -> Response | tuple[str, int, str] | None:
        """A file, or the name of a page with its status and how long it may be kept."""
        path = scope["path"]
        for route, (shape, name) in PAGES.items():
            if shape.fullmatch(path):
                scope["route"] = Way(route)
                return name, 200, "no-store" if name in PRIVATE else "no-cache"
        file = self._files.get(path)
        if file is not None and not path.endswith(".html"):
            hashed = path.startswith("/assets/")
            scope["route"] = Way("/assets" if hashed else path)
            return self._sent(file, asked, 200, FOREVER if hashed else "no-cache")
        if scope["method"] in {"GET", "HEAD"} and "text/html" in asked.get("accept", ""):
            return "missing", 404, "no-store"
        return None

    def _page(self, name: str, status: int, keep: str, asked: Headers) -> Response:
        file = self._files.get(f"/{name}.html")
        if file is None:
            plain = NOT_BUILT.encode()
            file = File(body=plain, packed={}, type=TYPES[".html"], tag="")
            status, keep = 503 if status == 200 else status, "no-store"
        return self._sent(file, asked, status, keep)

    def _sent(self, file: File, asked: Headers, status: int, keep: str) -> Response:
        more = {**self._headers, "Cache-Control": keep, "Content-Type": file.type}
        if keep != "no-store":
            more |= {"ETag": file.tag, "Vary": "Accept-Encoding"}
            if status == 200 and _same(file.tag, asked.get("if-none-match", "")):
                return Response(status_code=304, headers=more)
        body = file.body
        for coding in _accepted(asked.get("accept-encoding", "")):
            if coding in file.packed:
                body = file.packed[coding]
                more["Content-Encoding"] = coding
                break
        return Response(body, status, more)


def headers(map_style_url: str | None) -> dict[str, str]:
    """What every page and file tells the browser to keep to."""
    parts = urlsplit(map_style_url) if map_style_url else None
    maps = f" {parts.scheme}://{parts.netloc}" if parts else ""
    policy = {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": f"'self' data: blob:{maps}",
        "font-src": "'self'",
        "connect-src": f"'self'{maps}",
        "worker-src": "'self'",
        "manifest-src": "'self'",
        "form-action": "'self'",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
    }
    return {
        "Content-Security-Policy": "; ".join(f"{name} {said}" for name, said in policy.items()),
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "geolocation=(self), camera=(), microphone=(), payment=()",
    }


@lru_cache(maxsize=8)
def _read(dist: Path, stand: str) -> Mapping[str, File]:
    """Every built file by its path; `stand` is what was built, so that a new build is read."""
    return dict(_files(dist))


def _shelf(dist: Path, map_style_url: str | None) -> Mapping[str, File]:
    built = dist / ".built"
    if not built.is_file():
        return {}
    files = dict(_read(dist, built.read_text("ascii")))
    if map_style_url:
        meta = f'<meta name="map-style" content="{escape(map_style_url)}" />\n  </head>'.encode()
        for path, file in files.items():
            if path.endswith(".html"):
                files[path] = _file(file.body.replace(b"</head>", meta, 1), {}, file.type)
    return files


def _files(dist: Path) -> Iterator[tuple[str, File]]:
    for path in sorted(dist.rglob("*")):
        kind = TYPES.get(path.suffix)
        if kind is None or not path.is_file():
            continue
        packed = {
            coding: aside.read_bytes()
            for coding, suffix in PACKED.items()
            if (aside := path.with_name(path.name + suffix)).is_file()
        }
        yield f"/{path.relative_to(dist).as_posix()}", _file(path.read_bytes(), packed, kind)


def _file(body: bytes, packed: Mapping[str, bytes], kind: str) -> File:
    return File(body=body, packed=packed, type=kind, tag=f'"{sha256(body).hexdigest()[:32]}"')


def _same(tag: str, known: str) -> bool:
    return known.strip() == "*" or tag in {
        one.strip().removeprefix("W/") for one in known.split(",")
    }


def _accepted(header: str) -> list[str]:
    """The codings a browser takes, ours first."""
    taken = {}
    for part in header.split(","):
        name, _, weight = part.strip().lower().partition(";")
        taken[name.strip()] = weight.replace(" ", "") not in {"q=0", "q=0.0", "q=0.00", "q=0.000"}
    return [coding for coding in PACKED if taken.get(coding)]
