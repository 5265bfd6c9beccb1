"""Uploaded files: who may see which, how many somebody may keep, and how they are named."""

from __future__ import annotations

import re
import unicodedata
from datetime import date, datetime
from typing import Final
from uuid import UUID

from data.enums import FileKind, OperatorRole
from data.records.files import FileView
from data.records.ids import BookingId, FriendId, QuotaKey
from dispatch.rules.policy import Policy
from dispatch.rules.refusals import Refused
from dispatch.rules.trust.disclosure import may_know_customer

CONTENT_MAX: Final = 8 * 1024 * 1024
NAME_MAX: Final = 80
NAMELESS: Final = "picture"
SEPARATORS: Final = re.compile(r"[/\\:*?\"<>|\s]+")


class TooManyFiles(Refused):
    """You have uploaded as many pictures as you may."""

    code = "too-many-files"
    field = "content"


class EvidenceOver(Refused):
    """This document is no longer valid."""

    code = "evidence-over"
    field = "valid_until"
    detail = "Ask for another document; the evidence is still there."


def file_name(text: str) -> str:
    """A name for people to read, of a JPEG: the last part of a path, without what is invisible.

    It is never used as a path.
    """
    last = re.split(r"[/\\]", text)[-1]
    stem, dot, ending = last.rpartition(".")
    stem = stem if dot else ending
    seen = "".join(one for one in stem if unicodedata.category(one)[0] != "C")
    plain = SEPARATORS.sub(" ", unicodedata.normalize("NFC", seen)).strip(" .")
    return f"{plain[:NAME_MAX].strip() or NAMELESS}.jpg"


def in_mb(size: int) -> str:
    """A size as it is written for people: 8 MB."""
    return f"{size // 1024 // 1024} MB"


def quota(person: UUID) -> QuotaKey:
    """What the uploads of a person are counted by."""
    return "upload", str(person)


def check_uploads(today: int, policy: Policy) -> None:
    """Raise TooManyFiles for more uploads in a day than the policy allows, this one included."""
    if today > policy.uploads_per_day:
        raise TooManyFiles(f"at most {policy.uploads_per_day} in 24 hours; try again later")


def check_room(kind: FileKind, kept: int, policy: Policy) -> None:
    """Raise TooManyFiles unless there is room for one more; a photo replaces the one before."""
    most = {FileKind.EVIDENCE: policy.evidence_max, FileKind.RESULT: policy.results_per_job}
    if kind in most and kept >= most[kind]:
        raise TooManyFiles(f"at most {most[kind]}; remove one first")


def friend_may_see(file: FileView, friend_id: FriendId, policy: Policy) -> bool:
    """One's own files; of a job one has, or had until lately, also its pictures."""
    if file.kind is not FileKind.RESULT:
        return file.person_id == friend_id
    return file.holder_id == friend_id and may_know_customer(file.ended_at, file.now, policy)


def customer_may_see(file: FileView, booking_id: BookingId) -> bool:
    """The photo of the friend who has or had the job, and its pictures; never evidence.

    `file.holder_id` is the friend of this booking.
    """
    match file.kind:
        case FileKind.PHOTO:
            return file.person_id == file.holder_id
        case FileKind.RESULT:
            return file.booking_id == booking_id
        case FileKind.EVIDENCE:
            return False


def operator_may_see(file: FileView, role: OperatorRole) -> bool:
    """Photos and pictures of jobs; evidence is for those who decide about people."""
    return file.kind is not FileKind.EVIDENCE or role.includes(OperatorRole.COMMUNITY)


def check_valid(until: date, now: datetime) -> None:
    """Raise EvidenceOver for a document that is no longer valid."""
    if until < now.date():
        raise EvidenceOver
