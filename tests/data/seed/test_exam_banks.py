from collections.abc import Callable
from pathlib import Path

import pytest

from data.seed import exam_banks
from data.seed.exam_banks import ExamsInvalid, load, read
from tests.exam_banks import bank, toml

CERTIFICATES = {"wifi", "mac"}
GOOD = toml(bank())

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(text: str = GOOD, name: str = "wifi") -> Path:
        (tmp_path / f"{name}.toml").write_text(text, encoding="utf-8")
        return tmp_path

    return write


def test_a_correct_bank_is_read_as_it_was_written(write: Write) -> None:
    assert read(write(), CERTIFICATES) == {"wifi": bank()}


def test_every_bank_of_the_product_has_twenty_questions_of_all_difficulties() -> None:
    for found in load().values():
        assert len(found.questions) >= 20
        assert {question.difficulty for question in found.questions} == {1, 2, 3}


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("minutes = 20", "minutes = 2", "minutes is 2; write a whole number from 5 to 180"),
        ("minutes = 20", "minutes = true", "minutes is True; write a whole number"),
        ("pass_bp = 8000", "", "pass_bp is None; write a whole number from 5000 to 10000"),
        ("attempts = 3", "attempts = 3\ncolour = 1", "has the unknown key colour; known: attempts"),
        ("signal = 6", "signal = 2", r"\[topics\] sums up to 6; draw 10 to 20"),
        ("signal = 6", "signal = 12", r"\[topics.signal\] draws 12 of 10 questions; write more"),
        ("signal = 6", "Signal = 6", "'Signal' must be lower-case words joined by hyphens"),
        ("[names.signal]", "[names.other]", r"\[names.signal\] is missing: name the topic"),
        ('pl = "signal (pl)"', "", r"\[names.signal\] has no pl; write the text"),
        ('code = "wifi-01"', 'code = "wifi-02"', r"\[wifi-02\] is the code of several questions"),
        ('code = "wifi-01"', 'code = "mac-01"', r"\[mac-01\] is no code; write wifi- and a number"),
        (
            'topic = "signal"',
            'topic = "signals"',
            "topic is 'signals'; write one of: signal, safet",
        ),
        ('key = "b"', 'key = "e"', r"\[wifi-01\] key is 'e'; write one of: a, b, c, d"),
        ("difficulty = 2", "difficulty = 4", "difficulty is 4; write a whole number from 1 to 3"),
        ("[questions.pl]", "[questions.es]", r"\[wifi-01.pl\] has no table \[questions.pl\]"),
        ("[questions.pl]", "[questions.es]", r"\[wifi-01\] has the unknown key es; known: code"),
        ('why = "Because of wifi-01 in de."', "", r"\[wifi-01.de\] has no why; write the text"),
        ("Option 1 a de", "option  1 B de", r"\[wifi-01.de\] has two equal options; make all"),
        ("Question wifi-01 in de?", "x" * 601, "text has 601 characters; 600 are the most"),
        ("Question wifi-01 in de?", "Question wifi-01 in en?", "the same text in two languages"),
        ("Question wifi-01 in de?", "In Wifi-02 Question, de!", "wifi-02 and wifi-01 ask the same"),
        ("[topics]", "[topics", "cannot be read"),
    ],
)
def test_a_fault_is_named_with_its_cure(
    write: Write, before: str, after: str, message: str
) -> None:
    assert before in GOOD
    with pytest.raises(ExamsInvalid, match=message):
        read(write(GOOD.replace(before, after, 1)), CERTIFICATES)


def test_all_faults_are_named_at_once(write: Write) -> None:
    bad = GOOD.replace('key = "b"', 'key = "x"').replace("minutes = 20", "minutes = 0")
    with pytest.raises(ExamsInvalid) as caught:
        read(write(bad), CERTIFICATES)
    assert len(str(caught.value).splitlines()) == 21


def test_the_same_question_in_two_files_is_found(write: Write) -> None:
    write()
    folder = write(toml(bank("mac")).replace("Question mac-01 in", "Question wifi-01 in"), "mac")
    with pytest.raises(ExamsInvalid, match="wifi-01 and mac-01 ask the same in de"):
        read(folder, CERTIFICATES)


def test_a_bank_for_no_certificate_is_refused(write: Write) -> None:
    with pytest.raises(ExamsInvalid, match=r"tea\.toml: is named after no certificate"):
        read(write(name="tea"), CERTIFICATES)


def test_the_checker_prints_what_is_wrong(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    good, bad = write() / "wifi.toml", write("minutes = 1", "mac") / "mac.toml"
    assert exam_banks.main([str(good)]) == 0
    assert "wifi: 20 questions; a sitting draws signal 6 of 10" in capsys.readouterr().out
    assert exam_banks.main([str(bad)]) == 1
    assert "mac.toml: has no [[questions]]; add them" in capsys.readouterr().out
