"""A file of friends that means no good: all of it, or without the bad rows, or nothing."""

import json

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dispatch.flows.people.friend_import import import_text
from tests.builders import import_neighbours
from tests.geo.hostile import collections, malformed

KEPT = """
    SELECT json_agg(to_jsonb(kept) ORDER BY kept.ref)::text FROM (
      SELECT f.*, p.name, p.email, p.phone, p.lat, p.lon, p.language AS said,
        ARRAY(SELECT certificate FROM friend_certificates c WHERE c.friend_id = f.id) AS codes
      FROM friends f JOIN people p ON p.id = f.id) AS kept
"""
LINES = "SELECT count(*) FROM audit"
FORGET = """
    DELETE FROM friend_certificates;
    DELETE FROM friends;
    DELETE FROM people WHERE kind = 'friend'
"""
here = settings(
    max_examples=20,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def refs(text, lines):
    made = json.loads(text)["features"]
    return {str(made[line - 1]["properties"]["ref"]).strip() for line in lines}


async def taken(rt, owner, text, **how):
    """What an import reports, and the friends and lines of the audit before and after it."""
    before = await owner.fetchval(KEPT), await owner.fetchval(LINES)
    how = {"dry_run": False, "skip_bad": False, **how}
    report = await import_text(rt, "friends.geojson", text, actor="system", **how)
    return report, before, (await owner.fetchval(KEPT), await owner.fetchval(LINES))


@here
@given(made=collections())
async def test_one_bad_feature_stops_an_import_unless_bad_rows_are_skipped(rt, owner, made):
    text, fine = made
    await owner.execute(FORGET)
    await import_neighbours(rt, 2)
    tried, before, after = await taken(rt, owner, text, skip_bad=True, dry_run=True)
    assert after == before
    bad = {fault.line for fault in tried.faults}
    assert bad.isdisjoint(fine)
    whole, before, after = await taken(rt, owner, text)
    assert whole.faults == tried.faults
    if bad:
        assert after == before
        assert whole.done.created == 0
        part, _, _ = await taken(rt, owner, text, skip_bad=True)
        assert part.faults == tried.faults
        assert part.done == tried.done
    lines = set(range(1, len(json.loads(text)["features"]) + 1)) - bad
    now = {row["ref"] for row in await owner.fetch("SELECT ref FROM friends")}
    assert now - {"f1", "f2"} == refs(text, lines)


@here
@given(text=malformed, skip_bad=st.booleans())
async def test_an_odd_collection_changes_nothing(rt, owner, text, skip_bad):
    report, before, after = await taken(rt, owner, text, skip_bad=skip_bad)
    assert [fault.line for fault in report.faults] != []
    assert after == before
