"""Maps of where a package can be served, by how many friends, and of unmet demand.

A friend counts in a cell of `geo.coverage.grid` when its centre lies within their radius, measured
as dispatch measures it. Cells that a service circle only touches are on the map without a friend,
so that the map is never smaller than the circles. Cells whose nearest town lies in another country
are left out.

The public map is coarser. There each friend is moved to the middle of their cell and the radius is
rounded up to whole steps of 5 km; the cells reached are merged into areas of two bands, "1-4" and
"5+". All homes in one cell of 25 km² give the same map, so that repeated requests and differences
between maps reveal nothing more.
"""

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import shapely

from data.markets import Market
from data.records.people import Friend
from geo.coverage import grid
from geo.coverage.grid import Circles, Flags, Floats, Ints
from geo.gazetteer.offline import Gazetteer
from geo.gazetteer.population import Town, Towns, Weight
from geo.point import Point

if TYPE_CHECKING:
    from geopandas import GeoDataFrame
    from numpy.typing import NDArray
    from shapely import MultiPolygon, Polygon

Frame: TypeAlias = "GeoDataFrame"

CIRCLES_AT_ONCE = 500
POINTS_AT_ONCE = 500
FEWEST_FOR_MANY = 5
FEW, MANY = f"1-{FEWEST_FOR_MANY - 1}", f"{FEWEST_FOR_MANY}+"
RADIUS_STEP_M = 5_000
COORDINATE_STEP_DEGREES = 1e-6
SMALLEST_COUNT_SHOWN = 3
MOST_TOWNS = 10
ENOUGH_FRIENDS = 4
LAYER = "coverage"
PARQUET = (".parquet", ".geoparquet")
ENDINGS = (".geojson", ".json", ".gpkg", *PARQUET, ".csv")


class ExportError(ValueError):
    """A map cannot be written under this name; the message names the reason and the cure."""


@dataclass(frozen=True, slots=True)
class CellCounts:
    """Cells in ascending order and the number of friends who reach the centre of each."""

    cells: Ints
    friends: Ints


@dataclass(frozen=True, slots=True, kw_only=True)
class Area:
    """The area that `helpers` friends can reach: "1-4" or "5+"."""

    helpers: str
    shape: "Polygon | MultiPolygon"


@dataclass(frozen=True, slots=True, kw_only=True)
class TownCoverage:
    """A town and the number of friends who reach its middle."""

    town: Town
    friends: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Shares of a country by number of friends who reach its towns; its largest underserved."""

    friends: int
    weight: Weight
    shares: dict[str, float]
    short: tuple[TownCoverage, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """Bookings in one square kilometre: all, the unmet, and of these the unfilled."""

    lat: float
    lon: float
    bookings: int
    unmet: int
    unfilled: int


def coverage_map(friends: Iterable[Friend], market: Market, gazetteer: Gazetteer) -> Frame:
    """Return the cells of a country that these friends' circles touch.

    Columns `friends` (how many reach the centre), `town` (the nearest), `lat`, `lon` (the centre)
    and the cell as geometry, on WGS84. All given friends count: filter them before.
    """
    counted, towns = count_by_cell(circles_of(friends)), TownIndex(gazetteer)
    inside = towns.are_in(counted.cells, market)
    cells = counted.cells[inside]
    return _frame(cells, {"friends": counted.friends[inside], "town": towns.names(cells)})


def circles_of(friends: Iterable[Friend]) -> Circles:
    """Return the exact service circles of friends."""
    rows = [(friend.lat, friend.lon, friend.radius_m) for friend in friends]
    lat, lon, radius_m = np.array(rows, dtype=np.float64).reshape(-1, 3).T
    return Circles(lat, lon, radius_m)


def count_by_cell(circles: Circles) -> CellCounts:
    """Return all cells that circles touch and the exact number that reaches each centre."""
    cells: list[Ints] = []
    counts: list[Ints] = []
    for start in range(0, len(circles), CIRCLES_AT_ONCE):
        batch = circles.slice(start, start + CIRCLES_AT_ONCE)
        circle, cell = grid.touched_cells(batch)
        reaches, away_m = grid.reaches(batch, circle, *grid.centres(cell))
        near = away_m <= batch.radius_m[circle] + grid.HALF_DIAGONAL_M
        found, place = np.unique(cell[near], return_inverse=True)
        cells.append(found)
        counts.append(np.bincount(place, weights=reaches[near]).astype(np.int64))
    if not cells:
        return CellCounts(np.zeros(0, np.int64), np.zeros(0, np.int64))
    found, place = np.unique(np.concatenate(cells), return_inverse=True)
    friends = np.bincount(place, weights=np.concatenate(counts)).astype(np.int64)
    return CellCounts(found, friends)


def summary(friends: Iterable[Friend], towns: Towns) -> Summary:
    """Summarize the coverage of a country by exact circles and the middles of its towns."""
    circles = circles_of(friends)
    counts = count_by_point(circles, [town.point for town in towns.towns])
    sizes = np.array([town.size for town in towns.towns], dtype=np.float64)
    total = max(float(sizes.sum()), 1.0)
    bands = {
        "0": counts == 0,
        f"1-{ENOUGH_FRIENDS - 1}": (counts > 0) & (counts < ENOUGH_FRIENDS),
        f"{ENOUGH_FRIENDS}+": counts >= ENOUGH_FRIENDS,
    }
    short = np.flatnonzero(counts < ENOUGH_FRIENDS)[:MOST_TOWNS]
    return Summary(
        friends=len(circles),
        weight=towns.weight,
        shares={
            band: round(float(sizes[inside].sum()) / total, 4) for band, inside in bands.items()
        },
        short=tuple(TownCoverage(town=towns.towns[i], friends=int(counts[i])) for i in short),
    )


def count_by_point(circles: Circles, points: Sequence[Point]) -> Ints:
    """Count the circles that reach each point."""
    lat = np.array([point.lat for point in points], dtype=np.float64)
    lon = np.array([point.lon for point in points], dtype=np.float64)
    cells = grid.cells_at(lat, lon)
    order = np.argsort(cells, kind="stable")
    counts = np.zeros(len(points), dtype=np.int64)
    for start in range(0, len(circles), CIRCLES_AT_ONCE):
        batch = circles.slice(start, start + CIRCLES_AT_ONCE)
        circle, cell = grid.touched_cells(batch)
        first = np.searchsorted(cells[order], cell, side="left")
        inside = np.searchsorted(cells[order], cell, side="right") - first
        pairs, place = grid.expand_ranges(first, inside)
        hit = order[place]
        reaches, _ = grid.reaches(batch, circle[pairs], lat[hit], lon[hit])
        counts += np.bincount(hit[reaches], minlength=len(points))
    return counts


def public_areas(friends: Iterable[Friend], market: Market, towns: "TownIndex") -> list[Area]:
    """Return the public areas by band; they do not reveal where friends live."""
    counted = count_by_cell(_coarsen(circles_of(friends)))
    here = towns.are_in(counted.cells, market)
    bands = (
        (FEW, here & (counted.friends > 0) & (counted.friends < FEWEST_FOR_MANY)),
        (MANY, here & (counted.friends >= FEWEST_FOR_MANY)),
    )
    return [
        Area(helpers=helpers, shape=merge_cells(counted.cells[inside]))
        for helpers, inside in bands
        if inside.any()
    ]


def feature_collection(found: Sequence[Area], package: str, market: Market) -> dict[str, Any]:
    """Return areas as GeoJSON (RFC 7946)."""
    return {
        "type": "FeatureCollection",
        "features": [
            {
                "type": "Feature",
                "properties": {"helpers": area.helpers, "package": package, "market": market},
                "geometry": json.loads(shapely.to_geojson(area.shape)),
            }
            for area in found
        ],
    }


def merge_cells(cells: Ints) -> "Polygon | MultiPolygon":
    """Merge cells in ascending order into one shape, in degrees rounded to ten centimetres."""
    breaks = np.flatnonzero(np.diff(cells) != 1) + 1
    first = cells[np.concatenate(([0], breaks))]
    last = cells[np.concatenate((breaks - 1, [len(cells) - 1]))]
    shape = shapely.union_all(
        shapely.box(*grid.bounds(first, last)), grid_size=COORDINATE_STEP_DEGREES
    )
    assert isinstance(shape, shapely.Polygon | shapely.MultiPolygon)
    return shape


def unmet_map(demands: Iterable[Demand], gazetteer: Gazetteer) -> Frame:
    """Return the cells with unmet bookings and their numbers; fewer than three are "<3".

    Columns `unmet`, `unfilled` and `bookings` as text, `least` (what `unmet` is at least), `town`,
    `lat`, `lon` and the cell as geometry, on WGS84.
    """
    rows = [demand for demand in demands if demand.unmet]
    lat = np.array([row.lat for row in rows], dtype=np.float64)
    lon = np.array([row.lon for row in rows], dtype=np.float64)
    cells, place = np.unique(grid.cells_at(lat, lon), return_inverse=True)
    columns: dict[str, Any] = {}
    for name in ("unmet", "unfilled", "bookings"):
        weights = np.array([getattr(row, name) for row in rows], dtype=np.float64)
        sums = np.bincount(place, weights=weights, minlength=len(cells)).astype(np.int64)
        columns[name] = [mask_small_count(int(count)) for count in sums]
        if name == "unmet":
            columns["least"] = np.where(sums < SMALLEST_COUNT_SHOWN, 1, sums)
    columns["town"] = TownIndex(gazetteer).names(cells)
    return _frame(cells, columns)


def mask_small_count(count: int) -> str:
    """Return a count as text, or "<3" for one and two."""
    return f"<{SMALLEST_COUNT_SHOWN}" if 0 < count < SMALLEST_COUNT_SHOWN else str(count)


def check_ending(path: Path) -> None:
    """Raise ExportError unless a map can be written under this name."""
    if path.suffix.lower() not in ENDINGS:
        raise ExportError(f"{path.name!r} has an unknown ending; use one of {', '.join(ENDINGS)}")
    if not path.parent.is_dir():
        raise ExportError(f"there is no folder {str(path.parent)!r}; make it first")


def export(frame: Frame, path: Path) -> None:
    """Write a map as GeoJSON, GeoPackage, GeoParquet or CSV, by its ending; atomically."""
    check_ending(path)
    new = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix.lower()}")
    try:
        _write(frame, new)
        new.replace(path)
    except ImportError:
        raise ExportError(
            "GeoParquet needs pyarrow; install tekkie[export], or write .geojson, .gpkg or .csv"
        ) from None
    finally:
        new.unlink(missing_ok=True)


def _write(frame: Frame, path: Path) -> None:
    if path.suffix == ".csv":
        frame.drop(columns="geometry").to_csv(path, index=False)
    elif path.suffix in PARQUET:
        frame.to_parquet(path, index=False)
    elif path.suffix == ".gpkg":
        frame.to_file(path, driver="GPKG", layer=LAYER, engine="pyogrio")
    else:
        frame.to_file(path, driver="GeoJSON", layer=LAYER, engine="pyogrio", RFC7946="YES")


def _coarsen(circles: Circles) -> Circles:
    """Move every base to the middle of its cell and round every radius up to whole steps."""
    lat, lon = grid.centres(grid.cells_at(circles.lat, circles.lon))
    return Circles(lat, lon, np.ceil(circles.radius_m / RADIUS_STEP_M) * RADIUS_STEP_M)


class TownIndex:
    """All known towns, to find the nearest one for many cells at once."""

    def __init__(self, gazetteer: Gazetteer) -> None:
        rows = {(row.lat, row.lon): row for market in Market for row in gazetteer.rows(market)}
        self._towns = np.array([row.town for row in rows.values()], dtype=np.object_)
        self._markets = np.array([row.country for row in rows.values()], dtype=np.object_)
        lat, lon = np.array(list(rows), dtype=np.float64).reshape(-1, 2).T
        self._tree = shapely.STRtree(_mercator(lat, lon))

    def names(self, cells: Ints) -> list[str]:
        """Return the town nearest to the centre of each cell."""
        return [str(town) for town in self._towns[self._nearest(cells)]]

    def are_in(self, cells: Ints, market: Market) -> Flags:
        """Return whether the town nearest to the centre of each cell lies in the country."""
        return np.asarray(self._markets[self._nearest(cells)] == market, dtype=np.bool_)

    def _nearest(self, cells: Ints) -> Ints:
        # The tree holds the GIL during a query, so it is queried in small batches.
        points = _mercator(*grid.centres(cells))
        batches = range(0, len(points), POINTS_AT_ONCE)
        found = [self._tree.nearest(points[at : at + POINTS_AT_ONCE]) for at in batches]
        return np.concatenate([np.zeros(0, np.int64), *found])


def _mercator(lat: Floats, lon: Floats) -> "NDArray[np.object_]":
    north = np.degrees(np.arcsinh(np.tan(np.radians(lat))))
    return np.asarray(shapely.points(lon, north), dtype=np.object_)


def _frame(cells: Ints, columns: dict[str, Any]) -> Frame:
    import geopandas

    lat, lon = (np.round(axis, 6) for axis in grid.centres(cells))
    boxes = shapely.box(*grid.bounds(cells, cells))
    return geopandas.GeoDataFrame({**columns, "lat": lat, "lon": lon}, geometry=boxes, crs=4326)
