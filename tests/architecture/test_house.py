"""The picture of the house in docs/architecture.md is what the import contracts say."""

import pytest

from tests.architecture.house import PAGE, draw_house, read_contracts, replace_house

CONTRACTS = [
    {"type": "layers", "name": "Folders", "layers": ["api", "data"]},
    {"type": "layers", "name": "api", "containers": ["api"], "layers": ["cli", "routes | live"]},
    {"type": "layers", "name": "cli", "containers": ["api.cli"], "layers": ["root", "output"]},
    {"type": "forbidden", "name": "Only data knows asyncpg"},
]
PICTURE = """
flowchart LR
    subgraph api["api"]
        direction TB
        subgraph api_cli["cli"]
            direction TB
            api_cli_root["root"]
            api_cli_output["output"]
            api_cli_root --> api_cli_output
        end
        api_routes["routes · live"]
        api_cli --> api_routes
    end
    data["data"]
    api --> data
"""


def test_the_page_shows_what_the_contracts_say():
    page = PAGE.read_text("utf-8")
    assert page == replace_house(page, draw_house(read_contracts())), "run `make house`"


def test_every_contract_is_drawn_or_named():
    house = draw_house(CONTRACTS)
    assert PICTURE in house
    assert "- Only data knows asyncpg.\n" in house


def test_a_layer_that_is_added_changes_the_picture():
    more = [CONTRACTS[0] | {"layers": ["api", "geo", "data"]}, *CONTRACTS[1:]]
    assert draw_house(more) != draw_house(CONTRACTS)


def test_a_page_without_a_place_for_the_picture_is_refused():
    with pytest.raises(ValueError, match="no lines"):
        replace_house("# Architecture\n", draw_house(CONTRACTS))
