"""Hostile files of friends: imported whole, without their bad rows, or not at all."""

import json

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dispatch.flows.people.friend_import import import_text
from tests.builders import import_neighbours
from tests.geo.hostile import collections, malformed

FRIENDS = """
    SELECT json_agg(to_jsonb(kept) ORDER BY kept.ref)::text FROM (
      SELECT f.*, p.name, p.email, p.phone, p.lat, p.lon, p.language AS spoken,
        ARRAY(SELECT certificate FROM friend_certificates c WHERE c.friend_id = f.id) AS codes
      FROM friends f JOIN people p ON p.id = f.id) AS kept
"""
AUDIT_LINES = "SELECT count(*) FROM audit"
DELETE_FRIENDS = """
    DELETE FROM friend_certificates;
    DELETE FROM friends;
    DELETE FROM people WHERE kind = 'friend'
"""
hostile = settings(
    max_examples=20,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def refs(text, lines):
    made = json.loads(text)["features"]
    return {str(made[line - 1]["properties"]["ref"]).strip() for line in lines}


async def import_and_compare(rt, owner, text, **how):
    """Import a text; returns the report, and friends and audit before and after."""
    before = await owner.fetchval(FRIENDS), await owner.fetchval(AUDIT_LINES)
    how = {"dry_run": False, "skip_bad": False, **how}
    report = await import_text(rt, "friends.geojson", text, actor="system", **how)
    return report, before, (await owner.fetchval(FRIENDS), await owner.fetchval(AUDIT_LINES))


@hostile
@given(made=collections())
async def test_one_bad_feature_stops_an_import_unless_bad_rows_are_skipped(rt, owner, made):
    text, fine = made
    await owner.execute(DELETE_FRIENDS)
    await import_neighbours(rt, 2)
    preview, before, after = await import_and_compare(rt, owner, text, skip_bad=True, dry_run=True)
    assert after == before
    bad = {fault.line for fault in preview.faults}
    assert bad.isdisjoint(fine)
    whole, before, after = await import_and_compare(rt, owner, text)
    assert whole.faults == preview.faults
    if bad:
        assert after == before
        assert whole.done.created == 0
        part, _, _ = await import_and_compare(rt, owner, text, skip_bad=True)
        assert part.faults == preview.faults
        assert part.done == preview.done
    lines = set(range(1, len(json.loads(text)["features"]) + 1)) - bad
    now = {row["ref"] for row in await owner.fetch("SELECT ref FROM friends")}
    assert now - {"f1", "f2"} == refs(text, lines)


@hostile
@given(text=malformed, skip_bad=st.booleans())
async def test_an_odd_collection_changes_nothing(rt, owner, text, skip_bad):
    report, before, after = await import_and_compare(rt, owner, text, skip_bad=skip_bad)
    assert [fault.line for fault in report.faults] != []
    assert after == before
