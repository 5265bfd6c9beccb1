"""Changed copies of frozen records: `dataclasses.replace` at less than half its price."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, TypeVar

R = TypeVar("R")

Getter = Callable[[Any], Any]
Setter = Callable[[Any, Any], None]


def replace(record: R, **values: Any) -> R:
    """A copy of a record (a frozen dataclass with slots) with other values in some fields.

    An unknown field is a KeyError. `__post_init__` does not run: a record has none.
    """
    kind = type(record)
    slots, setters = _ACCESSORS.get(kind) or _make_accessors(kind)
    copy = object.__new__(kind)
    for get, put in slots:
        put(copy, get(record))
    for name, value in values.items():
        setters[name](copy, value)
    return copy


_ACCESSORS: dict[type, tuple[tuple[tuple[Getter, Setter], ...], Mapping[str, Setter]]] = {}
"""How to read and to write each field of a record, past the guard that keeps it frozen."""


def _make_accessors(kind: type) -> tuple[tuple[tuple[Getter, Setter], ...], Mapping[str, Setter]]:
    slots = {field.name: kind.__dict__[field.name] for field in fields(kind)}
    pairs = tuple((slot.__get__, slot.__set__) for slot in slots.values())
    _ACCESSORS[kind] = pairs, {name: slot.__set__ for name, slot in slots.items()}
    return _ACCESSORS[kind]
