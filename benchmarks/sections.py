"""The sections of the report about dispatch, deadlines, growth and event streams.

python -m benchmarks.sections      renders the stored results again
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from benchmarks import report

Row = dict[str, Any]
Goal = tuple[str, str, str, bool | None]


def dispatch(result: Row) -> str:
    """Bookings and accepts, by design and connections."""
    rows = [row for row in result["rows"] if "skipped" not in row]
    size = max(row["friends"] for row in rows)
    parts = [
        *_heading("Dispatch", result),
        "A booking is committed with its customer, four offers, two events, a decision, a timer",
        "and five messages; an accept is one job for which four friends race, all answered.",
        "Server, database (`fsync` and `synchronous_commit` on) and load share the cores; CPU is",
        "in µs a booking or job. A rate is open loop: time counts from when a booking was due.",
        "",
        _checks(result["checks"]),
        "",
        *_goals(_dispatch_goals(rows, size)),
        "",
        *_ceilings(rows, size, result["machine"]),
    ]
    for count in sorted({row["friends"] for row in rows}, reverse=True):
        for what in ("book", "accept"):
            mine = [row for row in rows if row["friends"] == count and row["what"] == what]
            if mine:
                parts += ["", f"### {_title(what)}, {count:,} friends", "", *_load_table(mine)]
    parts += [f"\n{row['design']}: skipped, {row['skipped']}" for row in _skipped(result)]
    return "\n".join([*parts, *_plot("dispatch", lambda axes: _draw_dispatch(axes, rows, size))])


def profile(result: Row) -> str:
    """Where Python spends its time for a booking and a race below HTTP."""
    return "\n".join(
        [
            *_heading("Profile", result),
            "The flows below HTTP, one sample a millisecond of processor time, counted for the",
            "innermost module of the product with the libraries it calls; sampling included.",
            *_profile_table("bookings by 64 callers", result["bookings"]),
            *_profile_table("races of four friends, eight jobs at a time", result["races"]),
        ]
    )


def _profile_table(what: str, work: Row) -> list[str]:
    return [
        "",
        f"{work['done']:,} {what}: {work['us']:,.0f} µs each, {work['samples']:,} samples.",
        "",
        "| part | share | µs |",
        "|---|---|---|",
        *(
            f"| {part} | {share:.0%} | {share * work['us']:,.0f} |"
            for part, share in work["parts"].items()
        ),
    ]


def timers(result: Row) -> str:
    """Deadlines at once and in steady state."""
    at_once, steady = result["at_once"], result["steady"]
    rate = steady["due"] / max(steady["took_s"], 1e-9)
    parts = [
        *_heading("Deadlines", result),
        f"{result['sweepers']} sweeper processes, {result['friends']:,} friends; half contact",
        "deadlines (forfeit, four others asked), half ends of offers (the next four asked).",
        "Lateness is from the due moment to the decision under the lock.",
        "",
        *_goals(
            [
                (
                    "100,000 due at once",
                    "<= 60 s",
                    f"{at_once['took_s']:.1f} s",
                    at_once["took_s"] <= 60 if at_once["due"] >= 100_000 else None,
                ),
                (
                    "1,000 a second: lateness p99",
                    "<= 1 s",
                    f"{steady['late_p99_s']:.2f} s",
                    steady["late_p99_s"] <= 1 if rate >= 900 else None,
                ),
                (
                    "acted on twice",
                    "none",
                    str(at_once["twice"] + steady["twice"]),
                    at_once["twice"] + steady["twice"] == 0,
                ),
            ]
        ),
        "",
        _ceiling(at_once, result["machine"]),
        "",
        "| | due | all acted on after s | a second | late p50 s | late p99 s | CPU sweepers µs"
        " | CPU database µs |",
        "|---|---|---|---|---|---|---|---|",
        *(
            f"| {name} | {one['due']:,} | {one['took_s']:.1f} | {pace:,.0f} | "
            f"{one['late_p50_s']:.2f} | {one['late_p99_s']:.2f} | {one['sweepers_cpu_us']:.0f} | "
            f"{one['database_cpu_us']:.0f} |"
            for name, one, pace in (
                ("at once", at_once, at_once["due"] / at_once["took_s"]),
                ("steady", steady, rate),
            )
        ),
    ]
    return "\n".join([*parts, *_plot("timers", lambda axes: _draw_timers(axes, result))])


def live(result: Row) -> str:
    """Event streams: the memory of one, and how soon it delivers an offer and its end."""
    found, asked = result["figures"], result["asked"]
    limit, most_ms = result["goals"]["bytes_a_stream"], result["goals"]["p99_ms"]
    whole = asked["streams"] >= 10_000 and asked["rate"] >= 200
    latencies = (
        ("an offer on the stream, since its moment in the database", "offer_ms"),
        ("its end, likewise", "gone_ms"),
    )
    cpu = [found[f"{who}_cpu"] for who in ("server", "database", "load")]
    return "\n".join(
        [
            *_heading("Live", result),
            f"{asked['streams']:,} open streams in one process, {asked['rate']:.0f} bookings a",
            f"second for {asked['seconds']:.0f} s, each accepted within two seconds by the friend",
            "whose stream delivered first. The first two times include deciding and committing.",
            "",
            *_goals(
                [
                    (
                        "memory of one stream",
                        f"<= {limit / 1000:.0f} kB",
                        f"{found['bytes_a_stream'] / 1000:.1f} kB",
                        found["bytes_a_stream"] <= limit,
                    ),
                    *(
                        (
                            f"{name}: p99",
                            f"<= {most_ms:.0f} ms",
                            f"{found[key]['p99']:.0f} ms",
                            found[key]["p99"] <= most_ms if whole else None,
                        )
                        for name, key in latencies
                    ),
                    _all_received("offers delivered of those made", found, "offers"),
                    _all_received("ends delivered of those due", found, "gone"),
                    ("shed (503)", "none", str(sum(found["refused"].values())), None),
                ]
            ),
            "",
            "| | p50 ms | p95 ms | p99 ms | longest ms |",
            "|---|---|---|---|---|",
            *(
                f"| {name} | {' | '.join(f'{ms:.0f}' for ms in found[key].values())} |"
                for name, key in (
                    *latencies,
                    ("an offer, after the answer to the customer", "offer_after_answer_ms"),
                    ("its end, after the answer to the winner", "gone_after_answer_ms"),
                )
            ),
            "",
            f"Server, database and load took {cpu[0]}, {cpu[1]} and {cpu[2]} of "
            f"{result['machine']['cores']} cores, after a load of "
            f"{result['machine']['load_1min']} from other work. On full cores, latencies include "
            "queueing.",
        ]
    )


def _all_received(name: str, found: Row, what: str) -> Goal:
    received, due = found[f"{what}_heard"], found[f"{what}_due"]
    return (name, "all", f"{received:,} of {due:,}", received == due)


def _ceilings(rows: Sequence[Row], size: int, machine: Row) -> Iterator[str]:
    """The most that these cores could do."""
    for what, how, noun in (
        ("book", "64 connections", "booking"),
        ("accept", "32 connections", "race of four"),
    ):
        for row in rows:
            if (row["what"], row["how"], row["friends"]) != (what, how, size):
                continue
            cost_us = sum(row["cpu_us"].values())
            most = machine["cores"] * 1e6 / cost_us
            yield (
                f"- {row['design']}: a {noun} took {cost_us:,.0f} µs of processor time in all, so "
                f"these {machine['cores']} cores can do at most {most:,.0f} a second; "
                f"{row['per_s']:,.0f} were done."
            )


def _ceiling(at_once: Row, machine: Row) -> str:
    cost_us = at_once["sweepers_cpu_us"] + at_once["database_cpu_us"]
    return (
        f"A timer due at once took {cost_us:,.0f} µs of processor time in all: the "
        f"{machine['cores']} cores, otherwise idle, can act on "
        f"{machine['cores'] * 1e6 / cost_us:,.0f} a second. The load from other work was "
        f"{machine['load_1min']} before it began."
    )


def growth(result: Row) -> str:
    """Cost per booking by friends and by stored bookings."""
    friends, stored = result["by_friends"], result["by_stored"]
    parts = [
        *_heading("Growth", result),
        "The flow called directly by 32 callers; medians of rounds. Cost is the processor time",
        "of process and database together, per booking with four offers.",
        "",
        *_goals(
            [
                _ratio("friends, 1,000 to 1,000,000", friends, "friends", 1.3),
                _ratio("stored bookings, 10,000 to 1,000,000", stored, "stored", 1.2),
            ]
        ),
        "",
        *_not_run(stored[-1]),
        "| friends | µs a booking | CPU process | CPU database | × | p50 ms | p99 ms | copied s"
        " | index read s |",
        "|---|---|---|---|---|---|---|---|---|",
        *(
            f"| {row['friends']:,} | {_cost_cells(row, friends[0])} | {row['copied_s']:.1f} |"
            f" {row['loaded_s']:.1f} |"
            for row in friends
        ),
        "",
        "| stored bookings | µs a booking | CPU process | CPU database | × | p50 ms | p99 ms"
        " | GiB |",
        "|---|---|---|---|---|---|---|---|",
        *(
            f"| {row['stored']:,} | {_cost_cells(row, stored[0])} | {row['bytes'] / 2**30:.1f} |"
            for row in stored
        ),
    ]
    return "\n".join([*parts, *_plot("growth", lambda axes: _draw_growth(axes, result))])


def _not_run(last: Row) -> list[str]:
    most = 10_000_000
    if last["stored"] >= most:
        return []
    times = most / last["stored"]
    return [
        f"Not run: {most:,} stored bookings, which would be {times * last['bytes'] / 2**30:.0f} GiB"
        f" and {times * last['written_s'] / 60:.0f} minutes of writing (`ARGS=--full`).",
        "",
    ]


def machine() -> Row:
    """Describe the machine, and print it."""
    found = report.machine()
    print(report.describe_machine(found), flush=True)
    return found


def save(quick: bool, name: str, result: Row) -> None:
    """Store a whole run and render its section; a quick one is printed only."""
    if not quick:
        report.save(name, result)


def design(name: str, processes: int) -> str:
    """The name of a server that runs in so many processes."""
    return name if processes == 1 else f"{name}, {processes} processes"


def _heading(title: str, result: Row) -> list[str]:
    return [f"## {title}", "", report.describe_machine(result["machine"]), ""]


def _title(what: str) -> str:
    return {"book": "Bookings", "accept": "Accepts (races of four)"}[what]


def _skipped(result: Row) -> list[Row]:
    return [row for row in result["rows"] if "skipped" in row]


def _checks(checks: Sequence[Row]) -> str:
    bookings = sum(check.get("bookings", 0) for check in checks)
    jobs = sum(check.get("jobs", 0) for check in checks)
    return (
        f"Checked in the tables after every window: {bookings:,} bookings, each with four "
        "offers, a decision, a timer, its messages and events without a gap; "
        f"{jobs:,} races, each with one award, one accepted and three lost offers, and one 200 "
        "beside three 409."
    )


def _goals(goals: Iterable[Goal]) -> list[str]:
    lines = ["| goal | target | measured | |", "|---|---|---|---|"]
    verdicts = {True: "kept", False: "missed", None: ""}
    return lines + [
        f"| {name} | {want} | {got} | {verdicts[ok]} |" for name, want, got, ok in goals
    ]


def _dispatch_goals(rows: Sequence[Row], size: int) -> list[Goal]:
    def row(which: str, what: str, how: str) -> Row | None:
        return next(
            (
                r
                for r in rows
                if (r["design"], r["what"], r["how"]) == (which, what, how) and r["friends"] == size
            ),
            None,
        )

    def best(name: str, what: str, how: str) -> Row | None:
        """The best of all designs with this name, of any processes and databases."""
        designs = {r["design"] for r in rows if r["design"].startswith(name)} - {
            "tekkie, delivering"
        }
        found = filter(None, (row(which, what, how) for which in designs))
        return max(found, key=lambda one: float(one["per_s"]), default=None)

    goals: list[Goal] = []
    ours, theirs = (best(d, "book", "64 connections") for d in ("tekkie", "straightforward"))
    if ours and theirs:
        times = ours["per_s"] / theirs["per_s"]
        goals += [
            (
                "bookings, against the best straightforward service",
                ">= 3 ×",
                f"{times:.1f} ×",
                times >= 3,
            ),
            (
                "bookings, 64 connections",
                ">= 2,500/s",
                f"{ours['per_s']:,.0f}/s",
                ours["per_s"] >= 2_500,
            ),
            ("their p99", "<= 80 ms", f"{ours['p99_ms']:.0f} ms", ours["p99_ms"] <= 80),
        ]
    flow = next((r for r in rows if r["design"] == "flow" and r["friends"] == size), None)
    raw = next((r for r in rows if r["design"] == "raw statements" and r["friends"] == size), None)
    if flow and raw:
        share = flow["per_s"] / raw["per_s"]
        goals.append(("below HTTP, of the raw rows", ">= 60 %", f"{share:.0%}", share >= 0.6))
    ours, theirs = (best(d, "accept", "32 connections") for d in ("tekkie", "straightforward"))
    if ours and theirs:
        times = ours["per_s"] / theirs["per_s"]
        goals += [
            (
                "races, against the best straightforward service",
                ">= 3 ×",
                f"{times:.1f} ×",
                times >= 3,
            ),
            (
                "races, 32 connections",
                ">= 1,000 jobs/s",
                f"{ours['per_s']:,.0f}/s",
                ours["per_s"] >= 1_000,
            ),
            (
                "winner p50, 32 connections",
                "<= 10 ms",
                f"{ours['p50_ms']:.1f} ms",
                ours["p50_ms"] <= 10,
            ),
        ]
    return goals


def _load_table(rows: Sequence[Row]) -> list[str]:
    lines = [
        "| | load | a second | p50 ms | p99 ms | CPU server | CPU database | CPU load | counted |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        cpu = row["cpu_us"]
        cells = [
            row["design"],
            row["how"],
            f"{row['per_s']:,.0f}",
            f"{row['p50_ms']:.1f}",
            f"{row['p99_ms']:.1f}",
            *(f"{cpu[who]:,.0f}" if who in cpu else "" for who in ("server", "database", "load")),
            f"{row['count']:,}",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _cost(row: Row) -> float:
    return float(row["own_us"] + row["database_us"])


def _cost_cells(row: Row, first: Row) -> str:
    cells = [row["wall_us"], row["own_us"], row["database_us"]]
    ratio, times = _cost(row) / _cost(first), [row["p50_ms"], row["p99_ms"]]
    return " | ".join([*(f"{c:,.0f}" for c in cells), f"{ratio:.2f}", *(f"{t:.0f}" for t in times)])


def _ratio(name: str, rows: Sequence[Row], key: str, most: float) -> Goal:
    upto = [row for row in rows if row[key] <= 1_000_000]
    ratio = _cost(upto[-1]) / _cost(upto[0])
    whole = upto[-1][key] == 1_000_000
    return (f"cost with {name}", f"<= {most} ×", f"{ratio:.2f} ×", ratio <= most if whole else None)


def _plot(name: str, draw: Callable[[Any], None]) -> list[str]:
    try:
        import matplotlib as mpl
    except ModuleNotFoundError:
        return []
    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "tekkie"
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(11, 4.5))
    draw(axes)
    for one in axes:
        one.grid(visible=True, alpha=0.3)
        if one.get_legend_handles_labels()[0]:
            one.legend()
    figure.tight_layout()
    figure.savefig(report.RESULTS / f"{name}.svg", metadata={"Date": None})
    pyplot.close(figure)
    return ["", f"![{name}](results/{name}.svg)"]


def _draw_dispatch(axes: Any, rows: Sequence[Row], size: int) -> None:
    mine = [row for row in rows if row["friends"] == size]
    for name in ("tekkie, 2 processes", "straightforward, 2 processes"):
        for what, style in (("book", "-"), ("accept", "--")):
            line = [
                (int(row["how"].split()[0]), row["per_s"])
                for row in mine
                if (row["design"], row["what"]) == (name, what) and "connections" in row["how"]
            ]
            if line:
                axes[0].plot(*zip(*line, strict=True), style, marker="o", label=f"{name}: {what}")
    axes[0].set(xlabel="connections", ylabel="a second", ylim=(0, None))
    steps = [row for row in mine if "a second" in row["how"]]
    for figure in ("p50_ms", "p99_ms"):
        places = [row["per_s"] for row in steps], [row[figure] for row in steps]
        axes[1].plot(*places, marker="o", label=figure.removesuffix("_ms"))
    axes[1].set(xlabel="bookings a second, open loop", ylabel="ms", yscale="log")


def _draw_timers(axes: Any, result: Row) -> None:
    for one, name in zip(axes, ("at_once", "steady"), strict=True):
        curve = result[name]["curve"]
        one.plot([at for at, _ in curve], [left for _, left in curve])
        one.set(xlabel="s since the first was due", ylabel="timers not acted on", title=name)


def _draw_growth(axes: Any, result: Row) -> None:
    for one, (rows, key, words) in zip(
        axes,
        (
            (result["by_friends"], "friends", "friends"),
            (result["by_stored"], "stored", "stored bookings"),
        ),
        strict=True,
    ):
        sizes = [row[key] for row in rows]
        one.plot(sizes, [row["own_us"] for row in rows], marker="o", label="process")
        one.plot(sizes, [row["database_us"] for row in rows], marker="o", label="database")
        one.set(xscale="log", ylim=(0, None), xlabel=words, ylabel="CPU µs a booking")


report.SECTIONS |= {
    "dispatch": dispatch,
    "profile": profile,
    "timers": timers,
    "growth": growth,
    "live": live,
}

if __name__ == "__main__":
    for name in ("dispatch", "profile", "timers", "growth", "live"):
        if (report.RESULTS / f"{name}.json").exists():
            report.render(name)
