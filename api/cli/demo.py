"""`tekkie demo`."""

from __future__ import annotations

from typing import Annotated

import typer

from api.cli.clock import parse_span
from api.cli.output import print_message, stdout_console
from api.cli.session import load_settings

SPEED_MAX = 50_000


def demo(
    ctx: typer.Context,
    *,
    speed: Annotated[
        float,
        typer.Option("--speed", min=0.1, max=SPEED_MAX, help="720: twelve hours in a minute."),
    ] = 1.0,
    friends: Annotated[
        int, typer.Option("--friends", min=4, max=5_000, help="The number of helpers.")
    ] = 300,
    seed: Annotated[
        int, typer.Option("--seed", help="The seed of the helpers and of their behaviour.")
    ] = 1,
    bookings_per_minute: Annotated[
        float,
        typer.Option(
            "--bookings-per-minute", min=0, max=6_000, help="Per minute of your time, by day."
        ),
    ] = 12.0,
    last: Annotated[
        str | None,
        typer.Option("--for", help="How long in your time: 30s, 5m. [default: until Ctrl-C]"),
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Delete the previous demo.")] = False,
) -> None:
    """Simulate a town with automatic friends, and open the API for trying it out.

    Zurich and Berlin with a few hundred invented helpers at real places. Some accept quickly, some
    decline, some sleep, one in ten misses the deadline; all use the public API. The demo has its
    own database in the data folder, kept until the next run.
    """
    import logging

    from api.server.logging import configure_logging

    settings = load_settings(ctx)
    configure_logging(settings.log_format, level=logging.WARNING)
    from api.demo.run import DemoOptions, run_demo
    from api.server.process import run_in_loop

    options = DemoOptions(
        speed=speed,
        friends=friends,
        seed=seed,
        bookings_per_minute=bookings_per_minute,
        last=parse_span(last) if last else None,
        fresh=fresh,
    )
    run_in_loop(run_demo(settings, options, console=stdout_console(), report=print_message))
