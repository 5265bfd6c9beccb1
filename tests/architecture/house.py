"""Draws the import contracts of pyproject.toml as Mermaid: `make house` writes the picture.

A frame is a package, a box in it one layer; names separated by a dot in a box import nothing from
each other. An arrow leads to the next layer below; all layers below may be imported.
"""

import tomllib
from collections.abc import Iterator

from tests.architecture.source import ROOT

PAGE = ROOT / "docs" / "architecture.md"
BEGIN = (
    "<!-- Written by `make house` from the import contracts in pyproject.toml; do not edit. -->\n"
)
END = "<!-- The end of what `make house` writes. -->\n"

Contract = dict[str, object]


def read_contracts() -> list[Contract]:
    """The import contracts as pyproject.toml lists them."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    return project["tool"]["importlinter"]["contracts"]


def draw_house(contracts: list[Contract]) -> str:
    """The picture of every contract about layers, and the names of the others."""
    inside: dict[str, list[str]] = {}
    packages: list[str] = []
    for contract in contracts:
        if contract["type"] == "layers":
            for container in contract.get("containers", [""]):
                inside[container] = contract["layers"]
            packages = packages or contract["layers"]
    lines = ["flowchart LR"]
    for package in packages:
        lines += draw_package(package, inside, depth=1)
    lines += [f"    {' --> '.join(packages)}"]
    others = [f"- {contract['name']}.\n" for contract in contracts if contract["type"] != "layers"]
    picture = "\n".join(lines)
    return f"{BEGIN}\n```mermaid\n{picture}\n```\n\nAlso checked:\n\n{''.join(others)}\n{END}"


def draw_package(package: str, inside: dict[str, list[str]], depth: int) -> Iterator[str]:
    """A frame with a box for each layer, or a box alone where no contract looks inside."""
    tab = "    " * depth
    key, title = package.replace(".", "_"), package.rpartition(".")[2]
    if package not in inside:
        yield f'{tab}{key}["{title}"]'
        return
    yield f'{tab}subgraph {key}["{title}"]'
    yield f"{tab}    direction TB"
    keys = []
    for layer in inside[package]:
        names = [name.strip() for name in layer.split("|")]
        if len(names) == 1:
            yield from draw_package(f"{package}.{names[0]}", inside, depth + 1)
        else:
            yield f'{tab}    {key}_{names[0]}["{" · ".join(names)}"]'
        keys.append(f"{key}_{names[0]}")
    yield f"{tab}    {' --> '.join(keys)}"
    yield f"{tab}end"


def replace_house(page: str, house: str) -> str:
    """The page with its picture replaced.

    Raises ValueError where the page has no place for it.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{PAGE} has no lines to write the picture between")
    return before + house + after


if __name__ == "__main__":
    PAGE.write_text(replace_house(PAGE.read_text("utf-8"), draw_house(read_contracts())), "utf-8")
