"""Levels: looked at once a month, moved by one step with a letter, and set or held by the desk."""

from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest

from data.db import moment, transaction
from data.enums import Outcome
from data.records.jobs import Protocol
from data.records.levels import LevelRecord
from data.store import decision_rows
from dispatch.flows.bootstrap import load_index
from dispatch.flows.jobs import commands
from dispatch.flows.people import levels
from dispatch.rules.jobs.replay import replay
from dispatch.rules.policy import Override
from dispatch.rules.refusals import NotFound
from tests.builders import SIGNED, asked_refs, book_and_accept, book_job, import_neighbours
from tests.flows.test_ages import DECISION

MONTH = timedelta(days=30)
JOURNAL = "SELECT kind, data FROM journal WHERE subject_id = $1 ORDER BY seq"
LETTERS = "SELECT template FROM messages WHERE recipient_id = $1 ORDER BY seq, template"


async def level(owner, friend) -> int:
    return await owner.fetchval("SELECT level FROM friends WHERE id = $1", friend)


@pytest.fixture
def record(monkeypatch):
    """What every friend did, instead of dozens of jobs; the counts have a test of their own."""
    said = {"now": LevelRecord(jobs=20, stars=100, ratings=20, contacted=20, prompt=20)}

    async def records(tx, friends, since, prompt):
        return dict.fromkeys(friends, said["now"])

    monkeypatch.setattr(levels.store, "records", records)
    said["bad"] = replace(said["now"], stars=20, prompt=0, handed_back=20)
    return said


async def test_a_level_moves_one_step_a_month_with_an_entry_a_row_and_a_letter(
    rt, owner, clock, record
):
    refs = await import_neighbours(rt, 1)
    one = refs["f1"]
    assert await levels.move_due(rt) == 1
    for _ in range(3):
        assert await levels.move_due(rt) == 0
    assert await level(owner, one) == 2
    await clock.advance(MONTH - timedelta(seconds=1))
    assert await levels.move_due(rt) == 0
    await clock.advance(timedelta(seconds=1))
    assert await levels.move_due(rt) == 1
    assert await level(owner, one) == 3
    record["now"] = record["bad"]
    for expected in (2, 1, 1):
        await clock.advance(MONTH)
        await levels.move_due(rt)
        assert await level(owner, one) == expected
    moves = await owner.fetch("SELECT before, after FROM level_moves ORDER BY no")
    assert [tuple(row) for row in moves] == [(1, 2), (2, 3), (3, 2), (2, 1)]
    assert [row["kind"] for row in await owner.fetch(JOURNAL, one)] == ["friend.level_moved"] * 4
    assert [row["template"] for row in await owner.fetch(LETTERS, one)] == ["level_moved"] * 4
    assert await owner.fetchval("SELECT state FROM friends WHERE id = $1", one) == "active"


async def test_a_move_keeps_the_numbers_and_the_policy_it_was_made_by(rt, owner, record):
    refs = await import_neighbours(rt, 1)
    await levels.move_due(rt)
    row = await owner.fetchrow("SELECT record, points, policy_id FROM level_moves")
    assert (row["record"]["prompt"], row["policy_id"]) == (20, rt.policy.fingerprint)
    shown = await levels.level_of(rt, refs["f1"])
    assert (shown.moves[0].points, shown.working.points) == (row["points"], row["points"])
    assert (shown.moves[0].before, shown.moves[0].after, shown.moves[0].by_rule) == (1, 2, True)


async def test_what_ended_in_the_window_is_counted_and_nothing_else(rt, owner, clock):
    refs = await import_neighbours(rt, 1, capacity=9)
    one, done = refs["f1"], []
    for hours in (1, 5, 5, 13):
        booking, _ = await book_and_accept(rt)
        done.append(booking)
        await clock.advance(timedelta(hours=hours))
        if hours < 12:
            await commands.confirm_contact(rt, booking, one)
        await commands.fire_due_timers(rt, 100)
    await commands.hand_back(rt, done[1], one, "cannot_help", None)

    async def counted(days=90) -> LevelRecord:
        async with transaction(rt.pool) as tx:
            since = await moment(tx) - timedelta(days=days)
            found = await levels.store.records(tx, [one], since, rt.policy.level_prompt_within)
        return found[one]

    # Two jobs are under way: they do not count yet.
    assert await counted() == LevelRecord(jobs=2, contacted=1, handed_back=1, forfeited=1)
    await commands.start(rt, done[0], one)
    await commands.complete(rt, done[0], one, Protocol(summary="Done.", minutes=40), SIGNED)
    rating = {"stars": 4, "comment": None, "claim": None, "build_response": lambda done: {}}
    await commands.rate(rt, done[0], **rating)
    found = await counted()
    assert (found.jobs, found.contacted, found.prompt) == (3, 2, 1)
    assert (found.stars, found.ratings) == (4, 1)
    await clock.advance(timedelta(days=90))
    assert await counted() == LevelRecord()


@pytest.fixture
async def olga(owner):
    return await owner.fetchval(
        "WITH p AS (INSERT INTO people (id, kind, name, email, language)"
        " VALUES (gen_random_uuid(), 'operator', 'Olga', 'olga@example.org', 'en') RETURNING id)"
        " INSERT INTO operators (id, created_at) SELECT id, moment() FROM p RETURNING id"
    )


async def test_a_level_that_an_operator_holds_stays_until_it_is_let_go(
    rt, owner, clock, record, olga
):
    refs = await import_neighbours(rt, 1)
    one = refs["f1"]
    why = {"reason": "Proved it at the training.", "by": olga}
    await levels.set_level(rt, one, 3, held=True, **why)
    await levels.set_level(rt, one, 3, held=True, **why)
    assert await owner.fetchval("SELECT count(*) FROM level_moves") == 1
    record["now"] = record["bad"]
    await clock.advance(2 * MONTH)
    assert await levels.move_due(rt) == 0
    await levels.set_level(rt, one, 3, held=False, **why)
    assert await levels.move_due(rt) == 0
    await clock.advance(MONTH)
    await levels.move_due(rt)
    assert await level(owner, one) == 2
    notes = await owner.fetchval("SELECT desk_notes FROM people WHERE id = $1", one)
    assert [note["text"] for note in notes] == ["Proved it at the training."] * 2
    kinds = [row["kind"] for row in await owner.fetch(JOURNAL, one)]
    assert kinds == ["friend.level_set", "friend.level_set", "friend.level_moved"]
    with pytest.raises(NotFound):
        await levels.set_level(rt, uuid4(), 2, held=False, **why)


async def test_a_package_that_asks_for_a_level_is_offered_to_no_lower_one_and_replayed(
    rt, owner, record
):
    refs = await import_neighbours(rt, 3)
    await owner.execute("UPDATE friends SET level = 2 WHERE ref = 'f2'")
    await load_index(rt)
    least = Override(package="wifi-setup", numbers={"least_level": 2})
    rt.policy = replace(rt.policy, overrides=(least,))
    assert asked_refs(await book_job(rt), refs) == ["f2"]
    made = decision_rows.decision(await owner.fetchrow(DECISION))
    outcomes = {one.friend_id: one.outcome for one in made.friends}
    assert outcomes[refs["f1"]] is outcomes[refs["f3"]] is Outcome.LEVEL_TOO_LOW
    assert replay(made, rt.policy).equals(made)
