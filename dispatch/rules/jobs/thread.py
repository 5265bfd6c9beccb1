"""Messages between customer and friend, from the award to some days after the end.

Each award has a thread of its own. A message of the friend that the customer has read or answered
before the contact deadline is the contact. Several messages within minutes make one letter, and
none if they are read before it is due.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from data.enums import Audience, Author, AwardState, BookingState
from data.records import subjects
from data.records.ids import MessageId, derived_id
from data.records.jobs import Award
from data.records.messages import Message
from data.records.threads import Note, Thread
from data.replace import replace
from dispatch.rules.jobs import contact, events
from dispatch.rules.jobs.contact import Evidence
from dispatch.rules.jobs.draft import Case, Draft, Verdict
from dispatch.rules.jobs.refusals import NotInThisState, ThreadClosed, TooManyMessages
from dispatch.rules.policy import Policy

AFTER_EVENTS: Final = 1_000_000_000
"""Added to the number of a message: its letter waits for those of events, and none waits for it."""


def write(case: Case, thread: Thread | None, author: Author, text: str, recent: int = 0) -> Verdict:
    """Add a message; `recent` is how many its author has written within `messages_within`.

    Who writes has read what came before. Raises ThreadClosed, TooManyMessages.
    """
    draft = Draft(case)
    award = _award(case)
    if not is_open(award, case.now, draft.policy):
        raise ThreadClosed
    if recent >= draft.policy.messages_per_author:
        raise TooManyMessages
    before = thread or Thread(award_id=award.id, booking_id=award.booking_id)
    seq = before.length + 1
    draft.note = Note(award_id=award.id, seq=seq, by=author, text=text, at=case.now)
    draft.thread = _mark_written(before, author, seq)
    _add_letter(draft, author, seq)
    if author is Author.CUSTOMER:
        _count_as_contact(draft)
    return draft.changes()


def read(case: Case, thread: Thread | None, reader: Author, up_to: int) -> Verdict:
    """Record up to which message the reader has read; less than before changes nothing."""
    draft = Draft(case)
    _award(case)
    if thread is None:
        return None
    seq = min(up_to, thread.length)
    if reader is Author.FRIEND:
        if seq <= thread.read_by_friend:
            return None
        draft.thread = replace(thread, read_by_friend=seq)
        return draft.changes()
    if seq <= thread.read_by_customer:
        return None
    draft.thread = replace(thread, read_by_customer=seq)
    _count_as_contact(draft)
    return draft.changes()


def answer_contest(case: Case, called_at: datetime | None, thread: Thread | None) -> Verdict:
    """Answer an objection to the contact by a call, or without its time by the messages.

    Only those under the present award count. Raises EvidenceUnfit.
    """
    held = case.job.award
    own = thread if thread and held and thread.award_id == held.id else None
    return contact.answer(case, called_at, reached=own is not None and has_reached(own))


def has_reached(thread: Thread) -> bool:
    """Whether the customer has read or answered a message of the friend.

    Who answers has read what came before.
    """
    return 0 < thread.first_by_friend <= thread.read_by_customer


def is_open(award: Award, now: datetime, policy: Policy) -> bool:
    """Whether the two may write: while the friend has the job, and some days after its end."""
    until = open_until(award, policy)
    return award.state is AwardState.LIVE or (until is not None and now < until)


def open_until(award: Award, policy: Policy) -> datetime | None:
    """When the thread of a job that is done closes; None before its end or without one."""
    if award.state is not AwardState.DONE or award.ended_at is None:
        return None
    return award.ended_at + policy.messages_for


def unread(thread: Thread | None, reader: Author) -> int:
    """How many messages the reader has not read: what follows the last one read is another's."""
    if thread is None:
        return 0
    mine = thread.read_by_friend if reader is Author.FRIEND else thread.read_by_customer
    other = thread.by_customer if reader is Author.FRIEND else thread.by_friend
    return max(other - mine, 0)


def letter_due(last: datetime | None, now: datetime, policy: Policy) -> datetime | None:
    """When the reader gets a letter about a message of now; None if one is due anyway.

    One that is due within moments may be on its way already, and cannot count for this message.
    """
    if last is None:
        return now + policy.letter_after
    if last > now + policy.letter_after / 2:
        return None
    return max(now + policy.letter_after, last + policy.letters_every)


def _award(case: Case) -> Award:
    if case.job.award is None:
        raise NotInThisState(f"it is {case.job.booking.state}; no friend has the job")
    return case.job.award


def _mark_written(thread: Thread, author: Author, seq: int) -> Thread:
    if author is Author.FRIEND:
        first = thread.first_by_friend or seq
        return replace(thread, by_friend=seq, first_by_friend=first, read_by_friend=seq)
    return replace(thread, by_customer=seq, read_by_customer=seq)


def _add_letter(draft: Draft, author: Author, seq: int) -> None:
    thread, booking = draft.thread, draft.booking
    assert thread is not None
    to_customer = author is Author.FRIEND
    last = thread.letter_to_customer_at if to_customer else thread.letter_to_friend_at
    due = letter_due(last, draft.now, draft.policy)
    if due is None:
        return
    field = "letter_to_customer_at" if to_customer else "letter_to_friend_at"
    draft.thread = replace(thread, **{field: due})
    audience = Audience.CUSTOMER if to_customer else Audience.FRIEND
    template = events.TEMPLATES[audience, events.WRITTEN]
    reader = booking.customer_id if to_customer else draft.held.friend_id
    draft.letters.append(
        Message(
            id=MessageId(derived_id(booking.id, events.WRITTEN, str(thread.award_id), seq)),
            subject=subjects.booking(booking.id),
            seq=AFTER_EVENTS + seq,
            channel=template.channel,
            audience=audience,
            recipient_id=reader,
            template=template.name,
            data={"thread": str(thread.award_id), "friend": str(draft.held.friend_id)},
            not_before=due,
        )
    )


def _count_as_contact(draft: Draft) -> None:
    """The contact itself, if the customer has read or answered before the deadline."""
    thread = draft.thread
    if draft.booking.state is not BookingState.AWARDED or thread is None:
        return
    if has_reached(thread) and draft.now < draft.held.contact_due_at:
        contact.record(draft, Evidence.MESSAGES)
