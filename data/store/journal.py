"""The journal of people and partners, and the messages that its entries call for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from data import sql_loader
from data.db import Connection
from data.enums import SubjectKind
from data.records.messages import Message
from data.records.subjects import Entry, Subject

sql = sql_loader.load("journal")

END = 2**31 - 1
"""Beyond the number of every entry."""


async def append(
    tx: Connection, happened: Sequence[tuple[Subject, str, Mapping[str, Any]]], *, actor: str
) -> list[Entry]:
    """Append an entry for each subject with its kind and data, now; return them numbered.

    The subjects are locked until the end of the transaction.
    """
    if not happened:
        return []
    count = Counter(subject for subject, _, _ in happened)
    rows = await tx.fetch(
        sql.number, [s.kind for s in count], [s.id for s in count], [*count.values()]
    )
    last = {Subject(SubjectKind(row["kind"]), row["id"]): row["seq"] for row in rows}
    number = {subject: last[subject] - count[subject] for subject in count}
    entries = []
    for subject, kind, data in happened:
        number[subject] += 1
        entries.append(Entry(subject=subject, seq=number[subject], kind=kind, data=dict(data)))
    columns = _columns((e.subject.kind, e.subject.id, e.seq, e.kind, e.data) for e in entries)
    await tx.execute(sql.insert, *columns, actor)
    return entries


async def insert_messages(tx: Connection, messages: Sequence[Message]) -> None:
    """Queue messages about anything but bookings."""
    if messages:
        await tx.execute(sql.insert_messages, *_columns(map(_message_row, messages)))


def _message_row(m: Message) -> tuple[object, ...]:
    return (
        *(m.id, m.subject.kind, m.subject.id, m.seq),
        *(m.channel, m.audience, m.recipient_id, m.template, m.data),
    )


def _columns(rows: Iterable[tuple[object, ...]]) -> list[list[object]]:
    return [list(column) for column in zip(*rows, strict=True)]


async def exists(tx: Connection, subject: Subject) -> bool:
    """Whether there is such a person or partner, with or without a journal."""
    known: bool = await tx.fetchval(sql.exists, subject.kind, subject.id)
    return known


async def page(
    tx: Connection, subject: Subject, *, before: int | None, limit: int
) -> list[dict[str, Any]]:
    """Return the entries of a subject, the newest first, from the one before `before` on."""
    start = END if before is None else before
    rows = await tx.fetch(sql.page, subject.kind, subject.id, start, limit)
    return [dict(row) for row in rows]
