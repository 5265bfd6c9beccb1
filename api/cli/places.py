"""Places: search the gazetteer, and import postcodes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from api.cli.exit_codes import REFUSED, UsageError
from api.cli.output import AsJson, print_json, print_message, print_table, status_spinner
from api.cli.session import command_runtime, run
from data.markets import HOME, Market

if TYPE_CHECKING:
    from collections.abc import Sequence

    from geo.gazetteer.addresses import Postcode
    from geo.gazetteer.offline import Place
    from geo.row_errors import RowError

ERRORS_MAX = 50
COUNTRIES = ", ".join(Market)

app = typer.Typer(help="Postcodes and towns: find one, import better ones.")


@app.command("import")
def import_(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="GeoNames' postal dump, for example CH.zip.")],
    as_json: AsJson = False,
) -> None:
    """Import GeoNames' postcodes instead of the bundled ones.

    They replace earlier imports for the same countries. Restart a running service to use them.
    """
    from geo.gazetteer.geonames import read

    with status_spinner(f"reading {file.name} …"):
        rows, faults = read(file)
    count = 0 if faults else run(_import(ctx, rows))
    if as_json:
        print_json({"taken_in": count, "faults": faults})
    elif faults:
        _print_errors(faults)
    else:
        countries = ", ".join(sorted({row.country for row in rows}))
        print_message(
            f"{count} postcodes imported for {countries}; restart the service to use them."
        )
    if faults:
        raise typer.Exit(REFUSED)


@app.command()
def find(
    ctx: typer.Context,
    place: Annotated[str, typer.Argument(help="A postcode, a town, or both: '8004 Zürich'.")],
    country: Annotated[str, typer.Option("--country", help=f"One of {COUNTRIES}.")] = HOME,
    as_json: AsJson = False,
) -> None:
    """Show the location of a postcode or a town in the gazetteer."""
    found = run(_find(ctx, place, country))
    if as_json:
        print_json(found)
        return
    print_table(
        ["postcode", "town", "region", "lat", "lon", "precision", "within m", "note"],
        (
            (
                *(p.postcode, p.town, p.region, f"{p.point.lat:.5f}", f"{p.point.lon:.5f}"),
                *(p.precision, p.radius_m, p.note),
            )
            for p in found
        ),
        none="Nothing found.",
    )


async def _import(ctx: typer.Context, rows: Sequence[Postcode]) -> int:
    from dispatch.flows.places import postcodes

    async with command_runtime(ctx) as rt:
        return await postcodes.replace_postcodes(rt.pool, rows)


async def _find(ctx: typer.Context, text: str, country: str) -> list[Place]:
    postcode = " ".join(word for word in text.split() if any(c.isdigit() for c in word))
    town = " ".join(word for word in text.split() if not any(c.isdigit() for c in word))
    if not postcode and not town:
        raise UsageError("Give a postcode, a town, or both: tekkie geo find '8004 Zürich'.")
    async with command_runtime(ctx, places=True) as rt:
        if postcode:
            return [rt.gazetteer.find(country, postcode, town)]
        return rt.gazetteer.towns(country, town) or [rt.gazetteer.find(country, "", town)]


def _print_errors(faults: Sequence[RowError]) -> None:
    for fault in faults[:ERRORS_MAX]:
        print_message(str(fault))
    if len(faults) > ERRORS_MAX:
        print_message(f"… and {len(faults) - ERRORS_MAX} more; --json lists all.")
    print_message("Nothing was imported.")
