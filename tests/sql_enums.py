"""The values that the migrations give to the enums of the database."""

import re

from data.migrate import MIGRATIONS

STEPS = re.compile(
    r"CREATE TYPE (?P<created>\w+) AS ENUM \((?P<listed>[^)]*)\)"
    r"|ALTER TYPE (?P<altered>\w+) ADD VALUE '(?P<added>\w+)'(?: BEFORE '(?P<next>\w+)')?"
)


def enum_values(name: str) -> list[str]:
    """The values of an enum in their order, after all migrations."""
    values: list[str] = []
    for file in sorted(MIGRATIONS.iterdir(), key=lambda file: file.name):
        for step in STEPS.finditer(file.read_text(encoding="utf-8")):
            if step["created"] == name:
                values += re.findall(r"'(\w+)'", step["listed"])
            elif step["altered"] == name:
                place = values.index(step["next"]) if step["next"] else len(values)
                values.insert(place, step["added"])
    return values
