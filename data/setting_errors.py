"""What is wrong with the value of a setting, in plain words and with the values that are right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, get_args

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic.fields import FieldInfo
    from pydantic_core import ErrorDetails

PREFIX: Final = "TEKKIE_"
WHOLE_NUMBERS: Final = ("int_type", "int_parsing", "int_from_float", "int_parsing_size")
NUMBERS: Final = ("float_type", "float_parsing", "finite_number")
LIMITS: Final = ("greater_than", "greater_than_equal", "less_than", "less_than_equal")


class SettingsInvalid(Exception):
    """One or more settings are invalid; each line names the variable and the cure."""


def explain(error: ErrorDetails, fields: Mapping[str, FieldInfo]) -> str:
    """Return one sentence part that follows the name of the variable."""
    kind = error["type"]
    field = fields.get(str(error["loc"][0])) if error["loc"] else None
    if kind == "value_error" or field is None:
        return error["msg"].removeprefix("Value error, ")
    is_whole = int in (field.annotation, *get_args(field.annotation))
    if kind in WHOLE_NUMBERS or (kind in LIMITS and is_whole):
        return f"must be a whole number{_limits(field)}{_example(field)}"
    if kind in NUMBERS or kind in LIMITS:
        return f"must be a number{_limits(field)}{_example(field)}"
    if kind == "literal_error":
        return f"must be one of {', '.join(get_args(field.annotation))}"
    if kind in ("bool_type", "bool_parsing"):
        return "must be true or false"
    if kind == "string_too_short":
        return f"must have at least {error['ctx']['min_length']} characters"
    return f"cannot be used: {error['msg'][:1].lower()}{error['msg'][1:]}"


def _limits(field: FieldInfo) -> str:
    low = _limit(field, "ge", "gt")
    high = _limit(field, "le", "lt")
    if low is not None and high is not None:
        return f" from {low} to {high}"
    if low is not None:
        return f", {low} or more"
    return "" if high is None else f", {high} or less"


def _limit(field: FieldInfo, *names: str) -> Any:
    found = (getattr(one, name, None) for one in field.metadata for name in names)
    return next((limit for limit in found if limit is not None), None)


def _example(field: FieldInfo) -> str:
    return f", as in {field.default}" if isinstance(field.default, int | float) else ""
