"""`tekkie doctor` and `tekkie settings`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from api.cli.exit_codes import REFUSED
from api.cli.output import (
    AsJson,
    print_json,
    print_message,
    print_table,
    status_spinner,
    stdout_console,
)
from api.cli.session import load_settings, run

if TYPE_CHECKING:
    from api.cli.doctor_checks import Finding

COLOURS = {"ok": "green", "warning": "yellow", "failed": "bold red"}


def doctor(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Check the machine, the settings, the database, the index, the timers and the messages.

    Changes nothing. Exit code 1 when something failed.
    """
    from api.cli.doctor_checks import run_checks

    settings = load_settings(ctx)
    with status_spinner("checking …") as report:
        findings = run(run_checks(settings, report))
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
    from api.cli.options import SETTINGS, option_name

    effective = load_settings(ctx).effective()
    if as_json:
        print_json(effective)
        return
    print_table(
        ["option", "value", "meaning"],
        ((option_name(name), effective[name], text) for name, text in SETTINGS.items()),
        none="",
    )


def _print(findings: list[Finding]) -> None:
    from rich.markup import escape

    for one in findings:
        colour = COLOURS[one.state]
        stdout_console().print(
            f"[{colour}]{one.state:<8}[/] [bold]{escape(one.what):<14}[/] {escape(one.found)}"
        )
        if one.cure:
            stdout_console().print(f"{'':<24}[{colour}]→[/] {escape(one.cure)}")
    bad = sum(one.state != "ok" for one in findings)
    print_message(
        "All checks passed." if not bad else f"{bad} of {len(findings)} checks need attention."
    )
