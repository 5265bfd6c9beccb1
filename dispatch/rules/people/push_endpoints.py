"""Which push endpoints are allowed: those of known push services only.

A subscriber chooses the URL that this server will call. To prevent server-side request forgery,
only known hosts are called, over TLS and on the default port.
"""

from __future__ import annotations

from collections.abc import Collection
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

from dispatch.rules.refusals import Refused

SERVICES = frozenset(
    {
        "fcm.googleapis.com",
        "*.push.apple.com",
        "*.notify.windows.com",
        "updates.push.services.mozilla.com",
        "*.push.services.mozilla.com",
    }
)
HTTPS_PORTS = frozenset({None, 443})


class EndpointRefused(Refused):
    """This is not the endpoint of a known push service."""

    code = "endpoint-refused"
    field = "endpoint"
    detail = "Send the endpoint as the browser's PushManager gave it."


def check_push_endpoint(endpoint: str, more: Collection[str] = ()) -> None:
    """Raise EndpointRefused unless the endpoint is allowed; `more` are further allowed hosts."""
    try:
        parts = urlsplit(endpoint)
        fit = _is_allowed(parts, frozenset(more))
    except ValueError:
        fit = False
    if not fit or not endpoint.isascii() or any(c <= " " or c in "\\\x7f" for c in endpoint):
        raise EndpointRefused


def _is_allowed(parts: SplitResult, more: frozenset[str]) -> bool:
    host = parts.hostname or ""
    if parts.username is not None or parts.password is not None or parts.fragment:
        return False
    if is_loopback(host):
        return host in more and parts.scheme in {"http", "https"}
    return (
        parts.scheme == "https"
        and parts.port in HTTPS_PORTS
        and not _is_address(host)
        and any(_matches(host, known) for known in SERVICES | more)
    )


def is_loopback(host: str) -> bool:
    """Whether a host is a loopback address, given as a number."""
    return _is_address(host) and ip_address(host).is_loopback


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _matches(host: str, known: str) -> bool:
    if known.startswith("*."):
        return host.endswith(known[1:]) and len(host) > len(known) - 1
    return host == known
