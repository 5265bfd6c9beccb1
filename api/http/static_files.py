"""The pages: static files built by `make setup`, served with caching and security headers.

Only files that existed when the process started are served, so no path leads out of the folder.
A page is labelled by its route, so tokens and ids in paths appear in no metric and no log.
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
    "/exam": (re.compile(r"/exam(?:/[a-z0-9-]{1,40})?"), "exam"),
    "/login": (re.compile(r"/login"), "login"),
    "/join": (re.compile(r"/join(?:/guardian)?"), "join"),
    "/account": (re.compile(r"/account"), "account"),
    "/company": (re.compile(r"/company"), "company"),
}
PRIVATE: Final = frozenset({"job", "login", "join", "account", "company"})
API_PATHS: Final = re.compile(r"/(?:v1|healthz|readyz|metrics|docs|openapi\.json)(?:/|$)")
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
SUFFIXES: Final[Mapping[str, str]] = {"br": ".br", "gzip": ".gz"}
FOREVER: Final = "public, max-age=31536000, immutable"
NOT_BUILT: Final = (
    "<!doctype html><html lang=en><meta charset=utf-8><title>tekkie</title>"
    "<h1>The pages were not built</h1><p>The API works. Build the pages with "
    "<code>make setup</code> (without <code>TEKKIE_WEB=skip</code>), then restart tekkie."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """One file, plain and compressed by coding; `tag` is its ETag."""

    body: bytes
    compressed: Mapping[str, bytes]
    type: str
    tag: str


@dataclass(frozen=True, slots=True)
class RouteLabel:
    """The route of a page in the metrics."""

    path: str


class Pages:
    """Middleware that serves the pages; requests to the API pass through."""

    def __init__(self, app: ASGIApp, *, map_style_url: str | None, dist: Path = DIST) -> None:
        self.app = app
        self._files = _load_files(dist, map_style_url)
        self._headers = security_headers(map_style_url)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or API_PATHS.match(scope["path"]):
            await self.app(scope, receive, send)
            return
        request = Headers(scope=scope)
        found = self._find(scope, request)
        if found is None:
            await self.app(scope, receive, send)
            return
        if scope["method"] not in {"GET", "HEAD"}:
            await problems.error_response(WrongMethod(), {"Allow": "GET, HEAD"})(
                scope, receive, send
            )
            return
        response = found if isinstance(found, Response) else self._page(*found, request)
        if scope["method"] == "HEAD":
            response.body = b""
        await response(scope, receive, send)

    def _find(self, scope: Scope, request: Headers) -> Response | tuple[str, int, str] | None:
        """A file, or the name, status and Cache-Control of a page; None for the API's 404."""
        path = scope["path"]
        for route, (shape, name) in PAGES.items():
            if shape.fullmatch(path):
                scope["route"] = RouteLabel(route)
                return name, 200, "no-store" if name in PRIVATE else "no-cache"
        file = self._files.get(path)
        if file is not None and not path.endswith(".html"):
            hashed = path.startswith("/assets/")
            scope["route"] = RouteLabel("/assets" if hashed else path)
            return self._respond(file, request, 200, FOREVER if hashed else "no-cache")
        if scope["method"] in {"GET", "HEAD"} and "text/html" in request.get("accept", ""):
            return "missing", 404, "no-store"
        return None

    def _page(self, name: str, status: int, cache: str, request: Headers) -> Response:
        file = self._files.get(f"/{name}.html")
        if file is None:
            plain = NOT_BUILT.encode()
            file = File(body=plain, compressed={}, type=TYPES[".html"], tag="")
            status, cache = 503 if status == 200 else status, "no-store"
        return self._respond(file, request, status, cache)

    def _respond(self, file: File, request: Headers, status: int, cache: str) -> Response:
        headers = {**self._headers, "Cache-Control": cache, "Content-Type": file.type}
        if cache != "no-store":
            headers |= {"ETag": file.tag, "Vary": "Accept-Encoding"}
            if status == 200 and _matches(file.tag, request.get("if-none-match", "")):
                return Response(status_code=304, headers=headers)
        body = file.body
        for coding in _accepted_codings(request.get("accept-encoding", "")):
            if coding in file.compressed:
                body = file.compressed[coding]
                headers["Content-Encoding"] = coding
                break
        return Response(body, status, headers)


def security_headers(map_style_url: str | None) -> dict[str, str]:
    """The security headers of every page and file."""
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
        "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "geolocation=(self), camera=(), microphone=(), payment=()",
    }


@lru_cache(maxsize=8)
def _read_files(dist: Path, build: str) -> Mapping[str, File]:
    """Every built file by its path; `build` identifies the build, so that a new one is read."""
    return dict(_files(dist))


def _load_files(dist: Path, map_style_url: str | None) -> Mapping[str, File]:
    built = dist / ".built"
    if not built.is_file():
        return {}
    files = dict(_read_files(dist, built.read_text("ascii")))
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
        compressed = {
            coding: variant.read_bytes()
            for coding, suffix in SUFFIXES.items()
            if (variant := path.with_name(path.name + suffix)).is_file()
        }
        yield f"/{path.relative_to(dist).as_posix()}", _file(path.read_bytes(), compressed, kind)


def _file(body: bytes, compressed: Mapping[str, bytes], kind: str) -> File:
    return File(
        body=body, compressed=compressed, type=kind, tag=f'"{sha256(body).hexdigest()[:32]}"'
    )


def _matches(tag: str, header: str) -> bool:
    return header.strip() == "*" or tag in {
        one.strip().removeprefix("W/") for one in header.split(",")
    }


def _accepted_codings(header: str) -> list[str]:
    """The codings that a browser accepts, in our order of preference."""
    accepted = {}
    for part in header.split(","):
        name, _, weight = part.strip().lower().partition(";")
        accepted[name.strip()] = weight.replace(" ", "") not in {
            "q=0",
            "q=0.0",
            "q=0.00",
            "q=0.000",
        }
    return [coding for coding in SUFFIXES if accepted.get(coding)]
