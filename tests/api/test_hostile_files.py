"""Hostile files of friends: refused, or each bad row is reported, and never a 5xx.

What the reader does is tried without a database; what the desk's import does, on one.
"""

import json

from hypothesis import example, given, settings
from hypothesis import strategies as st

from geo.friend_import.reader import Row, read_text
from geo.row_errors import RowError
from tests.conftest import read_gazetteer
from tests.geo.hostile import HOSTILE_VALUES, collections, malformed, valid_feature

IMPORT = "/v1/desk/friends/import"
FRIENDS = """
    SELECT json_agg(to_jsonb(kept) ORDER BY kept.ref)::text FROM (
      SELECT f.*, p.name, p.email, p.phone, p.lat, p.lon, p.language AS spoken,
        ARRAY(SELECT certificate FROM friend_certificates c WHERE c.friend_id = f.id) AS codes
      FROM friends f JOIN people p ON p.id = f.id) AS kept
"""
AUDITED = "SELECT count(*) FROM audit WHERE act IN ('friends.checked', 'friends.imported')"
DELETE_FRIENDS = """
    DELETE FROM friend_certificates;
    DELETE FROM friends;
    DELETE FROM people WHERE kind = 'friend'
"""
LINE_OF_ONE = valid_feature(2) | {"geometry": {"type": "LineString", "coordinates": [[0, 0]]}}
REFUSED = {"type": "FeatureCollection", "features": [valid_feature(1), LINE_OF_ONE]}
tables = st.lists(
    st.lists(st.sampled_from([*HOSTILE_VALUES, "f9", "47.3", ",", '"', "\n"]), max_size=9)
).map(
    lambda rows: "\n".join(
        ["ref,name,email,phone,radius_km,languages,lat,lon", *map(",".join, rows)]
    )
)


@settings(max_examples=50)
@given(collections())
@example((json.dumps(REFUSED), [1]))
def test_every_feature_is_a_friend_or_an_error_with_its_cure(collection):
    text, valid_lines = collection
    found = list(read_text(".geojson", text, read_gazetteer(), {"wifi"}))
    errors = [one for one in found if isinstance(one, RowError)]
    assert all(error.problem and error.cure for error in errors)
    if any(error.line == 0 for error in errors):
        return
    assert all(error.field for error in errors)
    assert len({(error.line, error.field) for error in errors}) == len(errors)
    lines = sorted({one.line for one in found})
    assert lines == list(range(1, len(json.loads(text)["features"]) + 1))
    friends = {one.line for one in found if isinstance(one, Row)}
    assert set(valid_lines) <= friends
    assert friends.isdisjoint(error.line for error in errors)


async def send(desk, **body):
    headers = {"Content-Type": "application/json"}
    answer = await desk.send("POST", IMPORT, content=json.dumps(body), headers=headers)
    result = answer.json()
    if answer.status_code != 200:
        assert answer.status_code == 422, answer.text
        assert all(error["field"] and error["cure"] for error in result["errors"])
        return None
    assert all(row["problem"] and row["cure"] for row in result["rows"])
    return result


@settings(max_examples=20)
@given(
    content=st.one_of(malformed, tables),
    filename=st.sampled_from(["f.geojson", "f.json", "f.csv", "f.tsv", "f.txt"]),
)
@example(content="ref\ud800", filename="f.csv")
@example(content="[" * 200_000, filename="f.json")
async def test_a_hostile_file_is_refused_or_its_bad_rows_are_listed(shared_api, content, filename):
    desk = await shared_api.operator()
    result = await send(desk, filename=filename, content=content, skip_bad=True)
    if result is not None:
        assert result["rows"]
        assert result["taken_in"] == result["changed"] == result["unchanged"] == 0


def refs(text, lines):
    made = json.loads(text)["features"]
    return {str(made[line - 1]["properties"]["ref"]).strip() for line in lines}


@settings(max_examples=15)
@given(made=collections())
async def test_one_bad_feature_stops_an_import_unless_bad_rows_are_skipped(api, owner, made):
    text, fine = made
    file = {"filename": "friends.geojson", "content": text}
    desk = await api.operator()
    await owner.execute(DELETE_FRIENDS)
    before, audited = await owner.fetchval(FRIENDS), await owner.fetchval(AUDITED)
    preview = await send(desk, **file, dry_run=True)
    whole = await send(desk, **file)
    bad = {fault["line"] for fault in preview["rows"]}
    assert bad.isdisjoint(fine)
    assert whole["rows"] == preview["rows"]
    if bad:
        assert await owner.fetchval(FRIENDS) == before
        assert whole["taken_in"] == 0
        part = await send(desk, **file, skip_bad=True)
        assert part | {"dry_run": True} == preview
    lines = set(range(1, len(json.loads(text)["features"]) + 1)) - bad
    now = {row["ref"] for row in await owner.fetch("SELECT ref FROM friends")}
    assert now == refs(text, lines)
    assert await owner.fetchval(AUDITED) == audited + (3 if bad else 2)
