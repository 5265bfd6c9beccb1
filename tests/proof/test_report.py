from tests.proof.report import table, write


def test_a_section_is_replaced_between_its_marks_and_the_others_stay(tmp_path):
    page = tmp_path / "proof.md"
    write("one", "## One\n\nfirst", page=page)
    write("two", "## Two", page=page)
    write("one", "## One\n\nsecond \\1", page=page)
    text = page.read_text(encoding="utf-8")
    assert text.startswith("# Proof\n")
    assert "first" not in text
    assert text.index("second \\1") < text.index("## Two")
    assert text.count("<!-- begin one -->") == text.count("<!-- end one -->") == 1


def test_a_bar_does_not_break_a_table():
    assert table(["a"], [["x|y"]]).endswith("| x\\|y |")
