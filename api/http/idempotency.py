"""Idempotency keys: a request that arrives several times takes effect once."""

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
        description="A unique key of your own for this request: for seven days, a repeat gets the "
        "first response again.",
    ),
]


def principal(caller: Caller) -> str:
    """The namespace of a caller's keys; customers without credentials share one."""
    return actor(caller) if isinstance(caller, Partner | Operator) else "public"


def claim(key: str | None, principal: str, request: str, body: BaseModel) -> Claim | None:
    """The claim of a principal to a key, None without one; the order of fields does not matter."""
    if key is None:
        return None
    canonical = f"{request}\n{body.model_dump_json()}"
    return Claim(principal=principal, key=key, request_sha256=sha256(canonical.encode()).digest())
