"""A thousand unverified bookings for one address.

Every one is another customer of another telephone number, from one machine, without a partner. The
attacker does the work that is asked for.
"""

import asyncio
from collections import Counter
from typing import Any

import altcha
import httpx2

from dispatch.rules.policy import POLICY
from tests.proof.hostile.target import Figure, Target

BOOKINGS, SHORT = 1_000, 60
AT_ONCE = 8
PROOF_REQUIRED = 428
LETTERS_MAX = POLICY.bookings_per_email
VICTIM = "victim@example.com"
PLACE = {"street": "Bahnhofstrasse 1", "postcode": "8001", "city": "Zürich", "country": "CH"}
RUNG = "SELECT count(*) FROM offers o JOIN bookings b ON b.id = o.booking_id JOIN people p"
RUNG += " ON p.id = b.customer_id WHERE p.email = $1"
LETTERS = "SELECT count(*) FROM messages m JOIN people p ON p.id = m.recipient_id"
LETTERS += " WHERE p.email = $1"


async def attack(target: Target) -> list[Figure]:
    """Book again and again under the same address, and count what it rang and mailed."""
    count = BOOKINGS if target.is_whole else SHORT
    slots = asyncio.Semaphore(AT_ONCE)
    base = f"http://127.0.0.1:{target.port}"
    async with httpx2.AsyncClient(base_url=base, timeout=60) as http:

        async def book(number: int) -> int:
            async with slots:
                answer = await http.post("/v1/bookings", json=order(number))
                if answer.status_code == PROOF_REQUIRED:
                    work = {"Proof-Of-Work": await asyncio.to_thread(solve, answer.json())}
                    answer = await http.post("/v1/bookings", json=order(number), headers=work)
                return answer.status_code

        statuses = Counter(await asyncio.gather(*map(book, range(count))))
    async with target.deployment.owner() as owner:
        rung = await owner.fetchval(RUNG, VICTIM)
        letters = await owner.fetchval(LETTERS, VICTIM)
    assert rung == 0, f"{rung} offers rang, not 0"
    assert letters == LETTERS_MAX, f"{letters} letters, not {LETTERS_MAX}"
    refused = statuses[429]
    assert refused == count - LETTERS_MAX, f"{statuses} of {count}"
    return [
        Figure("bookings for one address", f"{count:,}"),
        Figure("phones that rang", f"{rung}", "0"),
        Figure("letters to the address", f"{letters}", f"{LETTERS_MAX}"),
        Figure("refused", f"{refused:,}", f"{count - LETTERS_MAX:,}"),
    ]


def solve(problem: dict[str, Any]) -> str:
    """The proof of work that a refusal asks for."""
    made = altcha.Challenge.from_dict(problem["challenge"])
    return altcha.Payload(made, altcha.solve_challenge(made)).to_base64()


def order(number: int) -> dict[str, object]:
    """A booking in the name of the victim."""
    customer = {"name": "Vera Beispiel", "email": VICTIM, "language": "de"}
    return {
        "package": "wifi-setup",
        "customer": customer | {"phone": f"+41 44 {number // 10_000:03} {number % 10_000:04}"},
        "address": PLACE,
    }
