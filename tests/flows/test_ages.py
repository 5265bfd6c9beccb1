"""Who is not of age is asked for what allows it, with the consent of a guardian."""

from dataclasses import replace
from datetime import date

from data.enums import Outcome
from data.store import decision_rows
from dispatch.flows.bootstrap import load_index
from dispatch.rules.jobs import replay as rules
from tests.builders import asked_refs, book_job, import_neighbours

BORN = "UPDATE people SET birth_date = $2 WHERE id = $1"
GUARDED = """INSERT INTO guardianships (id, friend_id, asked_at, confirmed_at)
             VALUES (gen_random_uuid(), $1, moment(), moment())"""
MINOR, ADULT, ADULT_TODAY = date(2009, 3, 3), date(1980, 1, 1), date(2008, 3, 2)
DECISION = """SELECT booking_id, seq, round, tier::text, at, policy, friend_ids,
  outcomes::text[], distances_m, ranks, policy_id, search, facts,
  reach_outcomes::text[], reach_counts, reach_m FROM decisions"""


async def asked_of(rt, owner, *, guarded: bool, min_age: int = 18):
    """Four friends: f1 a minor, f2 of age since today, f3 of age, f4 of an unknown age."""
    refs = await import_neighbours(rt, 4)
    for ref, born in zip(("f1", "f2", "f3"), (MINOR, ADULT_TODAY, ADULT), strict=True):
        await owner.execute(BORN, refs[ref], born)
    if guarded:
        await owner.execute(GUARDED, refs["f1"])
    package = rt.packages["wifi-setup"]
    rt.catalogue.add([replace(package, min_age=min_age)])
    return refs, asked_refs(await book_job(rt), refs)


async def test_a_minor_is_asked_only_for_what_allows_it_and_with_a_guardians_consent(rt, owner):
    _, asked = await asked_of(rt, owner, guarded=True, min_age=16)
    assert asked == ["f1", "f2", "f3", "f4"]


async def test_without_consent_a_minor_is_passed_over_and_the_decision_is_made_again(rt, owner):
    refs, asked = await asked_of(rt, owner, guarded=False, min_age=16)
    assert asked == ["f2", "f3", "f4"]
    made = decision_rows.decision(await owner.fetchrow(DECISION))
    assert {one.friend_id: one.outcome for one in made.friends}[refs["f1"]] is Outcome.TOO_YOUNG
    assert rules.replay(made, rt.policy).equals(made)


async def test_a_package_for_adults_is_offered_to_no_minor(rt, owner):
    _, asked = await asked_of(rt, owner, guarded=True)
    assert asked == ["f2", "f3", "f4"]


async def test_the_index_knows_the_birth_date_of_no_adult(rt, owner):
    refs, _ = await asked_of(rt, owner, guarded=False)
    await load_index(rt)
    known = {ref: rt.index.get(friend).born for ref, friend in refs.items()}
    assert known == {"f1": MINOR, "f2": ADULT_TODAY, "f3": None, "f4": None}
    stored = await owner.fetchval("SELECT search::text || facts::text FROM decisions")
    assert "2009" not in stored
    assert "born" not in stored
