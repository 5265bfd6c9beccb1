"""What is wrong with one line of an imported file, and what to do about it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A line that was not taken: its number (0 is the whole file), the field and the cure."""

    line: int
    field: str
    problem: str
    cure: str

    def __str__(self) -> str:
        where = f"line {self.line}" if self.line else "file"
        field = f", {self.field}" if self.field else ""
        return f"{where}{field}: {self.problem}; {self.cure}"
