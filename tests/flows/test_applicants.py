"""An applicant is in no index, is never asked, and becomes active by a decision alone."""

import pytest

from data.enums import FriendState
from dispatch.flows import maintenance
from dispatch.flows.bootstrap import load_index
from dispatch.flows.jobs import commands
from dispatch.flows.people import friends, sessions
from dispatch.flows.people.friends import EmailTaken, ProfileChange
from dispatch.rules.people.applications import ApplicationUndecided
from dispatch.rules.refusals import NotFound
from scheduler.index_feed import IndexFeed
from tests.builders import asked_refs, book_job, friend_row, import_neighbours

APPLY = "UPDATE friends SET state = 'applicant' WHERE ref = ANY ($1)"
STATE = "SELECT state FROM friends WHERE ref = 'f1'"


async def applicant_and_friends(rt, owner, *applicants: str):
    """Six friends at 100 m to 600 m; of `applicants` no process has known anything else."""
    refs = await import_neighbours(rt, 6)
    await owner.execute(APPLY, applicants)
    rt.mark = await load_index(rt)
    return refs


async def test_applicants_are_loaded_into_no_index_and_never_asked(rt, owner):
    refs = await applicant_and_friends(rt, owner, "f1", "f3")
    assert {one.ref for one in rt.index} == {"f2", "f4", "f5", "f6"}
    feed = IndexFeed(rt, rt.mark)
    await owner.execute("UPDATE friends SET radius_m = 9000 WHERE ref = 'f1'")
    await feed.follow()
    await feed.reconcile()
    assert rt.index.get(refs["f1"]) is None
    done = await book_job(rt)
    assert asked_refs(done, refs) == ["f2", "f4", "f5", "f6"]
    for offer in done.job.live:
        await commands.decline(rt, offer.id, offer.friend_id)
    asked = await owner.fetch("SELECT friend_id FROM offers")
    listed = await owner.fetch("SELECT unnest(friend_ids) AS friend_id FROM decisions")
    assert not {refs["f1"], refs["f3"]} & {row["friend_id"] for row in [*asked, *listed]}


async def test_a_copy_of_an_applicant_in_an_index_is_not_asked_either(rt, owner):
    refs = await import_neighbours(rt, 6)
    await owner.execute(APPLY, ["f1"])
    assert rt.index.get(refs["f1"]) is not None
    assert "f1" not in asked_refs(await book_job(rt), refs)
    assert await maintenance.index_differences(rt) >= {refs["f1"]}


async def test_the_desk_awards_no_job_to_an_applicant(rt, owner):
    refs = await applicant_and_friends(rt, owner, "f1")
    done = await book_job(rt)
    with pytest.raises(NotFound):
        await commands.award_by_hand(rt, done.job.booking.id, refs["f1"], actor="system")


async def test_an_applicant_becomes_active_by_no_change_of_state_pause_or_file(rt, owner):
    refs = await applicant_and_friends(rt, owner, "f1")
    friend = refs["f1"]
    for paused in (True, False):
        with pytest.raises(ApplicationUndecided):
            await friends.change_profile(rt, friend, ProfileChange(paused=paused))
    for state in set(FriendState) - {FriendState.APPLICANT}:
        with pytest.raises(ApplicationUndecided):
            await friends.set_state(rt, friend, state, actor="desk")
    await friends.import_friends(rt, [friend_row("f1", capacity=5)], actor="desk")
    await friends.certify(rt, friend, "printer", actor="desk")
    assert await owner.fetchval(STATE) == "applicant"
    assert rt.index.get(friend) is None


async def test_a_file_makes_no_applicant_and_takes_no_address_of_one(rt, owner):
    await applicant_and_friends(rt, owner, "f1")
    with pytest.raises(EmailTaken, match="f1"):
        await friends.import_friends(rt, [friend_row("g1", email="F1@example.org")], actor="desk")
    await friends.import_friends(rt, [friend_row("g2")], actor="desk")
    made = await owner.fetchval("SELECT state FROM friends WHERE ref = 'g2'")
    assert made == "active"


async def test_no_friend_is_made_an_applicant_again(rt, owner):
    refs = await import_neighbours(rt, 1)
    with pytest.raises(KeyError):
        await friends.set_state(rt, refs["f1"], FriendState.APPLICANT, actor="desk")
    assert await owner.fetchval(STATE) == "active"


async def test_an_applicant_signs_in_and_changes_the_profile(rt, owner):
    refs = await applicant_and_friends(rt, owner, "f1")
    token = await sessions.create_token(rt, refs["f1"])
    assert (await sessions.find_session(rt, token)).id == refs["f1"]
    row = await friends.change_profile(rt, refs["f1"], ProfileChange(radius_m=5000))
    assert (row["radius_m"], row["state"]) == (5000, "applicant")
