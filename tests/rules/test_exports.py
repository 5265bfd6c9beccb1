"""Exports in CSV: every fact on a line of its own, and no formula for a spreadsheet."""

import csv
import io

import pytest

from dispatch.rules.people.exports import HEAD, as_csv


def lines(*people):
    text = as_csv(people)
    assert text.startswith("\ufeff")
    return [tuple(row) for row in csv.reader(io.StringIO(text[1:]))]


def test_every_fact_is_on_a_line_of_its_own():
    found = lines(
        {"person": {"name": "Ada", "note": None}, "jobs": [{"pay": 4900}, {"pay": -1, "ok": True}]},
        {"person": {"tags": ["a", {"b": 1.5}]}, "files": [], "journal": ["x"]},
    )
    assert found == [
        HEAD,
        ("1", "person", "1", "name", "Ada"),
        ("1", "jobs", "1", "pay", "4900"),
        ("1", "jobs", "2", "pay", "-1"),
        ("1", "jobs", "2", "ok", "true"),
        ("2", "person", "1", "tags.1", "a"),
        ("2", "person", "1", "tags.2.b", "1.5"),
        ("2", "journal", "1", "", "x"),
    ]


@pytest.mark.parametrize("evil", ["=1+1", "+41", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1"])
def test_what_could_be_a_formula_is_text(evil):
    [_, row] = lines({"person": {evil: evil}})
    assert row[3:] == (f"'{evil}", f"'{evil}")


def test_quotes_commas_and_lines_come_back_as_they_were():
    words = 'Vera said: "a, b;\nc" ü'
    assert lines({"person": {"comment": words}})[1][4] == words
