"""Who may see what: one table by reader and state; the state is read from the rows."""

import asyncio
from collections.abc import Mapping

import asyncpg

from tests.proof.privacy.markers import PARTS, Found

ALL = frozenset(PARTS)
NOTHING: frozenset[str] = frozenset()
CALENDAR_FILE = frozenset({"email", "street"})
FIRST_NAME = frozenset({"first_name"})

# reader, relation to the booking -> parts of its customer, parts of the friend who holds it.
# Friends and operators also see all of their own data.
RIGHTS: Mapping[tuple[str, str], tuple[frozenset[str], frozenset[str]]] = {
    ("anybody", "none"): (NOTHING, NOTHING),
    ("customer", "own, nobody holds it"): (CALENDAR_FILE, NOTHING),
    ("customer", "own, held or done"): (CALENDAR_FILE, FIRST_NAME),
    ("customer", "another's"): (NOTHING, NOTHING),
    ("friend", "asked, lost, declined or never asked"): (NOTHING, NOTHING),
    ("friend", "holds it"): (ALL, FIRST_NAME),
    ("friend", "done, 14 days not over"): (ALL, FIRST_NAME),
    ("friend", "done, 14 days over"): (NOTHING, FIRST_NAME),
    ("friend", "forfeited, handed back, taken away or cancelled"): (NOTHING, NOTHING),
    ("partner", "own, nobody holds it"): (NOTHING, NOTHING),
    ("partner", "own, held or done"): (NOTHING, FIRST_NAME),
    ("partner", "another's"): (NOTHING, NOTHING),
    ("operator", "nobody holds it"): (ALL, FIRST_NAME),
    ("operator", "held or done"): (ALL, FIRST_NAME),
    ("mail to a customer", "own, nobody ever held it"): (CALENDAR_FILE, NOTHING),
    ("mail to a customer", "own, somebody has held it"): (CALENDAR_FILE, FIRST_NAME),
    ("mail to a friend", "any"): (NOTHING, NOTHING),
    ("push", "any"): (NOTHING, NOTHING),
    ("logs, metrics, health, streams, documents", "any"): (NOTHING, NOTHING),
}

RELATIONS = """
SELECT b.id::text AS booking, c.email AS customer, f.email AS holder, b.partner_id::text AS partner,
       a.ended_at IS NOT NULL AND a.ended_at + interval '14 days' <= moment() AS over,
       a.state::text AS award,
       ARRAY(SELECT p.email FROM awards w JOIN people p ON p.id = w.friend_id
             WHERE w.booking_id = b.id) AS ever,
       ARRAY(SELECT p.email FROM offers o JOIN people p ON p.id = o.friend_id
             WHERE o.booking_id = b.id) AS asked
FROM bookings b JOIN people c ON c.id = b.customer_id
LEFT JOIN awards a ON a.id = b.award_id LEFT JOIN people f ON f.id = a.friend_id
"""


class Rights:
    """What each reader may see now, by the table and the rows."""

    def __init__(self, owner: asyncpg.Connection, emails: Mapping[str, str]) -> None:
        self._owner = owner
        self._lock = asyncio.Lock()
        self._who = emails
        self.family: dict[str, set[str]] = {}
        """Whose data a reader may see, all of them, beside what a booking allows."""
        self.used: set[tuple[str, str]] = set()

    async def of(self, kind: str, who: str) -> set[Found]:
        """The markers that this reader may see; `who` is the name of a person or partner."""
        own = kind in ("friend", "operator", "account")
        allowed = {Found(who, part) for part in ALL} if own else set()
        allowed |= {Found(one, part) for one in self.family.get(who, ()) for part in ALL}
        kind = "customer" if kind == "account" else kind
        if kind.startswith("mail"):
            named = {who, *self.family.get(who, ())}
            allowed = {Found(who, "email"), *(Found(one, "first_name") for one in named)}
        async with self._lock:
            rows = await self._owner.fetch(RELATIONS)
        for row in rows:
            customer, holder = self._who[row["customer"]], self._who.get(row["holder"])
            relation = _relation(kind, who, row, self._who)
            self.used.add(relation)
            of_customer, of_friend = RIGHTS[relation]
            allowed |= {Found(customer, part) for part in of_customer}
            # The desk reads the messages of former friends as well.
            former = "mail" in kind or kind == "operator"
            friends = {self._who[email] for email in row["ever"]} if former else {holder}
            allowed |= {Found(one, part) for one in friends if one for part in of_friend}
        return allowed


def _relation(
    kind: str, who: str, row: asyncpg.Record, names: Mapping[str, str]
) -> tuple[str, str]:
    held = row["holder"] is not None
    own = who in (names[row["customer"]], row["partner"])
    relations = {
        "friend": lambda: _friend_relation(who, row, names),
        "operator": lambda: "held or done" if held else "nobody holds it",
        "mail to a friend": lambda: "any",
        "anybody": lambda: "none",
        "push": lambda: "any",
    }
    if kind in relations:
        return kind, relations[kind]()
    if kind in ("customer", "partner", "mail to a customer") and not own:
        return kind.replace("mail to a ", ""), "another's"
    if kind == "mail to a customer":
        return kind, f"own, {'somebody has held it' if row['ever'] else 'nobody ever held it'}"
    if kind in ("customer", "partner"):
        return kind, "own, held or done" if held else "own, nobody holds it"
    return "logs, metrics, health, streams, documents", "any"


def _friend_relation(who: str, row: asyncpg.Record, names: Mapping[str, str]) -> str:
    if names.get(row["holder"]) == who:
        if row["award"] == "live":
            return "holds it"
        return "done, 14 days over" if row["over"] else "done, 14 days not over"
    if who in {names[email] for email in row["ever"]}:
        return "forfeited, handed back, taken away or cancelled"
    return "asked, lost, declined or never asked"
