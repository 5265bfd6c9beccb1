"""Exams for the desk: practical checks that are due, and what the answers tell."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path

from api.http.auth import CurrentCommunity, Rt, actor
from api.http.languages import AcceptLanguage, preferred_language
from api.http.problems import InvalidField
from api.http.routing import CompiledRoute
from api.openapi.document import problems
from api.schemas import exams as schemas
from data.markets import Language
from dispatch.flows.people import exam_statistics, exams
from dispatch.flows.people.exam_statistics import ExamStatistics
from dispatch.rules.people.exam_statistics import ANSWERS_MIN, ItemStatistics
from dispatch.rules.people.exams import PracticalNotDue
from dispatch.rules.refusals import NotFound

router = APIRouter(prefix="/v1/desk", tags=["desk"], route_class=CompiledRoute)

Code = Annotated[str, Path(pattern="^[a-z0-9-]{2,40}$", description="The certificate's code.")]


@router.get("/practical-checks", summary="List practical checks that are due")
async def list_practical_checks(
    rt: Rt, caller: CurrentCommunity
) -> schemas.PracticalChecksResponse:
    """Who passed the exam of a certificate that also needs the desk's look."""
    rows = await exams.practical_checks(rt)
    fields = schemas.PracticalCheck.model_fields
    items = [schemas.PracticalCheck(**{name: row[name] for name in fields}) for row in rows]
    return schemas.PracticalChecksResponse(items=items)


@router.post(
    "/practical-checks/{sitting_id}",
    status_code=204,
    summary="Decide a practical check",
    responses=problems(NotFound, PracticalNotDue, InvalidField),
)
async def decide_practical_check(
    rt: Rt, caller: CurrentCommunity, sitting_id: UUID, body: schemas.PracticalRequest
) -> None:
    """Confirm it, which gives the certificate, or decline it with a reason the friend reads."""
    if not body.confirmed and body.reason is None:
        raise InvalidField(
            "reason", "is missing while `confirmed` is false", "say why the check is declined"
        )
    await exams.decide_practical(
        rt, sitting_id, confirmed=body.confirmed, reason=body.reason, actor=actor(caller)
    )


@router.get("/exams", summary="List exams")
async def list_exams(rt: Rt, caller: CurrentCommunity) -> schemas.ExamsResponse:
    """All exams with the numbers of their questions and sittings."""
    items = [schemas.ExamCounts(**row) for row in await exam_statistics.counts(rt)]
    return schemas.ExamsResponse(items=items)


@router.get(
    "/exams/{certificate}", summary="Get the statistics of an exam", responses=problems(NotFound)
)
async def show_exam_statistics(
    rt: Rt, caller: CurrentCommunity, certificate: Code, accept_language: AcceptLanguage = None
) -> schemas.ExamStatisticsResponse:
    """Questions with flags first; sittings alike or fast, for a human. The access is logged."""
    found = await exam_statistics.statistics(rt, certificate, actor=actor(caller))
    language = preferred_language(accept_language) or Language.EN
    sitters = {id_: schemas.Sitter(**row) for id_, row in found.sitters.items()}
    return schemas.ExamStatisticsResponse(
        certificate=certificate,
        answers_min=ANSWERS_MIN,
        items=[_item(found, one, language) for one in found.items],
        similar=[
            schemas.SimilarSittings(
                one=sitters[pair.one],
                other=sitters[pair.other],
                same=pair.same,
                both_wrong=pair.both_wrong,
            )
            for pair in found.similar
        ],
        fast=[
            schemas.FastSittingResponse(
                sitter=sitters[one.sitting_id], fast=one.fast, asked=one.asked
            )
            for one in found.fast
        ],
    )


def _item(found: ExamStatistics, one: ItemStatistics, language: Language) -> schemas.ItemResponse:
    question = found.questions[one.question_id]
    text = question["texts"][language]
    return schemas.ItemResponse(
        code=question["code"],
        version=question["version"],
        retired=question["retired_at"] is not None,
        topic=question["topic"],
        text=text["text"],
        answers=one.answers,
        facility=one.facility,
        discrimination=one.discrimination,
        attractive=text[one.attractive] if one.attractive else None,
        flags=list(one.flags),
    )
