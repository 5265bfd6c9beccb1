"""`tekkie doctor`: looks at everything and says what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from api.cli.exit_codes import REFUSED
from api.cli.output import AsJson, paper, print_json, print_table, reporting, say
from api.cli.session import run, settings_of

if TYPE_CHECKING:
    from api.cli.doctor_checks import Finding

COLOURS = {"ok": "green", "warning": "yellow", "failed": "bold red"}


def doctor(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Check the machine, the settings, the database, the index, the timers and the messages.

    Changes nothing. Exit code 1 when something failed.
    """
    from api.cli.doctor_checks import examine

    settings = settings_of(ctx)
    with reporting("looking …") as report:
        findings = run(examine(settings, report))
    failed = any(one.state == "failed" for one in findings)
    if as_json:
        print_json({"ok": not failed, "settings": settings.effective(), "findings": findings})
    else:
        _print(findings)
    if failed:
        raise typer.Exit(REFUSED)


def settings(ctx: typer.Context, as_json: AsJson = False) -> None:
    """List every setting with its value in force; secrets are masked.

    Each can be given as an option or as a variable: --data-dir is TEKKIE_DATA_DIR.
    """
    from api.cli.options import SETTINGS, word

    effective = settings_of(ctx).effective()
    if as_json:
        print_json(effective)
        return
    print_table(
        ["option", "value", "meaning"],
        ((word(name), effective[name], text) for name, text in SETTINGS.items()),
        none="",
    )


def _print(findings: list[Finding]) -> None:
    from rich.markup import escape

    for one in findings:
        colour = COLOURS[one.state]
        paper().print(
            f"[{colour}]{one.state:<8}[/] [bold]{escape(one.what):<14}[/] {escape(one.found)}"
        )
        if one.cure:
            paper().print(f"{'':<24}[{colour}]→[/] {escape(one.cure)}")
    bad = sum(one.state != "ok" for one in findings)
    say("All is well." if not bad else f"{bad} of {len(findings)} need a look.")
