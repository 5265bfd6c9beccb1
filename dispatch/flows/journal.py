"""Writes what happens to people and partners to their journals, with the messages it calls for."""

from __future__ import annotations

from data.db import Connection
from data.store import journal as store
from dispatch.rules import journal
from dispatch.rules.journal import Happening


async def record(tx: Connection, *happened: Happening, actor: str) -> None:
    """Append an entry for each, in this order, in the transaction of what happens."""
    for one in happened:
        journal.check(one)
    entries = await store.append(
        tx, [(one.subject, one.kind, one.data) for one in happened], actor=actor
    )
    await store.insert_messages(
        tx, [message for entry in entries for message in journal.messages(entry)]
    )
