"""The audit: what was done by hand and who looked; what happens to a subject is in its journal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from data import sql_loader
from data.db import Connection
from data.enums import SubjectKind
from data.records.subjects import Subject

sql = sql_loader.load("audit")

About = Subject | str
"""A subject, or a word for what has none."""


async def record(
    tx: Connection, *, actor: str, act: str, subject: About, data: Mapping[str, Any] | None = None
) -> None:
    """Append one line, which is immutable; `data` holds ids and codes only."""
    await tx.execute(sql.record, actor, act, *subject_columns(subject), dict(data or {}))


async def record_many(
    tx: Connection, *, actor: str, act: str, lines: Sequence[tuple[About, Mapping[str, Any]]]
) -> None:
    """Append a line for each subject with its data."""
    if lines:
        kinds, names = zip(*(subject_columns(subject) for subject, _ in lines), strict=True)
        await tx.execute(sql.record_many, actor, act, kinds, names, [dict(d) for _, d in lines])


def subject_columns(subject: About) -> tuple[SubjectKind | None, str]:
    """The kind of a subject, None without one, and its id or word."""
    if isinstance(subject, Subject):
        return subject.kind, str(subject.id)
    return None, subject
