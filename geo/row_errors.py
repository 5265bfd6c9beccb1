"""What is wrong with one line of an imported file, and what to do about it."""

import re
from dataclasses import dataclass

UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
NOT_UTF8 = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class RowError:
    """A line that was not taken: its number (0 is the whole file), the field and the cure."""

    line: int
    field: str
    problem: str
    cure: str

    def __str__(self) -> str:
        where = f"line {self.line}" if self.line else "file"
        field = f", {self.field}" if self.field else ""
        return f"{where}{field}: {self.problem}; {self.cure}"


class FieldError(ValueError):
    """A field that cannot be taken; becomes a `Fault` where the line is known."""

    def __init__(self, field: str, problem: str, cure: str) -> None:
        super().__init__(f"{problem}; {cure}")
        self.field = field
        self.problem = problem
        self.cure = cure

    def at(self, line: int) -> RowError:
        """The fault of that line."""
        return RowError(line=line, field=self.field, problem=self.problem, cure=self.cure)


def quote_value(value: str) -> str:
    """A foreign value cut and escaped, so that it may stand in a message."""
    return repr(value if len(value) <= 40 else f"{value[:40]}…")
