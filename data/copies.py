"""Changed copies of frozen records: `dataclasses.replace` at less than half its price."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import cache
from typing import Any, TypeVar

R = TypeVar("R")

Getter = Callable[[Any], Any]
Setter = Callable[[Any, Any], None]


def changed(record: R, **values: Any) -> R:
    """A copy of a record (a frozen dataclass with slots) with other values in some fields.

    An unknown field is a KeyError. `__post_init__` does not run: a record has none.
    """
    kind: type[Any] = type(record)
    slots, setters = _slots(kind)
    copy: R = object.__new__(kind)
    for get, put in slots:
        put(copy, get(record))
    for name, value in values.items():
        setters[name](copy, value)
    return copy


@cache
def _slots(kind: type) -> tuple[tuple[tuple[Getter, Setter], ...], Mapping[str, Setter]]:
    """How to read and to write each field of a record, past the guard that keeps it frozen."""
    slots = {field.name: kind.__dict__[field.name] for field in fields(kind)}
    pairs = tuple((slot.__get__, slot.__set__) for slot in slots.values())
    return pairs, {name: slot.__set__ for name, slot in slots.items()}
