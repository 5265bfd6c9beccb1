"""Bases of all schemas, and the parts that most of them share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict

from data.markets import Currency

T = TypeVar("T")


class RequestModel(BaseModel):
    """Base of all parts of requests; unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")


class ResponseModel(BaseModel):
    """Base of all parts of responses."""

    model_config = ConfigDict(extra="forbid", frozen=True, from_attributes=True)


def example(value: Mapping[str, Any]) -> ConfigDict:
    """The configuration of a request model with a working example."""
    return ConfigDict(extra="forbid", json_schema_extra={"examples": [dict(value)]})


class Money(ResponseModel):
    """An amount in minor units: 6900 CHF is 69 francs."""

    amount: int
    currency: Currency


class Page(ResponseModel, Generic[T]):
    """One page of a list; `next_cursor` requests the next page and is null on the last."""

    items: list[T]
    next_cursor: str | None
