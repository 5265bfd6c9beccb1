"""The banks of exam questions: one TOML file per certificate in `exams/`.

`python -m data.seed.exam_banks` checks every file, or those named, and prints each problem with its
cure.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Final

from data.markets import Language
from data.records.exams import OPTIONS, Bank, Exam, Question, QuestionText
from data.seed import catalogue
from data.seed.catalogue import CODE

NUMBERS: Final = {
    "minutes": (5, 180),
    "pass_bp": (5000, 10_000),
    "attempts": (1, 10),
    "cooldown_days": (1, 365),
}
DRAWN_MIN: Final = 10
DRAWN_MAX: Final = 20
EXAM_KEYS: Final = {*NUMBERS, "topics", "names", "questions"}
QUESTION_KEYS: Final = {"code", "topic", "difficulty", "key", *Language}
LONGEST: Final = {"text": 600, "why": 1000} | dict.fromkeys(OPTIONS, 300)
WORD: Final = re.compile(r"\w+")

Table = Mapping[str, Any]


class ExamsInvalid(ValueError):
    """A bank is invalid; the message names every problem by file and question, with its cure."""


@cache
def load() -> Mapping[str, Bank]:
    """Return the banks of the product by certificate. Raises ExamsInvalid."""
    return read(files("data.seed") / "exams", catalogue.load().certificates.keys())


def read(folder: Traversable, certificates: Collection[str]) -> Mapping[str, Bank]:
    """Read and check all banks in `folder`. Raises ExamsInvalid with every problem."""
    found = sorted(folder.iterdir(), key=lambda file: file.name)
    return read_files([file for file in found if file.name.endswith(".toml")], certificates)


def read_files(found: Iterable[Traversable], certificates: Collection[str]) -> Mapping[str, Bank]:
    """Read and check the banks in these files, also against one another. Raises ExamsInvalid."""
    problems: list[str] = []
    banks = {}
    for file in found:
        reader = _Reader(file.name, problems)
        banks[file.name.removesuffix(".toml")] = reader.bank(file, certificates)
    problems += _alike(bank for bank in banks.values() if bank)
    if problems:
        raise ExamsInvalid("\n".join(problems))
    return {code: bank for code, bank in banks.items() if bank}


@dataclass(slots=True)
class _Reader:
    """Reads one file and gathers what is wrong with it."""

    file: str
    problems: list[str] = field(default_factory=list)

    def bank(self, file: Traversable, certificates: Collection[str]) -> Bank | None:
        before = len(self.problems)
        try:
            table = tomllib.loads(file.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            self._refuse("", f"cannot be read: {error}")
            return None
        certificate = self.file.removesuffix(".toml")
        if certificate not in certificates:
            self._refuse("", "is named after no certificate; name it as certificates.toml does")
        self._check_keys("", table, EXAM_KEYS)
        exam = self._exam(certificate, table)
        names = {topic: self._names(topic, table.get("names")) for topic in exam.topics}
        questions = self._questions(table.get("questions"), exam)
        self._check_quotas(exam, questions)
        if len(self.problems) > before:
            return None
        return Bank(exam=exam, names=names, questions=questions)

    def _refuse(self, where: str, problem: str) -> None:
        self.problems.append(f"{self.file}: {where and f'[{where}] '}{problem}")

    def _check_keys(self, where: str, table: Table, known: Collection[str]) -> None:
        for key in sorted(table.keys() - set(known)):
            self._refuse(where, f"has the unknown key {key}; known: {', '.join(sorted(known))}")

    def _number(self, where: str, table: Table, key: str, low: int, high: int) -> int:
        value = table.get(key)
        if type(value) is int and low <= value <= high:
            return value
        self._refuse(where, f"{key} is {value!r}; write a whole number from {low} to {high}")
        return low

    def _table(self, where: str, value: object, key: str) -> Table:
        if isinstance(value, dict):
            return value
        self._refuse(where, f"has no table {key}; write one")
        return {}

    def _exam(self, certificate: str, table: Table) -> Exam:
        numbers = {key: self._number("", table, key, *span) for key, span in NUMBERS.items()}
        topics = self._table("", table.get("topics"), "[topics]")
        quotas = {topic: self._quota(topics, topic) for topic in topics}
        if not DRAWN_MIN <= sum(quotas.values()) <= DRAWN_MAX:
            self._refuse(
                "topics", f"sums up to {sum(quotas.values())}; draw {DRAWN_MIN} to {DRAWN_MAX}"
            )
        return Exam(certificate=certificate, topics=quotas, **numbers)

    def _quota(self, topics: Table, topic: str) -> int:
        if not CODE.fullmatch(topic):
            self._refuse("topics", f"{topic!r} must be lower-case words joined by hyphens")
        return self._number("topics", topics, topic, 1, DRAWN_MAX)

    def _names(self, topic: str, names: object) -> Mapping[Language, str]:
        table = names.get(topic) if isinstance(names, dict) else None
        where = f"names.{topic}"
        if not isinstance(table, dict):
            self._refuse(where, f"is missing: name the topic, as in de = …, in {_words(Language)}")
            return {}
        self._check_keys(where, table, [*Language])
        return {language: self._text(where, table, language, 60) for language in Language}

    def _text(self, where: str, table: Table, key: str, longest: int) -> str:
        text = table.get(key)
        if not isinstance(text, str) or not text.strip():
            self._refuse(where, f"has no {key}; write the text")
            return ""
        if len(text) > longest:
            self._refuse(where, f"{key} has {len(text)} characters; {longest} are the most")
        return text.strip()

    def _questions(self, tables: object, exam: Exam) -> Sequence[Question]:
        if not isinstance(tables, list):
            self._refuse("", "has no [[questions]]; add them")
            return ()
        codes = Counter(str(table.get("code")) for table in tables)
        for code, count in codes.items():
            if count > 1:
                self._refuse(code, "is the code of several questions; give each its own")
        return [self._question(table, exam) for table in tables]

    def _question(self, table: Table, exam: Exam) -> Question:
        code = str(table.get("code"))
        start = f"{exam.certificate}-"
        if not CODE.fullmatch(code) or not code.startswith(start):
            self._refuse(code, f"is no code; write {start} and a number")
        self._check_keys(code, table, QUESTION_KEYS)
        return Question(
            code=code,
            topic=self._one_of(code, table, "topic", exam.topics),
            difficulty=self._number(code, table, "difficulty", 1, 3),
            key=self._one_of(code, table, "key", OPTIONS),
            texts=self._texts(code, table),
        )

    def _one_of(self, code: str, table: Table, key: str, known: Collection[str]) -> str:
        value = table.get(key)
        if value in known:
            return str(value)
        self._refuse(code, f"{key} is {value!r}; write one of: {_words(known)}")
        return ""

    def _texts(self, code: str, table: Table) -> Mapping[Language, QuestionText]:
        texts = {
            language: self._in_language(f"{code}.{language}", table.get(language))
            for language in Language
        }
        seen = Counter(text.text for text in texts.values() if text.text)
        if any(count > 1 for count in seen.values()):
            self._refuse(code, "asks with the same text in two languages; translate it")
        return texts

    def _in_language(self, where: str, value: object) -> QuestionText:
        table = self._table(where, value, f"[questions.{where.rpartition('.')[2]}]")
        if not table:
            return QuestionText(text="", options={}, why="")
        self._check_keys(where, table, LONGEST)
        found = {key: self._text(where, table, key, most) for key, most in LONGEST.items()}
        options = {option: found[option] for option in OPTIONS}
        if len({" ".join(text.casefold().split()) for text in options.values()}) < len(OPTIONS):
            self._refuse(where, "has two equal options; make all four different")
        return QuestionText(text=found["text"], options=options, why=found["why"])

    def _check_quotas(self, exam: Exam, questions: Iterable[Question]) -> None:
        there = Counter(question.topic for question in questions)
        for topic, quota in exam.topics.items():
            if there[topic] < quota:
                self._refuse(
                    f"topics.{topic}",
                    f"draws {quota} of {there[topic]} questions; write more, or draw fewer",
                )


def _alike(banks: Iterable[Bank]) -> Iterator[str]:
    """Name the questions that consist of the same words as another one, in any language."""
    first: dict[tuple[Language, tuple[str, ...]], str] = {}
    for question in (question for bank in banks for question in bank.questions):
        for language, text in question.texts.items():
            words = tuple(sorted(WORD.findall(text.text.casefold())))
            other = first.setdefault((language, words), question.code)
            if other != question.code:
                yield f"{question.code} and {other} ask the same in {language}; change one"


def _words(known: Iterable[str]) -> str:
    return ", ".join(known)


def main(arguments: Sequence[str]) -> int:
    """Check the files named, or all; print what is wrong, or how many questions are right."""
    try:
        certificates = catalogue.load().certificates.keys()
        named = read_files(map(Path, arguments), certificates) if arguments else load()
    except ExamsInvalid as invalid:
        print(invalid)
        return 1
    for code, bank in named.items():
        topics = Counter(question.topic for question in bank.questions)
        counts = ", ".join(
            f"{topic} {bank.exam.topics[topic]} of {n}" for topic, n in topics.items()
        )
        print(f"{code}: {len(bank.questions)} questions; a sitting draws {counts}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
