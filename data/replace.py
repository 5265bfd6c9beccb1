"""Changed copies of frozen records: `dataclasses.replace` at less than half its cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, TypeVar

R = TypeVar("R")

Getter = Callable[[Any], Any]
Setter = Callable[[Any, Any], None]


def replace(record: R, **values: Any) -> R:
    """Return a copy of a record (a frozen dataclass with slots) with some fields changed.

    An unknown field raises KeyError. `__post_init__` does not run: records have none.
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
"""The getter and setter of each field of a record; they bypass the check that it is frozen."""


def _make_accessors(kind: type) -> tuple[tuple[tuple[Getter, Setter], ...], Mapping[str, Setter]]:
    slots = {field.name: kind.__dict__[field.name] for field in fields(kind)}
    pairs = tuple((slot.__get__, slot.__set__) for slot in slots.values())
    _ACCESSORS[kind] = pairs, {name: slot.__set__ for name, slot in slots.items()}
    return _ACCESSORS[kind]
