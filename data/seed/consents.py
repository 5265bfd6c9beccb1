"""The texts that an applicant agrees to, each with its version, from `consents.toml`."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType

from data.markets import Language


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentText:
    """A text in its present version; a changed text has another version."""

    code: str
    version: str
    texts: Mapping[Language, str]


@cache
def load() -> Mapping[str, ConsentText]:
    """Return the texts by code, in the order of the file. Raises KeyError for a missing one."""
    content = (files("data.seed") / "consents.toml").read_text(encoding="utf-8")
    return MappingProxyType(
        {
            code: ConsentText(
                code=code,
                version=table["version"],
                texts=MappingProxyType({one: table[one].strip() for one in Language}),
            )
            for code, table in tomllib.loads(content).items()
        }
    )
