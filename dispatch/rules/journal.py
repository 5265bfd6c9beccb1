"""Every kind of entry in the journal of a person or a partner, declared once, as events are.

A declaration says whose journal it is in, which data it carries and which letters it calls for;
`FIELDS` says what each field of data is. The desk reads all of it. From this table derive: the
messages, the facts that a letter may use, the kinds in the OpenAPI document, and the texts that
every language must have (tests). An entry is written by `dispatch.flows.journal` in the transaction
of what it tells.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from data.enums import Audience, FriendState, SubjectKind
from data.records.ids import MessageId, derived_id
from data.records.messages import Message
from data.records.subjects import Entry, Subject
from dispatch.rules.declarations import (
    Data,
    Field,
    Shape,
    Template,
    UndeclaredData,
    to_desk,
    to_friend,
)

FIELDS: Final[Mapping[str, Field]] = {
    "about": Field(Shape.CODE),
    "before": Field(Shape.CODE),
    "by_friend": Field(Shape.FLAG),
    "capacity_max": Field(Shape.COUNT),
    "certificate": Field(Shape.CODE),
    "company": Field(Shape.ID),
    "document": Field(Shape.CODE),
    "fields": Field(Shape.CODES),
    "hand_backs_per_day": Field(Shape.COUNT),
    "held": Field(Shape.FLAG),
    "jobs_per_day": Field(Shape.COUNT),
    "kept": Field(Shape.CODES),
    "key": Field(Shape.ID),
    "level": Field(Shape.COUNT),
    "level_before": Field(Shape.COUNT),
    "members": Field(Shape.COUNT),
    "outcome": Field(Shape.CODE),
    "prefix": Field(Shape.CODE),
    "radius_max_m": Field(Shape.COUNT),
    "reasons": Field(Shape.CODES),
    "request": Field(Shape.ID),
    "role": Field(Shape.CODE),
    "until": Field(Shape.MOMENT),
}

Letter = tuple[Template, Callable[[Data], bool]]
"""A letter to the subject itself, and for which data of the entry."""


@dataclass(frozen=True, slots=True)
class EntryKind:
    """Whose journal an entry of one kind is in, what it carries, and its letters."""

    of: SubjectKind
    fields: frozenset[str]
    letters: tuple[Letter, ...]


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that happens to a subject and is to be an entry of its journal."""

    subject: Subject
    kind: str
    data: Data = field(default_factory=dict)


def _person(fields: str, *letters: Letter) -> EntryKind:
    return EntryKind(SubjectKind.PERSON, frozenset(fields.split()), letters)


def _partner(fields: str) -> EntryKind:
    return EntryKind(SubjectKind.PARTNER, frozenset(fields.split()), ())


def _always(data: Data) -> bool:
    return True


def _was_suspended(data: Data) -> bool:
    return data.get("before") == FriendState.SUSPENDED


JOURNAL: Final[Mapping[str, EntryKind]] = {
    "friend.suspended": _person("before", (to_friend("suspended", ""), _always)),
    "friend.paused": _person("before"),
    "friend.reinstated": _person("before", (to_friend("reinstated", ""), _was_suspended)),
    "friend.changed": _person("fields"),
    "friend.limited": _person("jobs_per_day hand_backs_per_day capacity_max radius_max_m"),
    "friend.certified": _person("certificate"),
    "friend.uncertified": _person("certificate"),
    "friend.blocked": _person("by_friend"),
    "friend.level_moved": _person(
        "level_before level", (to_friend("level_moved", "level_before level link"), _always)
    ),
    "friend.level_set": _person(
        "level_before level held", (to_friend("level_set", "level link"), _always)
    ),
    "application.begun": _person(""),
    "application.submitted": _person("", (to_friend("application_received", ""), _always)),
    "application.withdrawn": _person(""),
    "application.accepted": _person("", (to_friend("application_accepted", ""), _always)),
    "application.declined": _person("reasons", (to_friend("application_declined", ""), _always)),
    "guardian.asked": _person(""),
    "guardian.confirmed": _person(""),
    "guardian.withdrawn": _person("", (to_friend("guardian_withdrawn", ""), _always)),
    "certificate.ending": _person(
        "certificate until", (to_friend("certificate_ending", "certificate until link"), _always)
    ),
    "exam.started": _person("certificate"),
    "exam.passed": _person("certificate", (to_friend("exam_passed", "certificate link"), _always)),
    "exam.failed": _person("certificate", (to_friend("exam_failed", "certificate link"), _always)),
    "exam.practical_due": _person(
        "certificate", (to_friend("practical_due", "certificate link"), _always)
    ),
    "exam.practical_confirmed": _person(
        "certificate", (to_friend("practical_confirmed", "certificate link"), _always)
    ),
    "exam.practical_declined": _person(
        "certificate", (to_friend("practical_declined", "certificate link"), _always)
    ),
    "company.dispatcher_added": _person("company"),
    "company.dispatcher_removed": _person("company"),
    "company.technician_added": _person("company"),
    "company.technician_removed": _person("company"),
    "review.asked": _person("about until", (to_friend("review_asked", "until"), _always)),
    "review.answered": _person(
        "about outcome request", (to_friend("review_answered", "reasons"), _always)
    ),
    "review.due": _person("until", (to_desk("review_due", "until"), _always)),
    "identity.seen": _person("document until"),
    "operator.added": _person("role"),
    "operator.role_set": _person("role"),
    "operator.removed": _person(""),
    "person.phone_confirmed": _person(""),
    "person.erased": _person("kept"),
    "partner.added": _partner(""),
    "partner.key_made": _partner("key prefix"),
    "partner.key_revoked": _partner("key prefix"),
    "partner.members_added": _partner("members"),
    "partner.members_removed": _partner("members"),
}

OF_STATE: Final[Mapping[FriendState, str]] = {
    FriendState.ACTIVE: "friend.reinstated",
    FriendState.PAUSED: "friend.paused",
    FriendState.SUSPENDED: "friend.suspended",
}
"""The entry of a state that the desk gives a friend."""

TEMPLATES: Final[Mapping[tuple[Audience, str], Template]] = {
    (template.audience, template.name): template
    for kind in JOURNAL.values()
    for template, _ in kind.letters
}


def check(happening: Happening) -> None:
    """Raise UndeclaredData unless its kind is declared for the subject with every field."""
    declared = JOURNAL.get(happening.kind)
    if (
        declared is None
        or declared.of is not happening.subject.kind
        or not happening.data.keys() <= declared.fields
    ):
        names = ", ".join(sorted(happening.data))
        raise UndeclaredData(
            f"{happening.kind} of a {happening.subject.kind} with {names} is not in JOURNAL"
        )


def messages(entry: Entry) -> Iterator[Message]:
    """The messages that an entry calls for, to the person whose journal it is in."""
    for template, condition in JOURNAL[entry.kind].letters:
        if condition(entry.data):
            reader = entry.subject.id
            yield Message(
                id=MessageId(derived_id(reader, "journal", entry.seq, template.name)),
                subject=entry.subject,
                seq=entry.seq,
                channel=template.channel,
                audience=template.audience,
                recipient_id=reader,
                template=template.name,
                data={},
            )
