"""Errors in the lines of an imported file, with their cures."""

import re
from dataclasses import dataclass

UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
NOT_UTF8 = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class RowError:
    """An error of one line: its number (0 for the whole file), field, problem and cure."""

    line: int
    field: str
    problem: str
    cure: str

    def __str__(self) -> str:
        where = f"line {self.line}" if self.line else "file"
        field = f", {self.field}" if self.field else ""
        return f"{where}{field}: {self.problem}; {self.cure}"


class FieldError(ValueError):
    """A field with an invalid value; becomes a `RowError` once the line is known."""

    def __init__(self, field: str, problem: str, cure: str) -> None:
        super().__init__(f"{problem}; {cure}")
        self.field = field
        self.problem = problem
        self.cure = cure

    def at(self, line: int) -> RowError:
        """Return the error of that line."""
        return RowError(line=line, field=self.field, problem=self.problem, cure=self.cure)


def quote_value(value: str) -> str:
    """Return a value of a file shortened and escaped for a message."""
    return repr(value if len(value) <= 40 else f"{value[:40]}…")
