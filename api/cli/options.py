"""Every setting as an option, before or after the command.

The help texts are repeated here, although `data.settings` has them: importing that would cost help
a quarter of a second. A test compares the two.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, Final

import typer
from typer.core import TyperGroup

FLAGS: Final = frozenset({"test_clock"})
SETTINGS: Final = {
    "host": "Address to listen on.",
    "port": "Port to listen on.",
    "data_dir": "Folder for the bundled database, the secret key and mails that were not sent.",
    "database_url": "postgresql://… of a server of your own, 15 or newer; without it the bundled "
    "PostgreSQL runs in the data folder.",
    "database_pooler": "Set to transaction when the database URL leads to a pooler, like "
    "PgBouncer, that gives each transaction another connection.",
    "public_url": "Address under which people reach tekkie, used in mailed links; "
    "by default http://host:port.",
    "secret_key": "Key that signs sessions and links, at least 32 characters, the same on every "
    "machine; by default made once and kept in the data folder.",
    "anonymous_bookings": "Whether a customer who books without a partner must confirm the mail "
    "address before friends are asked; `trust` is for trials and closed networks.",
    "sms_provider": "Who sends SMS; `folder` writes each to a file in the data folder, for trials.",
    "sms_url": "Address of the SMS provider.",
    "sms_token": "API token of the SMS provider.",
    "sms_sender": "Sender of every SMS: 11 letters and digits at most, or a number.",
    "sms_secret": "Secret with which the SMS provider signs its events.",
    "smtp_host": "Mail server; without it mails are written to a file in the data folder.",
    "smtp_port": "Port of the mail server.",
    "smtp_user": "User at the mail server.",
    "smtp_password": "Password at the mail server.",
    "smtp_tls": "Encryption towards the mail server.",
    "mail_from": "Sender of every mail.",
    "push_key": "VAPID key that signs push messages: 32 bytes in base64url, the same on every "
    "machine and for ever; by default made once and kept in the data folder.",
    "push_hosts": "Push services also allowed, by host and separated by spaces, beside those of "
    "Google, Apple, Microsoft and Mozilla.",
    "geocoder": "Service that turns an address into a point.",
    "geocoder_url": "Address of the Photon or Nominatim server; needed unless offline.",
    "routing": "Service that finds what friends reach in some minutes.",
    "routing_url": "Address of the OSRM or Valhalla server; needed unless straight.",
    "geocoder_user_agent": "User agent sent to the geocoder; required by Nominatim's usage policy.",
    "map_style_url": "Style of a MapLibre map for the pages; without it they use a built-in map.",
    "pool_size": "Most database connections of one process.",
    "ops_port": "Port for /metrics, /docs and /openapi.json alone; without it they "
    "are served with everything else.",
    "ops_host": "Address to listen on with TEKKIE_OPS_PORT.",
    "proxies": "Addresses or networks of your own proxies, separated by spaces: what "
    "they say of the caller (X-Forwarded-For) is believed, and they may open any number of "
    "connections.",
    "connections_max": "Most open connections of one process; fewer where the limit "
    "of open files is lower.",
    "connections_per_peer": "Most open connections of one address (IPv6: of one "
    "network of 64 bits) to one process, proxies excepted.",
    "headers_s": "Seconds in which the headers of a request must arrive.",
    "body_s": "Seconds in which a body must arrive, and one more for each 16 KB of it.",
    "write_s": "Seconds after which the connection of a client that takes less than "
    "16 KB a second of its answer is closed.",
    "idle_s": "Seconds for which a connection is kept between two requests; longer "
    "than your proxy keeps it.",
    "drain_s": "Seconds for which a process still serves after SIGTERM while /readyz "
    "is 503; longer than your proxy takes to notice.",
    "files_folder": "Folder for uploaded pictures, shared by all machines; without it they are "
    "kept in the database.",
    "log_format": "How log lines are written.",
    "test_clock": "Allow `tekkie clock` to move the time; never in production.",
}
METAVARS: Final = {
    "drain_s": "NUMBER",
    "idle_s": "NUMBER",
    "write_s": "NUMBER",
    "body_s": "NUMBER",
    "headers_s": "NUMBER",
    "connections_per_peer": "NUMBER",
    "connections_max": "NUMBER",
    "ops_port": "PORT",
    "port": "PORT",
    "data_dir": "FOLDER",
    "files_folder": "FOLDER",
    "database_url": "URL",
    "database_pooler": "none|transaction",
    "public_url": "URL",
    "geocoder_url": "URL",
    "routing_url": "URL",
    "sms_provider": "none|gatewayapi|folder",
    "sms_url": "URL",
    "smtp_port": "PORT",
    "smtp_tls": "none|starttls|tls",
    "geocoder": "offline|photon|nominatim",
    "routing": "straight|osrm|valhalla",
    "log_format": "text|json",
    "pool_size": "NUMBER",
}


def option_name(setting: str) -> str:
    """The option of a setting."""
    return f"--{setting.replace('_', '-')}"


VALUE_OPTIONS: Final = frozenset(option_name(name) for name in SETTINGS if name not in FLAGS)
FLAG_OPTIONS: Final = frozenset({*map(option_name, FLAGS), "--debug"})


def move_settings_first(arguments: Sequence[str]) -> list[str]:
    """The same arguments with all settings before the command."""
    front: list[str] = []
    rest: list[str] = []
    remaining = iter(arguments)
    for one in remaining:
        if one == "--":
            rest += [one, *remaining]
        elif one in VALUE_OPTIONS:
            front += [one, *([value] if (value := next(remaining, None)) is not None else [])]
        elif one in FLAG_OPTIONS or one.partition("=")[0] in VALUE_OPTIONS:
            front.append(one)
        else:
            rest.append(one)
    return front + rest


class RootGroup(TyperGroup):
    """The root command: accepts settings anywhere, and reports failures."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Move the settings before the command."""
        return super().parse_args(ctx, move_settings_first(args))

    def invoke(self, ctx: Any) -> object:
        """Run the given command."""
        from api.cli.exit_codes import report_errors

        with report_errors(debug=bool(ctx.params.get("debug"))):
            return super().invoke(ctx)


def with_settings(callback: Callable[..., None]) -> Callable[..., None]:
    """Give a callback that takes `**settings` one optional option per setting."""
    own = [
        one
        for one in inspect.signature(callback, eval_str=True).parameters.values()
        if one.kind is not inspect.Parameter.VAR_KEYWORD
    ]
    settings = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            annotation=bool | None if name in FLAGS else str | None,
            default=typer.Option(
                None,
                option_name(name),
                help=text,
                metavar=None if name in FLAGS else METAVARS.get(name, "TEXT"),
                hidden=True,
                show_default=False,
            ),
        )
        for name, text in SETTINGS.items()
    ]
    callback.__signature__ = inspect.Signature([*own, *settings])  # type: ignore[attr-defined]
    return callback
