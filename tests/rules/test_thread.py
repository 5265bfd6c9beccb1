"""Messages between customer and friend: what counts as contact, the letters, and the end."""

from datetime import timedelta
from uuid import UUID

import pytest

from data.enums import Audience, Author, BookingState
from data.records.ids import AwardId
from data.records.jobs import Protocol
from data.replace import replace
from dispatch.rules.jobs import job as rules
from dispatch.rules.jobs import thread as threads
from dispatch.rules.jobs.contact import Evidence
from dispatch.rules.jobs.refusals import (
    EvidenceUnfit,
    NotInThisState,
    ThreadClosed,
    TooManyMessages,
)
from dispatch.rules.policy import POLICY
from tests.builders import SIGNED
from tests.rules.facts import NOW, Scenario, friends
from tests.rules.test_contact import contested

FRIEND, CUSTOMER = Author.FRIEND, Author.CUSTOMER
TICK = timedelta(microseconds=1)


class Talk(Scenario):
    """A scenario that keeps its thread."""

    thread = None

    def write(self, author: Author, text: str = "Hello.", recent: int = 0):
        return self.keep(self.apply(threads.write, self.thread, author, text, recent))

    def read(self, reader: Author, up_to: int):
        return self.keep(self.apply(threads.read, self.thread, reader, up_to))

    def keep(self, changes):
        if changes is not None and changes.thread is not None:
            self.thread = changes.thread
        return changes


def awarded() -> Talk:
    return Talk(*friends(4)).award()


def test_messages_are_numbered_and_each_side_has_its_unread_ones():
    talk = awarded()
    for author in (FRIEND, FRIEND, CUSTOMER, FRIEND):
        talk.write(author)
    assert [c.note.seq for c in talk.applied if c.note] == [1, 2, 3, 4]
    assert (threads.unread(talk.thread, CUSTOMER), threads.unread(talk.thread, FRIEND)) == (1, 0)
    talk.read(CUSTOMER, 99)
    assert threads.unread(talk.thread, CUSTOMER) == 0
    assert talk.read(CUSTOMER, 2) is None, "reading goes forward only"


@pytest.mark.parametrize(
    "answer", [lambda talk: talk.read(CUSTOMER, 1), lambda talk: talk.write(CUSTOMER)]
)
def test_a_message_that_the_customer_has_read_or_answered_in_time_is_the_contact(answer):
    talk = awarded()
    talk.write(FRIEND)
    assert talk.state is BookingState.AWARDED, "a message alone stops no clock"
    talk.now = talk.job.award.contact_due_at - TICK
    result = answer(talk)
    assert talk.state is BookingState.CONTACTED
    assert result.events[-1].data["evidence"] == Evidence.MESSAGES
    assert "contacted" not in {m.template for m in result.messages}


@pytest.mark.parametrize(
    "answer", [lambda talk: talk.read(CUSTOMER, 1), lambda talk: talk.write(CUSTOMER)]
)
def test_at_the_deadline_it_is_too_late_for_that(answer):
    talk = awarded()
    talk.write(FRIEND)
    talk.now = talk.job.award.contact_due_at
    answer(talk)
    assert talk.state is BookingState.AWARDED
    talk.apply(rules.forfeit)
    assert talk.state is BookingState.OPEN


def test_what_the_customer_writes_alone_is_no_contact_by_the_friend():
    talk = awarded()
    talk.write(CUSTOMER)
    talk.read(FRIEND, 1)
    assert talk.state is BookingState.AWARDED


def test_several_messages_within_minutes_make_one_letter():
    talk = awarded()
    letters = []
    for _ in range(5):
        letters += talk.write(FRIEND).messages
        talk.now += timedelta(seconds=5)
    [letter] = letters
    assert (letter.audience, letter.template) == (Audience.CUSTOMER, "written")
    assert letter.not_before == NOW + POLICY.letter_after
    assert "Hello" not in str(letter)
    talk.now = NOW + timedelta(minutes=3)
    [again] = talk.write(FRIEND).messages
    assert again.not_before == letter.not_before + POLICY.letters_every
    assert again.id != letter.id
    [other] = talk.write(CUSTOMER).messages
    assert other.audience is Audience.FRIEND, "each side has letters of its own"


def test_a_letter_on_its_way_does_not_stand_for_a_later_message():
    due = NOW + POLICY.letter_after
    assert threads.letter_due(due, NOW, POLICY) is None
    assert threads.letter_due(due, due - TICK, POLICY) == due + POLICY.letters_every
    late = due + timedelta(days=1)
    assert threads.letter_due(due, late, POLICY) == late + POLICY.letter_after


def test_it_closes_some_days_after_the_end_and_at_once_when_the_friend_loses_the_job():
    talk = awarded()
    talk.apply(rules.confirm_contact)
    talk.apply(rules.complete, Protocol(summary="Done.", minutes=40), SIGNED)
    talk.now += POLICY.messages_for - TICK
    talk.write(CUSTOMER)
    talk.now += TICK
    for author in Author:
        with pytest.raises(ThreadClosed):
            talk.write(author)
    assert talk.read(FRIEND, 1) is not None, "it can still be read"
    lost = awarded().advance(hours=12)
    lost.apply(rules.forfeit)
    with pytest.raises(NotInThisState):
        lost.write(CUSTOMER)


def test_nobody_writes_more_than_the_policy_allows_in_a_while():
    talk = awarded()
    talk.write(FRIEND, recent=POLICY.messages_per_author - 1)
    with pytest.raises(TooManyMessages):
        talk.write(FRIEND, recent=POLICY.messages_per_author)


def test_only_messages_under_the_present_award_are_evidence_in_a_contest():
    talk = awarded()
    talk.write(FRIEND)
    talk.read(CUSTOMER, 1)
    scenario = contested().advance(hours=1)
    of_another = replace(talk.thread, award_id=AwardId(UUID(int=1)))
    for thread in (None, of_another):
        with pytest.raises(EvidenceUnfit):
            scenario.apply(threads.answer_contest, None, thread)
    own = replace(talk.thread, award_id=scenario.job.award.id)
    result = scenario.apply(threads.answer_contest, None, own)
    assert result.events[-1].data["evidence"] == Evidence.MESSAGES
