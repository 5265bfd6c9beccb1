"""Quotas of bookings that nobody vouches for: how many are too many, and who gives way to others.

What a booking costs before it is confirmed, a letter, is counted by mail address, telephone number
and network; what it costs the friends once it rings, by place. So nobody can use up the quota of a
place without confirming. Keys are hashes under the secret of the service.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from hashlib import sha256
from ipaddress import ip_address, ip_network
from typing import Any, Final

from data.records.ids import QuotaKey
from dispatch.rules.policy import Policy
from dispatch.rules.refusals import Refused
from geo.point import Point

EMAIL, PHONE, NETWORK, PLACE, PROOF = "email", "phone", "network", "place", "proof"
CODE_PHONE, CODE_NETWORK, CODE_PERSON = "code_phone", "code_network", "code_person"
PURPOSE: Final = b"tekkie quota 1:"
PREFIX: Final = {4: 24, 6: 48}
"""The bits of an address that name its network, by version."""


class TooManyBookings(Refused):
    """There were too many bookings without a partner."""

    code = "too-many-bookings"

    def __str__(self) -> str:
        return f"Too many of the same {self.args[0]} in a day; try again later, or call us."


class ProofRequired(Refused):
    """A proof of work is required."""

    code = "proof-required"

    def __init__(self, challenge: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        self.challenge = challenge

    detail = "Solve `challenge` and send the request again with the header `Proof-Of-Work`."


def keys(secret: bytes, *, email: str, phone: str | None, host: str | None) -> tuple[QuotaKey, ...]:
    """What a booking is counted by before anybody is asked.

    A caller of this machine has no network: it is a proxy that hides the addresses of its callers.
    """
    known = {EMAIL: email.casefold(), PHONE: phone, NETWORK: network(host)}
    return tuple((kind, _key(secret, kind, one)) for kind, one in known.items() if one)


def code_keys(secret: bytes, *, number: str, person: str, host: str | None) -> tuple[QuotaKey, ...]:
    """What codes by SMS are counted by."""
    known = {CODE_PHONE: number, CODE_PERSON: person, CODE_NETWORK: network(host)}
    return tuple((kind, _key(secret, kind, one)) for kind, one in known.items() if one)


def network(host: str | None) -> str | None:
    """The network of an address: what one subscriber may have.

    None for this machine, as behind a proxy that hides its callers, and for what is no address.
    """
    try:
        address = ip_address(host or "")
    except ValueError:
        return None
    address = getattr(address, "ipv4_mapped", None) or address
    if address.is_loopback:
        return None
    return str(ip_network((address, PREFIX[address.version]), strict=False))


def place(cell: Point) -> QuotaKey:
    """What a booking is counted by once it rings: the centre of its cell."""
    return PLACE, f"{cell.lat:.5f} {cell.lon:.5f}"


def proof(signature: str) -> QuotaKey:
    """What a proof of work is counted by: it is good for one booking."""
    return PROOF, sha256(signature.encode()).hexdigest()


def check(counts: Mapping[str, int], policy: Policy) -> None:
    """Raise TooManyBookings or ProofRequired by the counts of each kind, this booking included."""
    most = {
        EMAIL: policy.bookings_per_email,
        PHONE: policy.bookings_per_phone,
        NETWORK: policy.bookings_per_network,
        PLACE: policy.bookings_per_place,
    }
    for kind, limit in most.items():
        if counts.get(kind, 0) > limit:
            raise TooManyBookings(kind)
    suspicious = (
        max(counts.get(EMAIL, 0), counts.get(PHONE, 0)) > policy.proof_after_bookings
        or counts.get(NETWORK, 0) > policy.proof_after_network
    )
    if suspicious and counts.get(PROOF) != 1:
        raise ProofRequired


def booked_before(counts: Mapping[str, int], policy: Policy) -> int:
    """How many bookings of the same booker came before; a network counts as several bookers."""
    by_network = counts.get(NETWORK, 0) // policy.proof_after_network
    return max(counts.get(EMAIL, 1) - 1, counts.get(PHONE, 1) - 1, by_network)


def _key(secret: bytes, kind: str, text: str) -> str:
    return hmac.new(secret, PURPOSE + f"{kind}:{text}".encode(), sha256).hexdigest()
