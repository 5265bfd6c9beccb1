"""Places: what tekkie knows of postcodes and towns, and how to teach it more."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from api.cli.exit_codes import REFUSED, UsedWrongly
from api.cli.output import AsJson, print_json, print_table, reporting, say
from api.cli.session import at_desk, run
from data.markets import HOME, Market

if TYPE_CHECKING:
    from collections.abc import Sequence

    from geo.gazetteer.addresses import Postcode
    from geo.gazetteer.offline import Place
    from geo.row_errors import RowError

FAULTS_SHOWN = 50
COUNTRIES = ", ".join(Market)

app = typer.Typer(help="Postcodes and towns: find one, import better ones.")


@app.command("import")
def import_(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="GeoNames' postal dump, for example CH.zip.")],
    as_json: AsJson = False,
) -> None:
    """Take in GeoNames' own postcodes in the place of those that came with tekkie.

    They replace what was imported for the same countries before. A running service takes them up
    when it is started again.
    """
    from geo.gazetteer.geonames import read

    with reporting(f"reading {file.name} …"):
        rows, faults = read(file)
    count = 0 if faults else run(_take_in(ctx, rows))
    if as_json:
        print_json({"taken_in": count, "faults": faults})
    elif faults:
        _show_faults(faults)
    else:
        countries = ", ".join(sorted({row.country for row in rows}))
        say(f"{count} postcodes taken in for {countries}; restart the service to use them.")
    if faults:
        raise typer.Exit(REFUSED)


@app.command()
def find(
    ctx: typer.Context,
    place: Annotated[str, typer.Argument(help="A postcode, a town, or both: '8004 Zürich'.")],
    country: Annotated[str, typer.Option("--country", help=f"One of {COUNTRIES}.")] = HOME,
    as_json: AsJson = False,
) -> None:
    """Show where tekkie believes a postcode or a town to be."""
    found = run(_find(ctx, place, country))
    if as_json:
        print_json(found)
        return
    print_table(
        ["postcode", "town", "region", "lat", "lon", "known to", "within m", "note"],
        (
            (
                *(p.postcode, p.town, p.region, f"{p.point.lat:.5f}", f"{p.point.lon:.5f}"),
                *(p.precision, p.radius_m, p.note),
            )
            for p in found
        ),
        none="Nothing found.",
    )


async def _take_in(ctx: typer.Context, rows: Sequence[Postcode]) -> int:
    from dispatch.flows.places import postcodes

    async with at_desk(ctx) as rt:
        return await postcodes.replace_postcodes(rt.pool, rows)


async def _find(ctx: typer.Context, text: str, country: str) -> list[Place]:
    postcode = " ".join(word for word in text.split() if any(c.isdigit() for c in word))
    town = " ".join(word for word in text.split() if not any(c.isdigit() for c in word))
    if not postcode and not town:
        raise UsedWrongly("Name a postcode, a town, or both: tekkie geo find '8004 Zürich'.")
    async with at_desk(ctx, places=True) as rt:
        if postcode:
            return [rt.gazetteer.find(country, postcode, town)]
        return rt.gazetteer.towns(country, town) or [rt.gazetteer.find(country, "", town)]


def _show_faults(faults: Sequence[RowError]) -> None:
    for fault in faults[:FAULTS_SHOWN]:
        say(str(fault))
    if len(faults) > FAULTS_SHOWN:
        say(f"… and {len(faults) - FAULTS_SHOWN} more; --json lists all.")
    say("Nothing was taken in.")
