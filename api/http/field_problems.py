"""Problems of single fields, and how validation errors of pydantic translate to them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldProblem:
    """What is wrong with one field, and how to correct it."""

    field: str
    problem: str
    cure: str
    suggestions: Sequence[str] = ()

    def to_json(self) -> dict[str, Any]:
        """The JSON object, with suggestions only where there are any."""
        content: dict[str, Any] = {"field": self.field, "problem": self.problem, "cure": self.cure}
        return content | {"suggestions": [*self.suggestions]} if self.suggestions else content


def field_problem(error: Mapping[str, Any]) -> FieldProblem:
    """The problem for one error of pydantic (`ValidationError.errors()`)."""
    context = {name: str(value) for name, value in error.get("ctx", {}).items()}
    if limit := context.get("min_length") or context.get("max_length"):
        context = {"min_length": limit, "max_length": limit} | context
    problem, cure = TEXTS.get(error["type"], (error["msg"], "correct it"))
    if error["type"] in TEXTS:
        problem, cure = problem.format(**context), cure.format(**context)
    path = [*error["loc"], *filter(None, [context.get("field")])]
    return FieldProblem(field=".".join(_path(path)), problem=problem, cure=cure)


def _path(location: Sequence[str | int]) -> Iterator[str]:
    inside = location[1:] if location[:1] != ("header",) else [str(location[-1]).title()]
    yield from (str(step) for step in inside) if inside else ["body"]


TEXTS: Mapping[str, tuple[str, str]] = {
    "missing": ("is missing", "add it"),
    "extra_forbidden": ("is not a field of this request", "remove it, or correct its spelling"),
    "string_type": ("is not text", "give a JSON string"),
    "string_unicode": ("is not well-formed Unicode", "remove lone surrogates"),
    "string_too_long": ("is longer than {max_length} characters", "shorten it"),
    "string_too_short": ("is too short", "give at least {min_length} characters"),
    "string_pattern_mismatch": ("is not of the form {pattern}", "correct it"),
    "int_type": ("is not a whole number", "give a JSON number without decimals"),
    "int_parsing": ("is not a whole number", "give a number without decimals"),
    "int_from_float": ("is not a whole number", "give a JSON number without decimals"),
    "float_type": ("is not a number", "give a JSON number"),
    "finite_number": ("is not a finite number", "give a JSON number"),
    "list_type": ("is not a list", "give a JSON array"),
    "too_long": ("has too many entries", "give at most {max_length}"),
    "enum": ("is not an allowed value", "use one of {expected}"),
    "literal_error": ("is not an allowed value", "use one of {expected}"),
    "greater_than_equal": ("is too small", "give at least {ge}"),
    "less_than_equal": ("is too large", "give at most {le}"),
    "greater_than": ("is too small", "give more than {gt}"),
    "less_than": ("is too large", "give less than {lt}"),
    "model_attributes_type": ("is not an object", "give a JSON object"),
    "model_type": ("is not an object", "give a JSON object"),
    "dict_type": ("is not an object", "give a JSON object"),
    "uuid_parsing": ("is not an id", "send the id exactly as you received it"),
    "uuid_type": ("is not an id", "send the id exactly as you received it"),
    "datetime_parsing": ("is not a time", "write it like 2026-03-02T14:30:00Z"),
    "datetime_from_date_parsing": ("is not a time", "write it like 2026-03-02T14:30:00Z"),
    "timezone_aware": ("has no time zone", "write it like 2026-03-02T14:30:00Z"),
    "invalid": ("{problem}", "{cure}"),
}
