"""A thousand unverified bookings for one address.

Every one is another customer of another telephone number, from one machine, without a partner.
"""

import asyncio
from collections import Counter

import asyncpg
import httpx2

from data.postgres import layout
from tests.proof.hostile.target import Figure, Target

BOOKINGS, SHORT = 1_000, 60
AT_ONCE = 8
LETTERS_MAX = 5
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
                return answer.status_code

        statuses = Counter(await asyncio.gather(*map(book, range(count))))
    connection = await asyncpg.connect(
        target.deployment.postmaster.dsn(layout.OWNER), server_settings={"search_path": "tekkie"}
    )
    try:
        rung = await connection.fetchval(RUNG, VICTIM)
        letters = await connection.fetchval(LETTERS, VICTIM)
    finally:
        await connection.close()
    assert rung == 0, f"{rung} offers rang, not 0"
    assert letters <= LETTERS_MAX, f"{letters} letters, not at most {LETTERS_MAX}"
    refused = statuses[428] + statuses[429]
    assert refused >= count - LETTERS_MAX, f"{statuses} of {count}"
    return [
        Figure("bookings for one address", f"{count:,}"),
        Figure("phones that rang", f"{rung}", "0"),
        Figure("letters to the address", f"{letters}", f"{LETTERS_MAX}"),
        Figure("refused", f"{refused:,}", f"{count - LETTERS_MAX:,}"),
    ]


def order(number: int) -> dict[str, object]:
    """A booking in the name of the victim."""
    customer = {"name": "Vera Beispiel", "email": VICTIM, "language": "de"}
    return {
        "package": "wifi-setup",
        "customer": customer | {"phone": f"+41 44 {number // 10_000:03} {number % 10_000:04}"},
        "address": PLACE,
    }
