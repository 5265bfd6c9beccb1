"""A friend's base by quotes, and who is free at the moment.

Somebody without an account asks for quotes all around the friends: three points in each square
kilometre, twice. Within a cell all answers must be the same, and within a step of time too.
"""

import contextlib
import json

from geo import cells
from geo.point import Point
from tests.builders import ZURICH, north
from tests.proof.connection import Connection
from tests.proof.hostile.target import Figure, Target

SPREAD_M = 400.0


async def attack(target: Target) -> list[Figure]:
    """Cells from the middle of the first group of friends to beyond their radius."""
    cells_asked = 40 if target.is_whole else 8
    connection = Connection(target.port)
    told: dict[Point, set[str]] = {}
    with contextlib.closing(connection):
        for _ in range(2):
            for step in range(cells_asked):
                middle = cells.centre(north(500.0 * step - 1_500, ZURICH))
                for away_m in (-SPREAD_M, 0.0, SPREAD_M):
                    answer = await ask(connection, north(away_m, middle))
                    told.setdefault(middle, set()).add(answer)
    differing = sum(len(answers) > 1 for answers in told.values())
    assert differing == 0, f"{differing} of {len(told)} cells have several answers"
    assert len(set().union(*told.values())) > 1, "all quotes say the same: nothing was tried"
    asked = 2 * 3 * cells_asked
    return [
        Figure("quotes asked without an account", f"{asked}"),
        Figure("cells whose answers differ", f"{differing} of {len(told)}", "0"),
    ]


async def ask(connection: Connection, point: Point) -> str:
    """How many helpers a quote promises at this point."""
    address = {"street": "", "postcode": "8001", "city": "Zürich", "country": "CH"}
    body = {"package": "wifi-setup", "address": address | {"lat": point.lat, "lon": point.lon}}
    reply = await connection.request("POST", "/v1/quotes", body=body)
    assert reply.is_ok, f"a quote was answered with {reply.status}"
    return str(json.loads(reply.body)["helpers"])
