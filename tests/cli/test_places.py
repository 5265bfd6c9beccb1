import json

import pytest

ROW = "CH\t8004\tZürich\tZürich\tZH\t\t\t\t\t47.3776\t8.5256\t6\n"


def test_a_place_is_found_by_postcode_by_town_and_by_both(tekkie):
    for words in (["8004"], ["Zürich"], ["8004 Zuerich"]):
        [found, *_] = json.loads(tekkie("geo", "find", *words, "--json").stdout)
        assert found["town"].startswith("Zürich")
    assert "Berlin" in tekkie("geo", "find", "10115", "--country", "de").stdout


def test_an_unknown_place_is_refused_with_the_nearest(tekkie):
    done = tekkie("geo", "find", "8999")
    assert done.exit_code == 1
    assert "89" in done.stderr
    assert tekkie("geo", "find", " ").exit_code == 2
    assert tekkie("geo", "find", "1", "--country", "XX").exit_code == 1


def test_an_imported_dump_overrides_the_bundled_postcodes(tekkie, tmp_path):
    dump = tmp_path / "CH.txt"
    dump.write_text(ROW.replace("47.3776", "47.4000"), encoding="utf-8")
    done = tekkie("geo", "import", dump)
    assert done.exit_code == 0
    assert "1 postcodes imported for CH" in done.stderr
    [found] = json.loads(tekkie("geo", "find", "8004", "--json").stdout)
    assert found["point"]["lat"] == pytest.approx(47.4)


def test_a_broken_dump_is_refused_by_line_and_nothing_is_imported(tekkie, tmp_path):
    dump = tmp_path / "CH.txt"
    dump.write_text(ROW + ROW.replace("47.3776", "x"), encoding="utf-8")
    done = tekkie("geo", "import", dump, "--json")
    assert done.exit_code == 1
    result = json.loads(done.stdout)
    assert result["taken_in"] == 0
    assert [(one["line"], one["field"]) for one in result["faults"]] == [(2, "lat")]
    assert "Nothing was imported." in tekkie("geo", "import", dump).stderr
