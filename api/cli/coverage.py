"""Coverage: where a package is available, by how many friends, and where demand is unmet."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli.exit_codes import CommandFailed, UsageError
from api.cli.output import (
    AsJson,
    print_json,
    print_line,
    print_message,
    print_table,
    status_spinner,
)
from api.cli.session import command_runtime, run
from data.markets import HOME, Market

if TYPE_CHECKING:
    from dispatch.flows.places.coverage import CoverageMap
    from geo.coverage.maps import Frame, Summary

DAYS = 30
DAYS_MAX = 3660
CELLS_SHOWN = 20
COUNTRIES = ", ".join(Market)
WEIGHTS = {"people": "people", "postcodes": "postcodes (the population data is not installed)"}


def coverage(
    ctx: typer.Context,
    *,
    package: Annotated[
        str | None,
        typer.Option("--package", help="The code of the package, for example wifi-setup."),
    ] = None,
    market: Annotated[
        str | None,
        typer.Option("--market", help=f"{COUNTRIES}; else {HOME}, and with --unmet all of them."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Also write the map: .geojson, .gpkg, .parquet or .csv."),
    ] = None,
    busy_too: Annotated[
        bool, typer.Option("--busy-too", help="Include friends without free capacity.")
    ] = False,
    unmet: Annotated[
        bool, typer.Option("--unmet", help="Show where bookings found too few friends, or none.")
    ] = False,
    days: Annotated[
        int | None,
        typer.Option(
            "--days",
            min=1,
            max=DAYS_MAX,
            help="The number of past days for --unmet.",
            show_default=str(DAYS),
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show where a package is available and from how many friends, or where demand is unmet."""
    where = _market(market)
    if out is not None:
        _check(out)
    if unmet:
        if busy_too:
            raise UsageError("--busy-too works only with --package; leave it out.")
        frame = run(_unmet(ctx, package, where, days or DAYS))
        _write(frame, out)
        _show_unmet(frame, as_json=as_json)
        return
    if days is not None:
        raise UsageError("--days works only with --unmet; add that, or leave it out.")
    if package is None:
        raise UsageError("Give a package, like --package wifi-setup, or --unmet.")
    where = where or HOME
    found = run(_covered(ctx, package, where, busy_too=busy_too))
    _write(found.frame, out)
    if as_json:
        print_json(_facts(found.summary, package, where))
    else:
        _show(found.summary, package, where)


def _show(summary: Summary, package: str, market: Market) -> None:
    print_line(f"{package} in {market}: {summary.friends} friends")
    print_table(
        ["friends in reach", f"share of {WEIGHTS[summary.weight]}"],
        ((band, f"{share:.1%}") for band, share in summary.shares.items()),
        none="",
    )
    print_table(
        ["largest towns with too few friends", "region", summary.weight, "friends"],
        ((s.town.name, s.town.region, s.town.size, s.friends) for s in summary.short),
        none="Every town is reached by enough friends.",
    )


def _facts(summary: Summary, package: str, market: Market) -> dict[str, Any]:
    return {
        "package": package,
        "market": market,
        "friends": summary.friends,
        "weighted_by": summary.weight,
        "shares": summary.shares,
        "towns_without_four": [
            {
                "town": served.town.name,
                "region": served.town.region,
                "lat": served.town.point.lat,
                "lon": served.town.point.lon,
                "size": served.town.size,
                "friends": served.friends,
            }
            for served in summary.short
        ],
    }


def _show_unmet(frame: Frame, *, as_json: bool) -> None:
    columns = ["town", "lat", "lon", "unmet", "unfilled", "bookings"]
    ordered = frame.sort_values(["least", "lat", "lon"], ascending=[False, True, True])
    rows = ordered[columns].to_dict("records")
    if as_json:
        print_json(rows)
        return
    print_table(
        ["near", "lat", "lon", "unmet", "of these unfilled", "of bookings"],
        ([row[column] for column in columns] for row in rows[:CELLS_SHOWN]),
        none="No unmet demand.",
    )
    if len(rows) > CELLS_SHOWN:
        print_message(f"… and {len(rows) - CELLS_SHOWN} more cells; --out or --json has all.")


def _market(word: str | None) -> Market | None:
    if word is None:
        return None
    try:
        return Market(word.strip().upper())
    except ValueError:
        raise UsageError(f"--market must be one of {', '.join(Market)}.") from None


def _check(out: Path) -> None:
    from geo.coverage.maps import ExportError, check_ending

    try:
        check_ending(out)
    except ExportError as cannot:
        raise UsageError(f"--out: {cannot}.") from None


def _write(frame: Frame, out: Path | None) -> None:
    from geo.coverage.maps import ExportError, export

    if out is None:
        return
    try:
        export(frame, out)
    except ExportError as cannot:
        raise CommandFailed(f"--out: {cannot}.") from None
    print_message(f"{len(frame)} cells written to {out}")


async def _covered(
    ctx: typer.Context, package: str, market: Market, *, busy_too: bool
) -> CoverageMap:
    from dispatch.flows.places import coverage

    async with command_runtime(ctx, places=True) as rt:
        with status_spinner(f"computing the coverage of {market} …"):
            return await coverage.coverage_map(
                rt, package=package, market=market, include_busy=busy_too
            )


async def _unmet(
    ctx: typer.Context, package: str | None, market: Market | None, days: int
) -> Frame:
    from dispatch.flows.places import coverage

    async with command_runtime(ctx, places=True) as rt:
        return await coverage.unmet_demand(rt, days=days, market=market, package=package)
