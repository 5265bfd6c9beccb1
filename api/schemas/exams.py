"""The JSON about exams: what can be sat, sittings, results, and what the desk sees of them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field, Strict

from api.schemas.base import RequestModel, ResponseModel, example
from api.schemas.fields import WHOLE, Flag, ShortNote
from data.records.exams import SittingState
from dispatch.rules.people.exam_statistics import ItemFlag
from dispatch.rules.people.exams import ExamStatus


class StartExamRequest(RequestModel):
    """Whether to have more time, which needs no reason; it cannot be asked later."""

    model_config = example({"more_time": False})

    more_time: Flag = False


class AnswerRequest(RequestModel):
    """The chosen option, counted from 1 on as they are shown."""

    model_config = example({"choice": 2})

    choice: Annotated[int, Strict(), Field(ge=1, le=4), WHOLE]


class PracticalRequest(RequestModel):
    """The result of a practical check; a declined one needs a reason, which the friend reads."""

    model_config = example({"confirmed": True})

    confirmed: Flag
    reason: ShortNote | None = None


class LastSitting(ResponseModel):
    """The last sitting of an exam."""

    id: UUID
    state: SittingState
    ended_at: datetime | None


class OwnExamResponse(ResponseModel):
    """An exam and what the friend can do about it.

    `opens_at` is from when on it can be sat, where that is not now; `valid_until` the end of the
    certificate, null without one and for one that lasts.
    """

    certificate: str
    name: str
    questions: int
    minutes: int
    extra_minutes: int = Field(description="How many more minutes there are on request.")
    pass_percent: float
    attempts: int
    cooldown_days: int
    practical: bool
    status: ExamStatus
    attempts_left: int
    opens_at: datetime | None
    valid_until: datetime | None
    last: LastSitting | None


class OwnExamsResponse(ResponseModel):
    """All exams by the code of their certificate."""

    items: list[OwnExamResponse]


class SittingQuestion(ResponseModel):
    """A question as this sitting asks it, and the answer so far, counted from 1 on."""

    position: int
    topic: str
    text: str
    options: list[str]
    choice: int | None


class Explanation(ResponseModel):
    """What is worth knowing about a question, after a pass."""

    position: int
    is_right: bool
    why: str


class SittingResult(ResponseModel):
    """The result: explanations after a pass, topics to learn otherwise.

    `reason` is why the desk declined the practical check.
    """

    correct: int
    ended_at: datetime
    reason: str | None
    topics: list[str]
    explanations: list[Explanation]


class SittingResponse(ResponseModel):
    """One's own sitting; a failed one shows no questions any more."""

    id: UUID
    certificate: str
    name: str
    state: SittingState
    asked: int
    pass_percent: float
    started_at: datetime
    due_at: datetime
    seconds_left: float
    questions: list[SittingQuestion]
    result: SittingResult | None


class PracticalCheck(ResponseModel):
    """A sitting that was passed and whose practical check is due."""

    id: UUID
    friend_id: UUID
    friend_name: str
    ref: str
    city: str | None
    certificate: str
    correct: int
    asked: int
    ended_at: datetime


class PracticalChecksResponse(ResponseModel):
    """The practical checks that are due, the longest due first."""

    items: list[PracticalCheck]


class ExamCounts(ResponseModel):
    """An exam with the numbers of its questions and sittings."""

    certificate: str
    active: bool
    questions: int
    ended: int
    passed: int


class ExamsResponse(ResponseModel):
    """All exams with their numbers."""

    items: list[ExamCounts]


class ItemResponse(ResponseModel):
    """A question with its statistics; `attractive` is the text of a wrong option.

    Facility and discrimination are null where there are too few answers to tell.
    """

    code: str
    version: int
    retired: bool
    topic: str
    text: str
    answers: int
    facility: float | None
    discrimination: float | None
    attractive: str | None
    flags: list[ItemFlag]


class Sitter(ResponseModel):
    """A sitting and who sat it."""

    id: UUID
    friend_id: UUID
    friend_name: str
    started_at: datetime


class SimilarSittings(ResponseModel):
    """Two sittings with `same` equal wrong answers, of `both_wrong` questions both got wrong."""

    one: Sitter
    other: Sitter
    same: int
    both_wrong: int


class FastSittingResponse(ResponseModel):
    """A sitting with `fast` of `asked` answers faster than a question is read."""

    sitter: Sitter
    fast: int
    asked: int


class ExamStatisticsResponse(ResponseModel):
    """What the last sittings of an exam tell; nothing follows from it by itself."""

    certificate: str
    answers_min: int = Field(description="With how many answers a question may have a flag.")
    items: list[ItemResponse]
    similar: list[SimilarSittings]
    fast: list[FastSittingResponse]
