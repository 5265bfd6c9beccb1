"""The JSON of uploaded pictures."""

from __future__ import annotations

import base64
import binascii
from datetime import date, datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BeforeValidator, StringConstraints, WithJsonSchema

from api.schemas.base import RequestModel, ResponseModel, example
from api.schemas.fields import invalid, require_json
from data.enums import FileKind
from data.records.files import Document
from dispatch.rules.trust.files import CONTENT_MAX, in_mb

BASE64_MAX = (CONTENT_MAX + 2) // 3 * 4
EXAMPLE = (
    "iVBORw0KGgoAAAANSUhEUgAAAEAAAABAAQAAAACCEkxzAAAAFElEQVR42mP8"
    "zwABTAyjjFEGyQwAzx8Bf7QK4E8AAAAASUVORK5CYII="
)


def _content(text: str) -> bytes:
    if len(text) > BASE64_MAX:
        raise invalid(f"is larger than {in_mb(CONTENT_MAX)}", "send a smaller picture")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise invalid("is not base64", "encode the bytes of the file in base64") from None


FileName = Annotated[str, StringConstraints(max_length=255)]
Content = Annotated[
    bytes,
    BeforeValidator(_content),
    require_json(str, "text"),
    WithJsonSchema(
        {"type": "string", "contentEncoding": "base64", "minLength": 4, "maxLength": BASE64_MAX}
    ),
]
Day = Annotated[date, require_json(str, "a date like 2031-05-14")]


class ResultRequest(RequestModel):
    """A JPEG, PNG or WebP picture in base64; what is kept is made anew from it."""

    model_config = example({"name": "router.png", "content": EXAMPLE})

    name: FileName
    content: Content


class UploadRequest(ResultRequest):
    """A photo of oneself, or a piece of evidence of who one is."""

    model_config = example({"kind": "photo", "name": "me.png", "content": EXAMPLE})

    kind: Literal[FileKind.PHOTO, FileKind.EVIDENCE]


class IdentityRequest(RequestModel):
    """What an operator has seen: which document, and until when it is valid."""

    model_config = example({"document": "passport", "valid_until": "2031-05-14"})

    document: Document
    valid_until: Day


class FileResponse(ResponseModel):
    """A picture that is kept, a JPEG of so many bytes; `GET /v1/files/{id}` returns it."""

    id: UUID
    kind: FileKind
    name: str
    bytes: int
    created_at: datetime


class IdentityResponse(ResponseModel):
    """What was seen as evidence, when, and until when it is valid."""

    document: Document
    valid_until: date
    seen_at: datetime


class FilesResponse(ResponseModel):
    """The photo and the evidence of a person; `identity` is null until it was seen."""

    items: list[FileResponse]
    identity: IdentityResponse | None


class PicturesResponse(ResponseModel):
    """The pictures of a job, oldest first."""

    items: list[FileResponse]
