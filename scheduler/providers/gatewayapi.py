"""SMS by GatewayAPI, a gateway within the EU: docs/decisions/0021-errands.md says why this one.

Its REST API of https://gatewayapi.com/docs: a token as the user of basic authentication, one POST
for each SMS, and events that are a JSON Web Token signed with HS256.
"""

from __future__ import annotations

import hmac
import json
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

import httpx2

from data.store.phone_codes import CodeDelivery
from scheduler.providers import Answered, Event
from scheduler.providers.sms_text import is_gsm
from scheduler.senders import GiveUp, Result, Retry

SIGNATURE: Final = "x-gwapi-signature"
TIMEOUT_S: Final = 10.0
BUSY: Final = frozenset({408, 425, 429})
OVER: Final[Mapping[str, CodeDelivery]] = {
    "DELIVERED": CodeDelivery.DELIVERED,
    "ACCEPTED": CodeDelivery.DELIVERED,
    "UNDELIVERABLE": CodeDelivery.UNDELIVERABLE,
    "EXPIRED": CodeDelivery.UNDELIVERABLE,
    "DELETED": CodeDelivery.UNDELIVERABLE,
    "REJECTED": CodeDelivery.UNDELIVERABLE,
    "SKIPPED": CodeDelivery.UNDELIVERABLE,
}


class GatewayApi:
    """The gateway at `url`; `secret` signs the events of its webhook, if there is one."""

    def __init__(
        self, client: httpx2.AsyncClient, *, url: str, token: str, sender: str, secret: str | None
    ) -> None:
        self._client = client
        self._url = f"{url}/rest/mtsms"
        self._auth = httpx2.BasicAuth(token, "")
        self._sender = sender
        self._secret = secret

    async def send(self, key: UUID, to: str, text: str) -> Result:
        """Send; the gateway knows no idempotency: a repeat may arrive twice, word for word."""
        body = {
            "sender": self._sender,
            "message": text,
            "encoding": "UTF8" if is_gsm(text) else "UCS2",
            "userref": str(key),
            "recipients": [{"msisdn": int(to.removeprefix("+"))}],
        }
        answer = await self._client.post(self._url, json=body, auth=self._auth, timeout=TIMEOUT_S)
        if answer.status_code == 200:
            return Answered(answer={"reference": str(answer.json()["ids"][0])})
        return _failed(answer)

    async def read(self, reference: str) -> Result:
        """The state of a message, which is known only some time after it was sent."""
        answer = await self._client.get(
            f"{self._url}/{reference}", auth=self._auth, timeout=TIMEOUT_S
        )
        if answer.status_code == 404:
            return Retry("the gateway does not know it yet")
        if answer.status_code != 200:
            return _failed(answer)
        content = answer.json()
        message = content[0] if isinstance(content, list) else content
        status = message["recipients"][0]["dsnstatus"]
        return Answered(answer={"delivery": OVER.get(status, CodeDelivery.SENT)})

    def verify(self, headers: Mapping[str, str], body: bytes) -> Event | None:
        """The event in the signed token; the body of the request repeats it and is not read."""
        claims = _claims(headers.get(SIGNATURE, ""), self._secret)
        if claims is None:
            return None
        reference, status, time = (str(claims.get(name)) for name in ("id", "status", "time"))
        if not reference.isdecimal():
            return None
        return Event(id=f"{reference} {status} {time}"[:200], reference=reference[:200])


def _claims(token: str, secret: str | None) -> Mapping[str, Any] | None:
    """What a token says if it is signed with HS256 and this secret."""
    head, dot, signature = token.rpartition(".")
    header, _, content = head.partition(".")
    if not (secret and dot):
        return None
    try:
        given = _decode(signature)
        expected = hmac.digest(secret.encode(), head.encode(), sha256)
        if (
            not hmac.compare_digest(given, expected)
            or json.loads(_decode(header))["alg"] != "HS256"
        ):
            return None
        claims = json.loads(_decode(content))
    except (ValueError, KeyError, TypeError):
        return None
    return claims if isinstance(claims, dict) else None


def _decode(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _failed(answer: httpx2.Response) -> Result:
    """Without the gateway's own words, which may repeat the number."""
    status = answer.status_code
    try:
        code = str(answer.json().get("code", ""))[:20]
    except (ValueError, AttributeError):
        code = ""
    problem = f"the gateway answered {status} {code}".strip()
    if status >= 500 or status in BUSY:
        wait = answer.headers.get("retry-after", "")
        return Retry(problem, after_s=float(wait) if wait.isdecimal() else None)
    if status in {401, 403}:
        return GiveUp(f"{problem}; look at TEKKIE_SMS_TOKEN and the account")
    return Answered(answer={}, problem=problem)
