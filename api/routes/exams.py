"""Exams of a friend: what can be sat, and one's own sittings. Keys never leave the server."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path

from api.http.auth import CurrentFriend, Rt
from api.http.languages import AcceptLanguage, preferred_language
from api.http.routing import CompiledRoute
from api.openapi.document import problems
from api.schemas import exams as schemas
from data.markets import Language
from data.records.exams import Answered, SittingState
from data.records.ids import FriendId
from dispatch.flows.people import exams, friends
from dispatch.flows.people.exams import OwnExam, OwnSitting
from dispatch.rules.people import exams as rules
from dispatch.rules.people.exams import (
    AnotherSitting,
    ExamNotOpen,
    SittingOver,
    TooManyAnswers,
)
from dispatch.rules.refusals import NotFound
from dispatch.runtime import Runtime

router = APIRouter(prefix="/v1/me", tags=["exams"], route_class=CompiledRoute)

BP_IN_PERCENT = 100
SUCCESSFUL = frozenset({SittingState.PASSED, SittingState.PRACTICAL_DUE, SittingState.DECLINED})

Code = Annotated[str, Path(pattern="^[a-z0-9-]{2,40}$", description="The certificate's code.")]
Position = Annotated[int, Path(ge=1, le=20, description="The number of the question, from 1 on.")]


@router.get("/exams", summary="List my exams", responses=problems(NotFound))
async def list_my_exams(
    rt: Rt, caller: CurrentFriend, accept_language: AcceptLanguage = None
) -> schemas.OwnExamsResponse:
    """All exams with their rules, and what you can do about each now."""
    language = await _language(rt, caller.friend_id, accept_language)
    found = await exams.own_exams(rt, caller.friend_id)
    return schemas.OwnExamsResponse(items=[_own_exam(rt, one, language) for one in found])


@router.post(
    "/exams/{certificate}",
    summary="Start an exam",
    responses=problems(NotFound, ExamNotOpen, AnotherSitting),
)
async def start_exam(
    *,
    rt: Rt,
    caller: CurrentFriend,
    certificate: Code,
    body: schemas.StartExamRequest,
    accept_language: AcceptLanguage = None,
) -> schemas.SittingResponse:
    """Begin a sitting; while one is running, that is returned. More time needs no reason."""
    language = await _language(rt, caller.friend_id, accept_language)
    own = await exams.start(rt, caller.friend_id, certificate, more_time=body.more_time)
    return _present(own, language)


@router.get("/sittings/{sitting_id}", summary="Get my sitting", responses=problems(NotFound))
async def show_my_sitting(
    rt: Rt, caller: CurrentFriend, sitting_id: UUID, accept_language: AcceptLanguage = None
) -> schemas.SittingResponse:
    """The questions with your answers so far, and how many seconds are left; later the result."""
    language = await _language(rt, caller.friend_id, accept_language)
    return _present(await exams.sitting(rt, caller.friend_id, sitting_id), language)


@router.put(
    "/sittings/{sitting_id}/answers/{position}",
    status_code=204,
    summary="Answer a question",
    responses=problems(NotFound, SittingOver, TooManyAnswers),
)
async def answer_question(
    rt: Rt, caller: CurrentFriend, sitting_id: UUID, position: Position, body: schemas.AnswerRequest
) -> None:
    """The last answer to a question counts, if it arrives before the sitting is due. Idempotent."""
    await exams.answer(rt, caller.friend_id, sitting_id, position, body.choice)


@router.post(
    "/sittings/{sitting_id}/finish", summary="Finish my sitting", responses=problems(NotFound)
)
async def finish_sitting(
    rt: Rt, caller: CurrentFriend, sitting_id: UUID, accept_language: AcceptLanguage = None
) -> schemas.SittingResponse:
    """End the sitting and return its result. Idempotent; it also ends by itself when due."""
    language = await _language(rt, caller.friend_id, accept_language)
    return _present(await exams.finish(rt, caller.friend_id, sitting_id), language)


async def _language(rt: Runtime, friend_id: FriendId, accept_language: str | None) -> Language:
    chosen = preferred_language(accept_language)
    if chosen is not None:
        return chosen
    return Language((await friends.profile(rt, friend_id))["language"])


def _own_exam(rt: Runtime, own: OwnExam, language: Language) -> schemas.OwnExamResponse:
    exam, last = own.offered.exam, own.last
    return schemas.OwnExamResponse(
        certificate=exam.certificate,
        name=own.offered.names[language],
        questions=sum(exam.topics.values()),
        minutes=exam.minutes,
        extra_minutes=rules.extra_minutes(exam, rt.policy, more_time=True),
        pass_percent=exam.pass_bp / BP_IN_PERCENT,
        attempts=exam.attempts,
        cooldown_days=exam.cooldown_days,
        practical=own.offered.practical,
        status=own.standing.status,
        attempts_left=own.standing.attempts_left,
        opens_at=own.standing.opens_at,
        valid_until=own.held.until if own.held else None,
        last=schemas.LastSitting.model_validate(last) if last else None,
    )


def _present(own: OwnSitting, language: Language) -> schemas.SittingResponse:
    sitting = own.sitting
    left = (sitting.due_at - own.now).total_seconds()
    is_open = sitting.state is SittingState.OPEN
    return schemas.SittingResponse(
        id=sitting.id,
        certificate=sitting.certificate,
        name=own.offered.names[language],
        state=sitting.state,
        asked=len(own.paper),
        pass_percent=sitting.pass_bp / BP_IN_PERCENT,
        started_at=sitting.started_at,
        due_at=sitting.due_at,
        seconds_left=max(left, 0.0) if is_open else 0.0,
        questions=[
            _question(own, one, language)
            for one in own.paper
            if sitting.state is not SittingState.FAILED
        ],
        result=None if is_open else _result(own, language),
    )


def _topic(own: OwnSitting, topic: str, language: Language) -> str:
    names = own.offered.topics.get(topic)
    return names[language] if names else topic


def _question(own: OwnSitting, one: Answered, language: Language) -> schemas.SittingQuestion:
    text = one.texts[language]
    return schemas.SittingQuestion(
        position=one.position,
        topic=_topic(own, one.topic, language),
        text=text.text,
        options=[text.options[option] for option in one.options],
        choice=rules.shown_choice(one),
    )


def _result(own: OwnSitting, language: Language) -> schemas.SittingResult:
    sitting = own.sitting
    assert sitting.correct is not None
    assert sitting.ended_at is not None
    explained = own.paper if sitting.state in SUCCESSFUL else ()
    return schemas.SittingResult(
        correct=sitting.correct,
        ended_at=sitting.ended_at,
        reason=sitting.reason,
        topics=[_topic(own, topic, language) for topic in rules.topics_to_learn(own.paper)],
        explanations=[
            schemas.Explanation(
                position=one.position, is_right=one.is_right, why=one.texts[language].why
            )
            for one in explained
        ],
    )
