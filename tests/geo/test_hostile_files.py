"""Any file of points: each feature is a friend or an error with its cure."""

import json

from hypothesis import example, given

from geo.friend_import.reader import Row, read
from geo.row_errors import RowError
from tests.geo.hostile import collections, malformed, valid_feature


def read_text(folder, text, gazetteer):
    path = folder.mktemp("points") / "friends.geojson"
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    return list(read(path, gazetteer, {"wifi"}))


# GEOS refuses a line of one point: the row is at fault, the file can be read.
LINE_OF_ONE = valid_feature(2) | {"geometry": {"type": "LineString", "coordinates": [[0, 0]]}}
REFUSED = {"type": "FeatureCollection", "features": [valid_feature(1), LINE_OF_ONE]}


@given(collections())
@example((json.dumps(REFUSED), [1]))
def test_every_feature_is_a_friend_or_an_error_with_its_cure(tmp_path_factory, small, collection):
    text, valid_lines = collection
    found = read_text(tmp_path_factory, text, small)
    errors = [one for one in found if isinstance(one, RowError)]
    assert all(error.problem and error.cure for error in errors)
    if any(error.line == 0 for error in errors):
        return
    assert all(error.field for error in errors)
    assert [one.line for one in found] == list(range(1, len(found) + 1))
    assert set(valid_lines) <= {one.line for one in found if isinstance(one, Row)}


@given(malformed)
def test_a_malformed_collection_gives_errors_and_no_exception(tmp_path_factory, small, text):
    assert all(isinstance(one, RowError) for one in read_text(tmp_path_factory, text, small))
