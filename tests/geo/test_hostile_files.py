"""Whatever a file of points holds: each feature is a friend or a fault with its cure."""

from hypothesis import given

from geo.friend_import.reader import Row, read
from geo.row_errors import RowError
from tests.geo.hostile import collections, malformed


def found_in(folder, text, gazetteer):
    path = folder.mktemp("points") / "friends.geojson"
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    return list(read(path, gazetteer, {"wifi"}))


@given(collections())
def test_every_feature_is_a_friend_or_a_fault_with_its_cure(tmp_path_factory, small, made):
    text, fine = made
    found = found_in(tmp_path_factory, text, small)
    faults = [one for one in found if isinstance(one, RowError)]
    assert all(fault.problem and fault.cure for fault in faults)
    if any(fault.line == 0 for fault in faults):
        return
    assert all(fault.field for fault in faults)
    assert [one.line for one in found] == list(range(1, len(found) + 1))
    assert set(fine) <= {one.line for one in found if isinstance(one, Row)}


@given(malformed)
def test_what_is_hardly_a_collection_gives_faults_and_no_traceback(tmp_path_factory, small, text):
    assert all(isinstance(one, RowError) for one in found_in(tmp_path_factory, text, small))
