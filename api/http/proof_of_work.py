"""Proofs of work: a challenge that takes a browser about a second, asked only of the suspicious.

The challenges are those of ALTCHA (version 2, PBKDF2): signed, so that none is stored before it is
solved. That each is used once, the quotas see to.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Mapping
from hashlib import sha256
from typing import Annotated, Any, Final

import altcha
from fastapi import Header

from data.records.ids import QuotaKey
from dispatch.rules.trust import quotas

ALGORITHM: Final = "PBKDF2/SHA-256"
COST: Final = 5_000
PREFIX: Final = "00"
LIFE_S: Final = 600
LENGTH_MAX: Final = 2_000
PURPOSE: Final = b"tekkie challenge 1"

ProofOfWork = Annotated[
    str | None,
    Header(
        alias="Proof-Of-Work",
        max_length=LENGTH_MAX,
        description="The solution of the `challenge` of a `proof-required` problem, in base64.",
    ),
]


def challenge(secret: bytes) -> Mapping[str, Any]:
    """A new challenge as JSON, valid for ten minutes."""
    made = altcha.create_challenge(
        ALGORITHM,
        COST,
        key_prefix=PREFIX,
        # The check of the library reads this clock, too.
        expires_at=int(time.time()) + LIFE_S,  # noqa: TID251
        hmac_secret=_key(secret),
    )
    return made.to_dict()


def verify(secret: bytes, given: str | None) -> QuotaKey | None:
    """What the use of a valid solution is counted by; None for none, a wrong or a late one."""
    if given is None or not altcha.verify_solution(given, _key(secret)).verified:
        return None
    signature = altcha.Payload.from_base64(given).challenge.signature
    return quotas.proof(signature) if signature else None


def _key(secret: bytes) -> bytes:
    return hmac.new(secret, PURPOSE, sha256).digest()
