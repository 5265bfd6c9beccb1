"""The OpenAPI document as a plain HTML page without external resources."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator, Mapping
from hashlib import sha256
from html import escape
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from api.http.routing import CompiledRoute

router = APIRouter(include_in_schema=False, route_class=CompiledRoute)

STYLE: Final = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "code,pre{font-size:.9em}pre{background:#f4f4f4;padding:.7rem;overflow:auto}"
    "summary{cursor:pointer}b{display:inline-block;min-width:4rem}details{margin:.4rem 0}"
    "@media(prefers-color-scheme:dark){body{background:#111;color:#eee}pre{background:#222}"
    "a{color:#8bf}}"
)
POLICY: Final = (
    "default-src 'none'; frame-ancestors 'none'; style-src 'sha256-"
    + b64encode(sha256(STYLE.encode()).digest()).decode()
    + "'"
)


@router.get("/docs")
async def docs(request: Request) -> HTMLResponse:
    """Every operation with its parameters and responses."""
    page = "\n".join(_page(request.app.openapi()))
    return HTMLResponse(page, headers={"Content-Security-Policy": POLICY})


def _page(document: Mapping[str, Any]) -> Iterator[str]:
    info = document["info"]
    yield '<!doctype html><html lang="en"><meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width">'
    yield f"<title>{escape(info['title'])}: the API</title><style>{STYLE}</style>"
    yield f"<h1>{escape(info['title'])} <small>{escape(info['version'])}</small></h1>"
    for paragraph in info["description"].split("\n\n"):
        yield f"<p>{escape(paragraph)}</p>"
    yield '<p><a href="/openapi.json">openapi.json</a> is the same for programs.</p>'
    for tag in document["tags"]:
        yield f"<h2>{escape(tag['name'])}</h2><p>{escape(tag['description'])}</p>"
        for path, methods in document["paths"].items():
            for method, operation in methods.items():
                if tag["name"] in operation.get("tags", ()):
                    yield from _operation(method, path, operation)


def _operation(method: str, path: str, operation: Mapping[str, Any]) -> Iterator[str]:
    yield f"<details><summary><b>{method.upper()}</b> <code>{escape(path)}</code> "
    yield f"{escape(operation['summary'])}</summary><p>{escape(operation['description'])}</p><ul>"
    for parameter in operation.get("parameters", ()):
        yield f"<li><code>{escape(parameter['name'])}</code> ({parameter['in']}) "
        yield f"{escape(parameter.get('description', ''))}</li>"
    yield "</ul>"
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if content:
        for example in content.get("examples", {}).values():
            text = json.dumps(example["value"], indent=2, ensure_ascii=False)
            yield f"<pre>{escape(text)}</pre>"
    yield "<ul>"
    for status, response in operation["responses"].items():
        yield f"<li><b>{status}</b> {escape(response['description'])}</li>"
    yield "</ul></details>"
