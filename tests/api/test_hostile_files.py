"""Hostile import files: refused, or every bad row is reported, and never a 5xx."""

import json

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.geo.hostile import HOSTILE_VALUES, collections, malformed

IMPORT = "/v1/desk/friends/import"
here = settings(
    max_examples=25,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
tables = st.lists(
    st.lists(st.sampled_from([*HOSTILE_VALUES, "f9", "47.3", ",", '"', "\n"]), max_size=9)
).map(
    lambda rows: "\n".join(
        ["ref,name,email,phone,radius_km,languages,lat,lon", *map(",".join, rows)]
    )
)


@here
@given(
    content=st.one_of(malformed, tables, collections().map(lambda made: made[0])),
    filename=st.sampled_from(["f.geojson", "f.json", "f.csv", "f.tsv", "f.txt"]),
    skip_bad=st.booleans(),
)
@example(content="ref\ud800", filename="f.csv", skip_bad=True)
@example(content="[" * 200_000, filename="f.json", skip_bad=False)
async def test_a_hostile_file_is_refused_or_its_bad_rows_are_listed(
    api, content, filename, skip_bad
):
    desk = await api.operator()
    body = json.dumps({"filename": filename, "content": content, "skip_bad": skip_bad})
    headers = {"Content-Type": "application/json"}
    answer = await desk.send("POST", IMPORT, content=body, headers=headers)
    result = answer.json()
    if answer.status_code != 200:
        assert answer.status_code == 422, answer.text
        assert all(error["field"] and error["cure"] for error in result["errors"])
        return
    assert all(row["problem"] and row["cure"] for row in result["rows"])
    if result["rows"] and not skip_bad:
        assert result["taken_in"] == result["changed"] == 0
