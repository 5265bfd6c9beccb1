"""Who may see an uploaded file, how many somebody may keep, and how files are named."""

import dataclasses
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.enums import FileKind, OperatorRole
from data.records.files import FileView
from data.records.ids import BookingId, FileId, FriendId, PersonId
from dispatch.rules.policy import POLICY
from dispatch.rules.trust import files
from dispatch.rules.trust.files import EvidenceOver, TooManyFiles
from tests.rules.facts import NOW

FRIEND, OTHER = FriendId(UUID(int=1)), FriendId(UUID(int=2))
BOOKING, ANOTHER = BookingId(UUID(int=3)), BookingId(UUID(int=4))


def file(kind, *, holder=FRIEND, **changes):
    of_job = kind is FileKind.RESULT
    made = FileView(
        id=FileId(UUID(int=9)),
        kind=kind,
        person_id=PersonId(FRIEND),
        booking_id=BOOKING if of_job else None,
        name="a.jpg",
        bytes=1,
        stored="database",
        created_at=NOW,
        holder_id=holder,
        ended_at=None,
        now=NOW,
    )
    return dataclasses.replace(made, **changes)


PHOTO, EVIDENCE, RESULT = map(file, (FileKind.PHOTO, FileKind.EVIDENCE, FileKind.RESULT))


def test_a_friend_sees_their_own_files_and_the_pictures_of_a_job_while_they_know_its_customer():
    for one in (PHOTO, EVIDENCE, RESULT):
        assert files.friend_may_see(one, FRIEND, POLICY)
        assert not files.friend_may_see(one, OTHER, POLICY)
    ended = dataclasses.replace(RESULT, ended_at=NOW - POLICY.privacy_after)
    assert not files.friend_may_see(ended, FRIEND, POLICY)
    lately = dataclasses.replace(ended, ended_at=ended.ended_at + timedelta(seconds=1))
    assert files.friend_may_see(lately, FRIEND, POLICY)
    assert not files.friend_may_see(dataclasses.replace(RESULT, holder_id=OTHER), FRIEND, POLICY)


def test_a_customer_sees_the_photo_of_their_friend_and_their_pictures_and_no_evidence():
    assert files.customer_may_see(PHOTO, BOOKING)
    assert not files.customer_may_see(dataclasses.replace(PHOTO, holder_id=OTHER), BOOKING)
    assert not files.customer_may_see(dataclasses.replace(PHOTO, holder_id=None), BOOKING)
    assert files.customer_may_see(RESULT, BOOKING)
    assert not files.customer_may_see(RESULT, ANOTHER)
    assert not files.customer_may_see(EVIDENCE, BOOKING)


@pytest.mark.parametrize("role", OperatorRole)
def test_only_who_decides_about_people_sees_evidence(role):
    decides = role in {OperatorRole.COMMUNITY, OperatorRole.ADMIN}
    assert files.operator_may_see(EVIDENCE, role) is decides
    assert files.operator_may_see(PHOTO, role)
    assert files.operator_may_see(RESULT, role)


def test_room_is_bounded_and_a_photo_replaces_the_one_before():
    files.check_room(FileKind.PHOTO, 1, POLICY)
    files.check_room(FileKind.EVIDENCE, POLICY.evidence_max - 1, POLICY)
    files.check_uploads(POLICY.uploads_per_day, POLICY)
    for beyond in (
        lambda: files.check_room(FileKind.EVIDENCE, POLICY.evidence_max, POLICY),
        lambda: files.check_room(FileKind.RESULT, POLICY.results_per_job, POLICY),
        lambda: files.check_uploads(POLICY.uploads_per_day + 1, POLICY),
    ):
        with pytest.raises(TooManyFiles):
            beyond()


def test_a_document_that_is_over_proves_nothing():
    today = datetime(2026, 3, 2, 9, tzinfo=UTC)
    files.check_valid(date(2026, 3, 2), today)
    with pytest.raises(EvidenceOver):
        files.check_valid(date(2026, 3, 1), today)


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("me.png", "me.jpg"),
        ("../../etc/passwd", "passwd.jpg"),
        ("C:\\Users\\anna\\pass port.PNG", "pass port.jpg"),
        ("me\u202egnp.exe", "megnp.jpg"),
        ("a\0b\r\nc.jpg", "abc.jpg"),
        (".jpg", "picture.jpg"),
        ("..", "picture.jpg"),
        ("", "picture.jpg"),
        ('"; filename=evil.html', "; filename=evil.jpg"),
        ("Zoë Żółć.webp", "Zoë Żółć.jpg"),
    ],
)
def test_a_name_is_for_reading_and_no_path(name, wanted):
    assert files.file_name(name) == wanted


@given(st.text(max_size=300))
def test_a_name_is_short_visible_and_without_separators(text):
    name = files.file_name(text)
    assert 1 <= len(name.removesuffix(".jpg")) <= files.NAME_MAX
    assert name.endswith(".jpg")
    assert not set(name) & set('/\\"\0\r\n\u202e')
