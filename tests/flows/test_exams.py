"""Exams on PostgreSQL: versions of questions, sittings, the clock, certificates, the desk."""

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest

from data.db import transaction
from data.records.exams import SittingState
from data.store import certificates
from data.store import exams as store
from dispatch.flows.people import exams, friends, rights
from dispatch.rules.people.exams import (
    AnotherSitting,
    ExamNotOpen,
    ExamStatus,
    PracticalNotDue,
    SittingOver,
    TooManyAnswers,
)
from dispatch.rules.refusals import NotFound
from scheduler import deadlines
from tests.builders import import_neighbours
from tests.exam_banks import bank, question

TICK = timedelta(microseconds=1)
DAY = timedelta(days=1)
BANKS = [bank("wifi"), bank("mac"), bank("security"), bank("printer")]


async def seed(rt, banks=BANKS):
    async with transaction(rt.pool) as tx:
        await store.put(tx, banks)


@pytest.fixture
async def friend_id(rt):
    await seed(rt)
    return (await import_neighbours(rt, 2, certificates=()))["f1"]


@pytest.fixture
async def stranger(rt, friend_id):
    return next(one.id for one in rt.index if one.id != friend_id)


def shown(asked, option="b"):
    """Where an option of the bank stands among those shown."""
    return asked.options.index(option) + 1


async def answer(rt, friend_id, own, right):
    """Answer `right` questions rightly and the others wrongly."""
    for asked in own.paper:
        choice = shown(asked, "b" if asked.position <= right else "c")
        await exams.answer(rt, friend_id, own.sitting.id, asked.position, choice)


async def sit(rt, friend_id, certificate="wifi", *, right):
    own = await exams.start(rt, friend_id, certificate, more_time=False)
    await answer(rt, friend_id, own, right)
    return (await exams.finish(rt, friend_id, own.sitting.id)).sitting


async def status(rt, friend_id, certificate="wifi"):
    own = await exams.own_exams(rt, friend_id)
    return next(one for one in own if one.offered.exam.certificate == certificate)


async def kinds(owner, friend_id):
    entries = "SELECT kind FROM journal WHERE subject_id = $1 ORDER BY seq"
    return [row["kind"] for row in await owner.fetch(entries, friend_id)]


async def letters(owner, friend_id):
    sent = "SELECT template FROM messages WHERE subject_id = $1 ORDER BY seq"
    return [row["template"] for row in await owner.fetch(sent, friend_id)]


async def test_a_changed_question_is_a_new_version_and_a_removed_one_is_retired(rt, owner):
    await seed(rt)
    await seed(rt)
    first = bank("wifi")
    changed = replace(first.questions[0], key="c")
    await seed(rt, [replace(first, questions=[changed, *first.questions[2:]]), *BANKS[1:]])
    rows = await owner.fetch(
        "SELECT code, version, key, retired_at IS NULL AS current FROM questions"
        " WHERE code IN ('wifi-01', 'wifi-02', 'wifi-03') ORDER BY code, version"
    )
    assert [tuple(row) for row in rows] == [
        ("wifi-01", 1, "b", False),
        ("wifi-01", 2, "c", True),
        ("wifi-02", 1, "b", False),
        ("wifi-03", 1, "b", True),
    ]
    await seed(rt)
    versions = "SELECT max(version), count(*) FROM questions WHERE code = 'wifi-01'"
    assert tuple(await owner.fetchrow(versions)) == (3, 3)


async def test_a_sitting_keeps_the_version_it_drew(rt, friend_id):
    own = await exams.start(rt, friend_id, "wifi", more_time=False)
    await answer(rt, friend_id, own, right=10)
    others = [question(50 + n, topic) for topic in bank().exam.topics for n in range(10)]
    for number, one in enumerate(others):
        others[number] = replace(one, code=f"wifi-{60 + number}", key="d")
    harder = replace(bank().exam, pass_bp=10_000, minutes=5)
    await seed(rt, [replace(bank(), exam=harder, questions=others)])
    again = await exams.sitting(rt, friend_id, own.sitting.id)
    assert (again.paper[0].texts, again.sitting.due_at) == (
        own.paper[0].texts,
        own.sitting.due_at,
    )
    done = await exams.finish(rt, friend_id, own.sitting.id)
    assert (done.sitting.correct, done.sitting.state) == (10, SittingState.PASSED)


async def test_an_exam_that_is_no_longer_offered_cannot_be_started(rt, friend_id):
    await seed(rt, BANKS[:1])
    assert [one.offered.exam.certificate for one in await exams.own_exams(rt, friend_id)] == [
        "wifi"
    ]
    with pytest.raises(NotFound):
        await exams.start(rt, friend_id, "mac", more_time=False)


async def test_two_tabs_are_one_sitting(rt, owner, friend_id):
    begun = await asyncio.gather(
        *(exams.start(rt, friend_id, "wifi", more_time=n > 3) for n in range(8))
    )
    assert len({one.sitting.id for one in begun}) == 1
    assert await owner.fetchval("SELECT count(*) FROM sittings") == 1
    assert await kinds(owner, friend_id) == ["exam.started"]
    with pytest.raises(AnotherSitting):
        await exams.start(rt, friend_id, "mac", more_time=False)


async def test_more_time_is_asked_before_the_start(rt, friend_id):
    own = await exams.start(rt, friend_id, "wifi", more_time=True)
    assert own.sitting.due_at - own.sitting.started_at == timedelta(minutes=30)
    assert own.sitting.extra_minutes == 10


async def test_answers_from_two_tabs_count_in_their_order(rt, owner, friend_id):
    own = await exams.start(rt, friend_id, "wifi", more_time=False)
    await asyncio.gather(
        *(
            exams.answer(rt, friend_id, own.sitting.id, position, choice)
            for position in range(1, 11)
            for choice in (1, 2, 3, 4)
        )
    )
    numbers = await owner.fetch("SELECT no FROM exam_answers ORDER BY no")
    assert [row["no"] for row in numbers] == list(range(1, 41))
    await answer(rt, friend_id, own, right=8)
    assert (await exams.finish(rt, friend_id, own.sitting.id)).sitting.correct == 8


async def test_the_same_answer_again_is_one_row(rt, owner, friend_id):
    own = await exams.start(rt, friend_id, "wifi", more_time=False)
    for _ in range(20):
        await exams.answer(rt, friend_id, own.sitting.id, 1, 2)
    assert await owner.fetchval("SELECT count(*) FROM exam_answers") == 1


async def test_a_storm_of_changes_ends_and_leaves_the_last_answer(rt, owner, friend_id):
    own = await exams.start(rt, friend_id, "wifi", more_time=False)
    await owner.execute("UPDATE sittings SET answered = $1", exams.ANSWERS_MAX - 1)
    await exams.answer(rt, friend_id, own.sitting.id, 1, 2)
    with pytest.raises(TooManyAnswers):
        await exams.answer(rt, friend_id, own.sitting.id, 1, 3)
    await exams.answer(rt, friend_id, own.sitting.id, 1, 2)


async def test_the_clock_at_the_boundary(rt, clock, owner, friend_id):
    own = await exams.start(rt, friend_id, "wifi", more_time=False)
    await clock.set(own.sitting.due_at - TICK)
    await exams.answer(rt, friend_id, own.sitting.id, 1, shown(own.paper[0]))
    await clock.set(own.sitting.due_at)
    with pytest.raises(SittingOver):
        await exams.answer(rt, friend_id, own.sitting.id, 2, shown(own.paper[1]))
    with pytest.raises(SittingOver):
        await exams.answer(rt, friend_id, own.sitting.id, 1, shown(own.paper[0]))
    await clock.advance(timedelta(hours=1))
    done = await exams.finish(rt, friend_id, own.sitting.id)
    assert (done.sitting.correct, done.sitting.ended_at) == (1, own.sitting.due_at)
    assert await owner.fetchval("SELECT count(*) FROM exam_answers WHERE at >= due_at") == 0


async def test_what_belongs_to_nobody_or_another_is_not_found(rt, friend_id, stranger):
    with pytest.raises(NotFound):
        await exams.start(rt, friend_id, "tea", more_time=False)
    own = await exams.start(rt, friend_id, "wifi", more_time=False)
    other = await exams.start(rt, stranger, "wifi", more_time=False)
    with pytest.raises(NotFound):
        await exams.answer(rt, stranger, own.sitting.id, 1, 1)
    with pytest.raises(NotFound):
        await exams.answer(rt, friend_id, own.sitting.id, 11, 1)
    with pytest.raises(NotFound):
        await exams.finish(rt, stranger, own.sitting.id)
    with pytest.raises(NotFound):
        await exams.sitting(rt, friend_id, other.sitting.id)


async def test_an_answer_after_the_end_is_refused_and_the_result_stays(rt, friend_id):
    own = await exams.start(rt, friend_id, "wifi", more_time=False)
    await answer(rt, friend_id, own, right=4)
    first = await exams.finish(rt, friend_id, own.sitting.id)
    with pytest.raises(SittingOver):
        await exams.answer(rt, friend_id, own.sitting.id, 5, shown(own.paper[4]))
    assert await exams.finish(rt, friend_id, own.sitting.id) == first


async def test_answers_that_race_with_the_end_count_or_are_refused(rt, owner, friend_id):
    """Whatever was accepted is in the result: the row of the sitting is the lock of both."""
    own = await exams.start(rt, friend_id, "wifi", more_time=False)
    results = await asyncio.gather(
        *(exams.answer(rt, friend_id, own.sitting.id, a.position, shown(a)) for a in own.paper[:5]),
        exams.finish(rt, friend_id, own.sitting.id),
        *(exams.answer(rt, friend_id, own.sitting.id, a.position, shown(a)) for a in own.paper[5:]),
        return_exceptions=True,
    )
    accepted = results.count(None)
    assert sum(isinstance(one, SittingOver) for one in results) == 10 - accepted
    assert await owner.fetchval("SELECT correct FROM sittings") == accepted


async def test_a_sitting_ends_by_its_timer_with_what_is_there(rt, owner, clock, friend_id):
    own = await exams.start(rt, friend_id, "wifi", more_time=False)
    await answer(rt, friend_id, own, right=9)
    await clock.set(own.sitting.due_at - TICK)
    assert await deadlines.sweep(rt) == 0
    await clock.set(own.sitting.due_at)
    assert await deadlines.sweep(rt) == 1
    assert await deadlines.sweep(rt) == 0
    row = await owner.fetchrow("SELECT state, correct, ended_at FROM sittings")
    assert tuple(row) == ("passed", 9, own.sitting.due_at)
    assert await owner.fetchval("SELECT count(*) FROM timers WHERE kind = 'sitting_due'") == 0


async def test_a_timer_that_fails_does_not_block_the_others(
    rt, owner, clock, stranger, monkeypatch
):
    friend_id = next(one.id for one in rt.index if one.id != stranger)
    own = await exams.start(rt, friend_id, "wifi", more_time=False)
    await exams.start(rt, stranger, "wifi", more_time=False)
    end = exams._end_due

    async def fail_for_one(rt, one):
        if one == friend_id:
            raise ValueError("broken")
        await end(rt, one)

    monkeypatch.setattr(exams, "_end_due", fail_for_one)
    await clock.set(own.sitting.due_at)
    await deadlines.sweep(rt)
    open_ = await owner.fetch("SELECT friend_id FROM sittings WHERE state = 'open'")
    assert [row["friend_id"] for row in open_] == [friend_id]
    monkeypatch.undo()
    await clock.advance(timedelta(minutes=1))
    await deadlines.sweep(rt)
    assert await owner.fetchval("SELECT count(*) FROM sittings WHERE state = 'open'") == 0


async def test_a_new_start_ends_a_sitting_that_no_timer_has_ended(rt, clock, owner, friend_id):
    own = await exams.start(rt, friend_id, "wifi", more_time=False)
    await clock.set(own.sitting.due_at)
    other = await exams.start(rt, friend_id, "mac", more_time=False)
    assert other.sitting.certificate == "mac"
    assert await owner.fetchval("SELECT state FROM sittings WHERE id = $1", own.sitting.id) == (
        "failed"
    )


async def test_a_pass_is_a_certificate_in_the_index_with_journal_and_letter(rt, owner, friend_id):
    done = await sit(rt, friend_id, right=8)
    assert done.state is SittingState.PASSED
    assert [one.code for one in rt.index.get(friend_id).certificates] == ["wifi"]
    assert await kinds(owner, friend_id) == ["exam.started", "exam.passed", "friend.certified"]
    assert await letters(owner, friend_id) == ["exam_passed"]
    found = await status(rt, friend_id)
    assert found.standing.status is ExamStatus.HELD
    told = rt.policy.certificate_told_before
    assert found.standing.opens_at == found.held.until - told
    due = "SELECT due_at FROM timers WHERE kind = 'certificate_ending'"
    assert await owner.fetchval(due) == found.standing.opens_at
    with pytest.raises(ExamNotOpen):
        await exams.start(rt, friend_id, "wifi", more_time=False)


async def test_attempts_run_out_and_come_back(rt, owner, clock, friend_id):
    for left in (2, 1, 0):
        assert (await sit(rt, friend_id, right=7)).state is SittingState.FAILED
        found = (await status(rt, friend_id)).standing
        assert (found.status, found.attempts_left) == (ExamStatus.WAITING, left)
        await clock.set(found.opens_at - TICK)
        with pytest.raises(ExamNotOpen):
            await exams.start(rt, friend_id, "wifi", more_time=False)
        await clock.set(found.opens_at)
    assert (await status(rt, friend_id)).standing.attempts_left == 3
    assert await letters(owner, friend_id) == ["exam_failed"] * 3
    assert rt.index.get(friend_id).certificates == ()


async def test_a_retake_opens_when_the_end_is_told_and_loses_no_day(rt, owner, clock, friend_id):
    await sit(rt, friend_id, right=10)
    first = await status(rt, friend_id)
    await clock.set(first.standing.opens_at)
    await deadlines.sweep(rt)
    assert "certificate.ending" in await kinds(owner, friend_id)
    await sit(rt, friend_id, right=9)
    ranges = await owner.fetch("SELECT valid FROM friend_certificates ORDER BY valid")
    assert [row["valid"].lower for row in ranges][1] == ranges[0]["valid"].upper
    assert ranges[0]["valid"].upper == first.held.until
    found = await status(rt, friend_id)
    assert found.held.until == ranges[1]["valid"].upper
    due = "SELECT due_at FROM timers WHERE kind = 'certificate_ending'"
    assert await owner.fetchval(due) == found.standing.opens_at


async def test_a_certificate_without_end_is_given_once(rt, owner, friend_id):
    await sit(rt, friend_id, "printer", right=10)
    async with transaction(rt.pool) as tx:
        await certificates.give(tx, friend_id, "printer")
    rows = await owner.fetch("SELECT upper_inf(valid) AS lasts FROM friend_certificates")
    assert [row["lasts"] for row in rows] == [True]


async def test_a_practical_kind_waits_for_the_desk_and_is_confirmed(rt, owner, friend_id):
    done = await sit(rt, friend_id, "security", right=10)
    assert done.state is SittingState.PRACTICAL_DUE
    assert rt.index.get(friend_id).certificates == ()
    [waiting] = await exams.practical_checks(rt)
    assert (waiting["friend_id"], waiting["correct"], waiting["asked"]) == (friend_id, 10, 10)
    with pytest.raises(ExamNotOpen):
        await exams.start(rt, friend_id, "security", more_time=False)
    decide = exams.decide_practical
    await decide(rt, done.id, confirmed=True, reason=None, actor="desk")
    with pytest.raises(PracticalNotDue):
        await decide(rt, done.id, confirmed=False, reason="late", actor="desk")
    with pytest.raises(NotFound):
        await decide(rt, rt.new_id(), confirmed=True, reason=None, actor="desk")
    assert [one.code for one in rt.index.get(friend_id).certificates] == ["security"]
    assert await exams.practical_checks(rt) == []
    expected = ["exam.started", "exam.practical_due", "exam.practical_confirmed"]
    assert await kinds(owner, friend_id) == [*expected, "friend.certified"]
    assert await letters(owner, friend_id) == ["practical_due", "practical_confirmed"]


async def test_a_practical_check_is_declined_with_a_reason_for_the_friend(rt, owner, friend_id):
    done = await sit(rt, friend_id, "security", right=10)
    reason = "The drill was not switched off."
    await exams.decide_practical(rt, done.id, confirmed=False, reason=reason, actor="desk")
    found = (await status(rt, friend_id, "security")).last
    assert (found.state, found.reason) == (SittingState.DECLINED, reason)
    assert await letters(owner, friend_id) == ["practical_due", "practical_declined"]
    assert (await status(rt, friend_id, "security")).standing.status is ExamStatus.WAITING
    assert rt.index.get(friend_id).certificates == ()


async def test_two_operators_decide_a_practical_check_once(rt, owner, friend_id):
    done = await sit(rt, friend_id, "security", right=10)
    results = await asyncio.gather(
        *(
            exams.decide_practical(rt, done.id, confirmed=True, reason=None, actor="desk")
            for _ in range(4)
        ),
        return_exceptions=True,
    )
    assert Counter(type(one) for one in results) == {type(None): 1, PracticalNotDue: 3}
    assert await owner.fetchval("SELECT count(*) FROM friend_certificates") == 1


async def test_a_suspended_friend_keeps_a_pass_and_is_not_asked(rt, owner, friend_id):
    own = await exams.start(rt, friend_id, "wifi", more_time=False)
    await answer(rt, friend_id, own, right=10)
    await friends.set_state(rt, friend_id, "suspended", actor="desk")
    await exams.finish(rt, friend_id, own.sitting.id)
    assert await owner.fetchval("SELECT count(*) FROM friend_certificates") == 1


async def test_an_applicant_sits_exams_as_a_friend_does(rt, owner, friend_id):
    await owner.execute("UPDATE friends SET state = 'applicant' WHERE id = $1", friend_id)
    assert (await sit(rt, friend_id, right=10)).state is SittingState.PASSED
    assert (await status(rt, friend_id)).standing.status is ExamStatus.HELD


async def test_the_export_holds_sittings_without_keys(rt, friend_id):
    await sit(rt, friend_id, right=7)
    [whole] = await rights.export(rt, str(friend_id), actor="desk")
    [kept] = whole["sittings"]
    assert (kept["certificate"], kept["state"], kept["correct"]) == ("wifi", "failed", 7)
    assert len(kept["answers"]) == 10
    assert set(kept["answers"][0]) == {"question", "answer", "at"}
    assert kept["answers"][0]["question"].startswith("Question wifi-")
    assert kept["answers"][0]["answer"].startswith("Option ")
    assert not {"key", "why", "seed"} & set(str(kept).replace("'", " ").split())


async def test_erasure_empties_the_reason_of_a_declined_check(rt, owner, friend_id):
    done = await sit(rt, friend_id, "security", right=10)
    reason = "Rosa Muster left the drill on."
    await exams.decide_practical(rt, done.id, confirmed=False, reason=reason, actor="desk")
    await rights.erase(rt, str(friend_id), actor="desk")
    assert await owner.fetchval("SELECT reason FROM sittings") == "–"


async def test_a_friend_is_asked_other_questions_the_second_time(rt, owner, clock, friend_id):
    await sit(rt, friend_id, right=0)
    await clock.advance(7 * DAY)
    await sit(rt, friend_id, right=0)
    repeated = "SELECT count(*) - count(DISTINCT question_id) FROM sitting_questions"
    assert await owner.fetchval(repeated) == 2  # six of ten signal questions, twice
