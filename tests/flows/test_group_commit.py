"""Group commit: each command gets the result that it would get alone."""

import asyncio
from dataclasses import replace
from hashlib import sha256
from uuid import uuid4

import pytest

from data.db import ConstraintViolation, DatabaseConflict
from data.enums import BookingState
from data.records.jobs import Protocol
from data.store.idempotency_keys import Claim
from dispatch.flows import execute
from dispatch.flows import group_commit as module
from dispatch.flows.bootstrap import load_index
from dispatch.flows.execute import (
    Command,
    CommandResult,
    KeyReused,
    ReferenceTaken,
    StoredResponse,
)
from dispatch.flows.group_commit import GroupCommit, Overloaded, group_commit
from dispatch.flows.jobs import commands
from dispatch.rules.jobs import fan_out
from dispatch.rules.jobs import job as rules
from dispatch.rules.jobs.refusals import NotInThisState, OfferGone, WrongCode
from dispatch.rules.jobs.states import IllegalTransition
from dispatch.rules.refusals import NotFound
from dispatch.rules.trust.mailed_secrets import Proof
from tests.builders import SIGNED, book_job, import_neighbours, live_offers_of, order
from tests.flows.invariants import check_index, check_invariants

pytestmark = pytest.mark.usefixtures("clock")


def build_response(done):
    return {"id": str(done.job.booking.id)}


def book(rt, claim=None, **changes):
    return commands.book(
        rt, order(**changes), actor="customer", claim=claim, build_response=build_response
    )


def claim(key="k", body=b"the same"):
    return Claim("partner:1", key, sha256(body).digest())


async def run_with(rt, bad, *good):
    """Run a bad command in one batch with good ones; returns all results."""
    return await asyncio.gather(*good[:1], bad, *good[1:], return_exceptions=True)


async def bookings(owner):
    return await owner.fetchval("SELECT count(*) FROM bookings")


async def test_a_command_with_a_bug_does_not_affect_its_batch(rt, owner):
    await import_neighbours(rt, 4)

    def breaks(case, facts):
        raise ZeroDivisionError

    id_ = (await book_job(rt)).job.booking.id
    bad = group_commit(rt).execute(Command(booking_id=id_, actor="system", decide=breaks))
    one, broken, other = await run_with(rt, bad, book(rt), book(rt))
    assert isinstance(broken, ZeroDivisionError)
    assert isinstance(one, CommandResult)
    assert isinstance(other, CommandResult)
    assert await bookings(owner) == 3
    await check_invariants(owner)


@pytest.mark.parametrize("where", ["finish", "respond", "write"])
async def test_a_bug_after_the_decision_does_not_affect_the_batch(rt, owner, monkeypatch, where):
    await import_neighbours(rt, 4)
    respond, finish = build_response, fan_out.finish

    def breaks(done):
        raise IllegalTransition("planted")

    def finish_or_break(pending, *found):
        if pending.booking.package == "printer-setup":
            raise IllegalTransition("planted")
        return finish(pending, *found)

    bad_order = order(package="printer-setup") if where == "finish" else order()
    if where == "finish":
        monkeypatch.setattr(fan_out, "finish", finish_or_break)
    elif where == "respond":
        respond = breaks
    else:  # a character that PostgreSQL cannot store
        bad_order = order(name="Vera\x00Beispiel")
    bad = commands.book(rt, bad_order, actor="customer", claim=None, build_response=respond)
    one, broken, other = await run_with(rt, bad, book(rt), book(rt))
    assert isinstance(broken, Exception)
    assert isinstance(one, CommandResult), one
    assert isinstance(other, CommandResult), other
    assert await bookings(owner) == 2
    await check_invariants(owner)


async def test_a_command_that_breaks_a_constraint_does_not_affect_the_batch(rt, owner):
    await import_neighbours(rt, 4)
    id_ = (await book_job(rt)).job.booking.id

    def leaves_a_gap(case, facts):
        changes = rules.cancel(case, "changed_mind")
        return replace(changes, events=tuple(replace(e, seq=e.seq + 1) for e in changes.events))

    bad = group_commit(rt).execute(Command(booking_id=id_, actor="system", decide=leaves_a_gap))
    one, broken, other = await run_with(rt, bad, book(rt), book(rt))
    assert isinstance(broken, ConstraintViolation)
    assert broken.constraint == "events_without_gaps"
    assert isinstance(one, CommandResult)
    assert isinstance(other, CommandResult)
    await check_invariants(owner)


async def test_a_refused_command_gets_its_refusal_and_the_others_are_executed(rt, owner):
    refs = await import_neighbours(rt, 5)
    offer = live_offers_of(await book_job(rt))[0]
    other = commands.accept(rt, offer.id, refs["f5"])
    one, refused = await asyncio.gather(book(rt), other, return_exceptions=True)
    assert isinstance(one, CommandResult)
    assert isinstance(refused, NotFound)


async def test_fifty_identical_requests_at_once_in_two_processes_make_one_booking(rt, other, owner):
    await import_neighbours(rt, 4)
    await load_index(other)
    results = await asyncio.gather(*(book((rt, other)[n % 2], claim()) for n in range(50)))
    assert len({result.response["id"] for result in results}) == 1
    assert sum(isinstance(result, CommandResult) for result in results) == 1
    assert await bookings(owner) == 1
    again = await book(other, claim())
    assert isinstance(again, StoredResponse)
    assert again.response == results[0].response
    await check_invariants(owner)


async def test_a_key_used_with_another_body_is_refused_even_at_the_same_time(rt, owner):
    await import_neighbours(rt, 4)
    both = await asyncio.gather(
        book(rt, claim()), book(rt, claim(body=b"another")), return_exceptions=True
    )
    assert isinstance(both[0], CommandResult)
    assert isinstance(both[1], KeyReused)
    with pytest.raises(KeyReused):
        await book(rt, claim(body=b"another"))
    assert isinstance(await book(rt, claim(key="l", body=b"another")), CommandResult)
    assert await bookings(owner) == 2


async def test_a_refused_request_leaves_its_key_free(rt, owner):
    done = await book_job(rt)
    early = commands.rate(
        rt, done.job.booking.id, stars=5, comment=None, claim=claim(), build_response=build_response
    )
    with pytest.raises(rules.NotInThisState):
        await early
    assert await owner.fetchval("SELECT count(*) FROM answers") == 0
    assert isinstance(await book(rt, claim(body=b"another")), CommandResult)


async def test_several_changes_of_one_booking_happen_in_the_order_they_came(rt, owner):
    await import_neighbours(rt, 8)
    done = await book_job(rt)
    first, second, third, fourth = live_offers_of(done)
    results = await asyncio.gather(
        commands.decline(rt, first.id, first.friend_id),
        commands.decline(rt, second.id, second.friend_id),
        commands.accept(rt, third.id, third.friend_id),
        commands.accept(rt, fourth.id, fourth.friend_id),
        commands.confirm_contact(rt, done.job.booking.id, third.friend_id),
        return_exceptions=True,
    )
    assert [type(r) for r in results[:4]] == [
        CommandResult,
        CommandResult,
        CommandResult,
        OfferGone,
    ]
    kinds = [
        row["kind"]
        for row in await owner.fetch(
            "SELECT kind FROM events WHERE booking_id = $1 ORDER BY seq", done.job.booking.id
        )
    ]
    assert kinds[2:7] == [
        "offer.declined",
        "booking.offered",
        "offer.declined",
        "booking.offered",
        "booking.awarded",
    ]
    await check_invariants(owner)
    await check_index(rt)


async def test_a_command_that_is_deferred_counts_once(rt, owner):
    await import_neighbours(rt, 5)
    held = await book_job(rt, vouched=False)
    id_ = held.job.booking.id
    wrong, right = await asyncio.gather(
        commands.confirm(rt, id_, Proof.NONE),
        commands.confirm(rt, id_, Proof.CODE),
        return_exceptions=True,
    )
    assert isinstance(wrong, WrongCode)
    assert right.job.booking.state is BookingState.OPEN
    assert await owner.fetchval("SELECT used FROM quotas WHERE kind = 'place'") == 1


@pytest.mark.parametrize("after", ["cancel", "complete", "redispatch"])
async def test_a_command_during_a_fan_out_is_decided_after_it(rt, owner, after):
    await import_neighbours(rt, 5)
    done = await book_job(rt)
    winner = live_offers_of(done)[0]
    await commands.accept(rt, winner.id, winner.friend_id)
    await commands.confirm_contact(rt, done.job.booking.id, winner.friend_id)
    id_, protocol = done.job.booking.id, Protocol(summary="Works again.", minutes=30)
    calls = {
        "cancel": lambda: commands.cancel(
            rt, id_, actor="customer", reason="solved", may_act=lambda job: True
        ),
        "complete": lambda: commands.complete(rt, id_, winner.friend_id, protocol, SIGNED),
        "redispatch": lambda: commands.redispatch(rt, id_, actor=f"operator:{uuid4()}"),
    }
    back, second = await asyncio.gather(
        commands.hand_back(rt, id_, winner.friend_id, "no_time", None),
        calls[after](),
        return_exceptions=True,
    )
    assert isinstance(back, CommandResult)
    expected = {"cancel": CommandResult, "complete": NotFound, "redispatch": NotInThisState}
    assert isinstance(second, expected[after])
    await check_invariants(owner)
    await check_index(rt)


async def test_commands_beyond_the_queue_limit_fail_at_once(rt, owner, monkeypatch):
    monkeypatch.setattr(module, "QUEUE_MAX", 10)
    results = await asyncio.gather(*(book(rt) for _ in range(15)), return_exceptions=True)
    assert [type(r) for r in results].count(Overloaded) == 5
    assert await bookings(owner) == 10
    assert isinstance(await book(rt), CommandResult)


async def test_other_tasks_run_between_two_decisions_of_a_batch(rt, owner, monkeypatch):
    await import_neighbours(rt, 4, capacity=20)
    turns, seen, finish = [0], [], fan_out.finish

    async def others():
        while True:
            await asyncio.sleep(0)
            turns[0] += 1

    def count(*args):
        seen.append(turns[0])
        return finish(*args)

    monkeypatch.setattr(fan_out, "finish", count)
    task = asyncio.create_task(others())
    await asyncio.gather(*(book(rt) for _ in range(5)))
    task.cancel()
    assert len(seen) == len(set(seen)) == 5
    await check_invariants(owner)


def fail_first(times, error, work):
    """`work`, whose first `times` calls raise `error` after writing."""
    left = [times]

    async def work_or_fail(*args):
        await work(*args)
        if left[0]:
            left[0] -= 1
            raise error

    return work_or_fail


async def test_work_that_met_a_conflict_is_repeated_and_takes_effect_once(rt, owner, monkeypatch):
    await import_neighbours(rt, 4)
    conflict = DatabaseConflict("planted")
    monkeypatch.setattr(execute.jobs, "write", fail_first(2, conflict, execute.jobs.write))
    done, other = await asyncio.gather(book(rt, claim()), book(rt))
    assert isinstance(done, CommandResult)
    assert isinstance(other, CommandResult)
    assert await bookings(owner) == 2
    await check_invariants(owner)


async def test_work_that_always_meets_conflicts_fails_without_effect(rt, owner, monkeypatch):
    await import_neighbours(rt, 4)
    conflict = DatabaseConflict("planted")
    monkeypatch.setattr(execute.jobs, "write", fail_first(3, conflict, execute.jobs.write))
    results = await asyncio.gather(book(rt, claim()), book(rt), return_exceptions=True)
    assert results == [conflict, conflict]
    assert await bookings(owner) == 0
    assert isinstance(await book(rt, claim()), CommandResult)


async def test_a_command_of_a_disconnected_caller_is_still_executed(rt, owner):
    await import_neighbours(rt, 4)
    callers = [asyncio.create_task(book(rt)) for _ in range(3)]
    queue = group_commit(rt)
    for _ in range(3):
        if len(queue.waiting) < 3:
            await asyncio.sleep(0)
    assert len(queue.waiting) == 3
    callers[1].cancel()
    results = await asyncio.gather(*callers, return_exceptions=True)
    assert isinstance(results[1], asyncio.CancelledError)
    assert isinstance(results[0], CommandResult)
    assert isinstance(results[2], CommandResult)
    await queue.close()
    assert await bookings(owner) == 3


async def test_while_a_batch_is_stalled_another_writer_serves_new_commands(rt, owner, monkeypatch):
    monkeypatch.setattr(module, "STALLED_AFTER_S", 0)
    await import_neighbours(rt, 8)
    stuck, free = await book_job(rt), await book_job(rt)
    [held, *_], [other, *_] = live_offers_of(stuck), live_offers_of(free)
    async with owner.transaction():
        await owner.execute("SELECT FROM bookings WHERE id = $1 FOR UPDATE", stuck.job.booking.id)
        waiting = asyncio.create_task(commands.accept(rt, held.id, held.friend_id))
        while not rt.group_commit.stalled:  # noqa: ASYNC110 - set within a few iterations of the loop
            await asyncio.sleep(0)
        won = await asyncio.wait_for(commands.accept(rt, other.id, other.friend_id), timeout=1)
        assert won.job.award.friend_id == other.friend_id
        assert not waiting.done()
    assert (await waiting).job.award.friend_id == held.friend_id
    assert not rt.group_commit.stalled


async def test_no_command_is_lost_when_two_writers_end_at_the_same_moment(rt, monkeypatch):
    """A command queued between the end of both writers and its notice by the loop is executed."""
    monkeypatch.setattr(module, "BATCH", 1)
    queue, release = GroupCommit(rt), asyncio.Event()
    command = Command(actor="system", decide=lambda case, facts: None)

    async def settle(commands):
        await release.wait()
        return [StoredResponse(response={}) for _ in commands]

    monkeypatch.setattr(GroupCommit, "_commit_or_isolate", lambda self, commands: settle(commands))

    async def execute_twice():
        await queue.execute(command)
        await queue.execute(command)

    async def execute_once():
        await queue.execute(command)

    running = asyncio.gather(execute_twice(), execute_once())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    release.set()
    await asyncio.wait_for(running, timeout=2)


@pytest.mark.parametrize("processes", [1, 2])
async def test_one_reference_makes_one_booking(rt, other, owner, processes):
    partner = rt.new_id()
    await owner.execute(
        "INSERT INTO partners (id, name, created_at) VALUES ($1, 'Partner', moment())", partner
    )
    results = await asyncio.gather(
        *(
            book((rt, other)[n % processes], partner_id=partner, partner_reference="A-1")
            for n in range(6)
        ),
        return_exceptions=True,
    )
    assert sum(isinstance(r, CommandResult) for r in results) == 1
    assert sum(isinstance(r, ReferenceTaken) for r in results) == 5, results
    assert await bookings(owner) == 1


async def test_one_bad_command_costs_no_other_of_a_full_batch_its_result(rt, owner):
    await import_neighbours(rt, 4)
    results = await asyncio.gather(
        *(book(rt) for _ in range(30)),
        book(rt, name="\x00"),
        *(book(rt) for _ in range(30)),
        return_exceptions=True,
    )
    assert sum(isinstance(r, CommandResult) for r in results) == 60
    states = await owner.fetch("SELECT DISTINCT state FROM bookings")
    assert {row["state"] for row in states} <= {BookingState.OPEN, BookingState.UNFILLED}
    await check_invariants(owner)
