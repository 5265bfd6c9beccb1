"""Idempotency keys: one request, however often it arrives, does its work once."""

from __future__ import annotations

from hashlib import sha256
from typing import Annotated

from fastapi import Header
from pydantic import BaseModel

from api.http.auth import Caller, Operator, Partner, actor
from data.store.idempotency_keys import Claim

REPLAYED = "Idempotent-Replayed"
Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        pattern=r"^[\x21-\x7e]+$",
        description="A name of your own for this request: a repeat gets the first answer again, "
        "for seven days.",
    ),
]


def principal(who: Caller) -> str:
    """In whose name a key is claimed: customers without credentials share one."""
    return actor(who) if isinstance(who, Partner | Operator) else "public"


def claim(key: str | None, principal: str, request: str, body: BaseModel) -> Claim | None:
    """The claim of this caller to his key; the order of the fields does not matter."""
    if key is None:
        return None
    asked = f"{request}\n{body.model_dump_json()}"
    return Claim(principal=principal, key=key, request_sha256=sha256(asked.encode()).digest())
