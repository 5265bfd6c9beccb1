"""What the desk sees of an exam: numbers, statistics of questions, sittings worth a look."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final
from uuid import UUID

from data.db import transaction
from data.store import audit, exams
from dispatch.rules.people import exam_statistics as rules
from dispatch.rules.people.exam_statistics import FastSitting, ItemStatistics, SimilarPair
from dispatch.rules.refusals import NotFound
from dispatch.runtime import Runtime

SITTINGS: Final = 1000
COMPARED: Final = 200
"""Every pair of these is compared; it grows with the square."""
SHOWN: Final = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class ExamStatistics:
    """The statistics of an exam, with its questions and those who sat what is conspicuous."""

    items: Sequence[ItemStatistics]
    similar: Sequence[SimilarPair]
    fast: Sequence[FastSitting]
    questions: Mapping[int, Mapping[str, Any]]
    sitters: Mapping[UUID, Mapping[str, Any]]


async def counts(rt: Runtime) -> Sequence[Mapping[str, Any]]:
    """The numbers of each exam."""
    async with transaction(rt.pool) as tx:
        return await exams.counts(tx)


async def statistics(rt: Runtime, certificate: str, *, actor: str) -> ExamStatistics:
    """The statistics of the last sittings of an exam. The access is logged. Raises NotFound."""
    async with transaction(rt.pool) as tx:
        if certificate not in {row["certificate"] for row in await exams.counts(tx)}:
            raise NotFound("there is no such exam")
        rows = await exams.responses(tx, certificate, SITTINGS)
        items, similar, fast = await asyncio.to_thread(_compute, rows)
        shown = {id_ for pair in similar for id_ in (pair.one, pair.other)}
        shown |= {one.sitting_id for one in fast}
        await audit.record(tx, actor=actor, act="exam.looked_at", subject=certificate)
        return ExamStatistics(
            items=items,
            similar=similar,
            fast=fast,
            questions=await exams.questions(tx, [one.question_id for one in items]),
            sitters=await exams.sitters(tx, [*shown]),
        )


def _compute(
    rows: Sequence[Mapping[str, Any]],
) -> tuple[list[ItemStatistics], list[SimilarPair], list[FastSitting]]:
    sittings = rules.by_sitting(rules.Response(**row) for row in rows)
    latest = dict(islice(sittings.items(), COMPARED))
    items = sorted(
        rules.item_statistics(sittings), key=lambda one: (not one.flags, one.question_id)
    )
    return items, rules.similar_pairs(latest)[:SHOWN], rules.fast_sittings(latest)[:SHOWN]
