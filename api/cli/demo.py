"""`tekkie demo`."""

from __future__ import annotations

from typing import Annotated

import typer

from api.cli.clock import span_of
from api.cli.output import paper, say
from api.cli.session import settings_of

MOST_SPEED = 50_000


def demo(
    ctx: typer.Context,
    *,
    speed: Annotated[
        float,
        typer.Option("--speed", min=0.1, max=MOST_SPEED, help="720: twelve hours in a minute."),
    ] = 1.0,
    friends: Annotated[
        int, typer.Option("--friends", min=4, max=5_000, help="How many helpers there are.")
    ] = 300,
    seed: Annotated[int, typer.Option("--seed", help="Who they are and what they do.")] = 1,
    bookings_per_minute: Annotated[
        float,
        typer.Option("--bookings-per-minute", min=0, max=6_000, help="On your clock, by day."),
    ] = 12.0,
    last: Annotated[
        str | None, typer.Option("--for", help="How long on your clock: 30s, 5m. [default: ever]")
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget the demo before.")] = False,
) -> None:
    """Play a town: friends who live by themselves, and the API open to play with.

    Zurich and Berlin with a few hundred invented helpers on real places. Some accept quickly, some
    decline, some sleep, one in ten misses the deadline; all of them through the public API. It has
    a database of its own in the data folder, kept until the next time.
    """
    import logging

    from api.server.logging import configure_logging

    settings = settings_of(ctx)
    configure_logging(settings.log_format, level=logging.WARNING)
    from api.demo.play import Play, play
    from api.server.process import run_in_loop

    wish = Play(
        speed=speed,
        friends=friends,
        seed=seed,
        bookings_per_minute=bookings_per_minute,
        last=span_of(last) if last else None,
        fresh=fresh,
    )
    run_in_loop(play(settings, wish, paper=paper(), report=say))
