"""The settings, read once from TEKKIE_… variables and command-line options of the same names."""

from __future__ import annotations

import base64
import difflib
import os
import re
from collections.abc import Iterator, Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Final, Literal, get_args
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from data.hosts import check_hosts, mask_url
from data.secret_files import SECRET_BYTES, load_secret
from data.setting_errors import PREFIX, SettingsInvalid, explain

FILE: Final = "_FILE"
# Read by the build and the tests, and no settings.
OTHER_NAMES: Final = frozenset(
    {
        "TEKKIE_WEB",
        "TEKKIE_TEST_DATABASE_URL",
        "TEKKIE_TEST_EXAMPLES",
        "TEKKIE_PROOF",
        "TEKKIE_PROOF_STEPS",
        "TEKKIE_PROOF_SITTINGS",
        "TEKKIE_PROOF_SEED",
    }
)
PUSH_KEY_FILE: Final = "push-key"
DEFAULT_FOLDER: Final = "tekkie"
PUSH_HOST: Final = re.compile(r"(\*\.)?[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+|[0-9a-f:]*:[0-9a-f:]*")


def default_data_dir() -> Path:
    """Return the user's data folder, or ./var without a usable home folder."""
    stated = os.environ.get("XDG_DATA_HOME", "")
    if Path(stated).is_absolute():
        return Path(stated) / DEFAULT_FOLDER
    home = os.environ.get("HOME", "")
    if Path(home).is_absolute() and os.access(home, os.W_OK | os.X_OK):
        return Path(home) / ".local" / "share" / DEFAULT_FOLDER
    return Path.cwd() / "var"


class Settings(BaseSettings):
    """All settings; the variable of a field is TEKKIE_ and its name in capitals."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        frozen=True,
        extra="forbid",
        env_ignore_empty=True,
        hide_input_in_errors=True,
    )

    host: str = Field("127.0.0.1", min_length=1, description="Address to listen on.")
    port: int = Field(8000, ge=1, le=65535, description="Port to listen on.")
    data_dir: Path = Field(
        default_factory=default_data_dir,
        description="Folder for the bundled database, the secret key and mails that were not sent.",
    )
    database_url: SecretStr | None = Field(
        None,
        description="postgresql://… of a server of your own, 15 or newer; without it the bundled "
        "PostgreSQL runs in the data folder.",
    )
    database_pooler: Literal["none", "transaction"] = Field(
        "none",
        description="Set to transaction when the database URL leads to a pooler, like PgBouncer, "
        "that gives each transaction another connection.",
    )
    public_url: str | None = Field(
        None,
        description="Address under which people reach tekkie, used in mailed links; "
        "by default http://host:port.",
    )
    secret_key: SecretStr | None = Field(
        None,
        description="Key that signs sessions and links, at least 32 characters, the same on every "
        "machine; by default made once and kept in the data folder.",
    )
    smtp_host: str | None = Field(
        None, description="Mail server; without it mails are written to a file in the data folder."
    )
    smtp_port: int = Field(25, ge=1, le=65535, description="Port of the mail server.")
    smtp_user: str | None = Field(None, description="User at the mail server.")
    smtp_password: SecretStr | None = Field(None, description="Password at the mail server.")
    smtp_tls: Literal["none", "starttls", "tls"] = Field(
        "none", description="Encryption towards the mail server."
    )
    mail_from: str = Field(
        "tekkie <no-reply@localhost>", min_length=3, description="Sender of every mail."
    )
    sms_provider: Literal["none", "gatewayapi", "folder"] = Field(
        "none",
        description="Who sends SMS; `folder` writes each to a file in the data folder, for trials.",
    )
    sms_url: str = Field("https://gatewayapi.com", description="Address of the SMS provider.")
    sms_token: SecretStr | None = Field(None, description="API token of the SMS provider.")
    sms_sender: str = Field(
        "tekkie",
        pattern=r"^([A-Za-z0-9 ]{1,11}|[0-9]{1,15})$",
        description="Sender of every SMS: 11 letters and digits at most, or a number.",
    )
    sms_secret: SecretStr | None = Field(
        None, description="Secret with which the SMS provider signs its events."
    )
    anonymous_bookings: Literal["confirm", "trust"] = Field(
        "confirm",
        description="Whether a customer who books without a partner must confirm the mail address "
        "before friends are asked; `trust` is for trials and closed networks.",
    )
    push_key: SecretStr | None = Field(
        None,
        description="VAPID key that signs push messages: 32 bytes in base64url, the same on every "
        "machine and for ever; by default made once and kept in the data folder.",
    )
    push_hosts: str = Field(
        "",
        description="Push services also allowed, by host and separated by spaces, beside those of "
        "Google, Apple, Microsoft and Mozilla.",
    )
    geocoder: Literal["offline", "photon", "nominatim"] = Field(
        "offline", description="Service that turns an address into a point."
    )
    geocoder_url: str | None = Field(
        None, description="Address of the Photon or Nominatim server; needed unless offline."
    )
    geocoder_user_agent: str | None = Field(
        None, description="User agent sent to the geocoder; required by Nominatim's usage policy."
    )
    routing: Literal["straight", "osrm", "valhalla"] = Field(
        "straight", description="Service that finds what friends reach in some minutes."
    )
    routing_url: str | None = Field(
        None, description="Address of the OSRM or Valhalla server; needed unless straight."
    )
    map_style_url: str | None = Field(
        None,
        description="Style of a MapLibre map for the pages; without it they use a built-in map.",
    )
    pool_size: int = Field(
        10, ge=2, le=200, description="Most database connections of one process."
    )
    ops_port: int | None = Field(
        None,
        ge=1,
        le=65535,
        description="Port for /metrics, /docs and /openapi.json alone; without it they are served "
        "with everything else.",
    )
    ops_host: str = Field(
        "127.0.0.1", min_length=1, description="Address to listen on with TEKKIE_OPS_PORT."
    )
    proxies: str = Field(
        "127.0.0.1 ::1",
        description="Addresses or networks of your own proxies, separated by spaces: what they say "
        "of the caller (X-Forwarded-For) is believed, and they may open any number of connections.",
    )
    connections_max: int = Field(
        20_000,
        ge=16,
        description="Most open connections of one process; fewer where the limit of open files is "
        "lower.",
    )
    connections_per_peer: int = Field(
        200,
        ge=1,
        description="Most open connections of one address (IPv6: of one network of 64 bits) to one "
        "process, proxies excepted.",
    )
    headers_s: int = Field(
        10, ge=1, le=600, description="Seconds in which the headers of a request must arrive."
    )
    body_s: int = Field(
        10,
        ge=1,
        le=600,
        description="Seconds in which a body must arrive, and one more for each 16 KB of it.",
    )
    write_s: int = Field(
        20,
        ge=1,
        le=600,
        description="Seconds after which the connection of a client that takes less than 16 KB a "
        "second of its answer is closed.",
    )
    idle_s: int = Field(
        65,
        ge=1,
        le=3600,
        description="Seconds for which a connection is kept between two requests; longer than your "
        "proxy keeps it.",
    )
    drain_s: float = Field(
        0,
        ge=0,
        le=600,
        description="Seconds for which a process still serves after SIGTERM while /readyz is 503; "
        "longer than your proxy takes to notice.",
    )
    files_folder: Path | None = Field(
        None,
        description="Folder for uploaded pictures, shared by all machines; without it they are "
        "kept in the database.",
    )
    log_format: Literal["text", "json"] = Field("text", description="How log lines are written.")
    test_clock: bool = Field(
        False, description="Allow `tekkie clock` to move the time; never in production."
    )

    @field_validator("database_url")
    @classmethod
    def _database_url(cls, url: SecretStr | None) -> SecretStr | None:
        if url is None:
            return None
        if not url.get_secret_value().startswith(("postgresql://", "postgres://")):
            raise ValueError(
                "must begin with postgresql://, as in postgresql://me@host:5432/tekkie"
            )
        check_hosts(url.get_secret_value())
        parts = urlsplit(url.get_secret_value())
        if not parts.path.strip("/") and "dbname=" not in parts.query:
            raise ValueError("must name a database, as in postgresql://me@host:5432/tekkie")
        return url

    @field_validator("public_url", "geocoder_url", "routing_url", "sms_url")
    @classmethod
    def _web_address(cls, url: str | None) -> str | None:
        if url is None:
            return None
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("must begin with https:// or http://, as in https://tekkie.example")
        if parts.query or parts.fragment:
            raise ValueError("must end before any ? or #")
        return url.rstrip("/")

    @field_validator("map_style_url")
    @classmethod
    def _map_style(cls, url: str | None) -> str | None:
        parts = urlsplit(url or "https://none")
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError(
                "must begin with https:// or http://, as in https://maps.example/style"
            )
        if not re.fullmatch(r"[\w.:\[\]-]+", parts.netloc):
            raise ValueError("must name a host without user and password")
        return url

    @field_validator("secret_key")
    @classmethod
    def _secret_key(cls, key: SecretStr | None) -> SecretStr | None:
        if key is not None and len(key.get_secret_value()) < SECRET_BYTES:
            raise ValueError(f"must have at least {SECRET_BYTES} characters")
        return key

    @field_validator("push_key")
    @classmethod
    def _push_key(cls, key: SecretStr | None) -> SecretStr | None:
        if key is not None and len(_decode_base64url(key.get_secret_value())) != SECRET_BYTES:
            raise ValueError(f"must be {SECRET_BYTES} bytes in base64url: 43 letters and digits")
        return key

    @field_validator("push_hosts")
    @classmethod
    def _push_hosts(cls, hosts: str) -> str:
        if any(not PUSH_HOST.fullmatch(host) for host in hosts.split()):
            raise ValueError("must be hosts like push.example.org or *.push.example.org")
        return hosts.lower()

    @field_validator("proxies")
    @classmethod
    def _proxies(cls, networks: str) -> str:
        for one in networks.split():
            try:
                ip_network(one, strict=False)
            except ValueError:
                raise ValueError(
                    "must be addresses or networks like 10.0.0.7 or 10.0.0.0/24"
                ) from None
        return networks

    @field_validator("data_dir", "files_folder")
    @classmethod
    def _folder(cls, folder: Path | None) -> Path | None:
        if folder is None:
            return None
        if "\0" in str(folder) or "\n" in str(folder):
            raise ValueError("must be a path without control characters")
        return folder.expanduser().absolute()

    @model_validator(mode="after")
    def _routing(self) -> Settings:
        if (self.routing != "straight") is not (self.routing_url is not None):
            raise ValueError(f"{PREFIX}ROUTING and {PREFIX}ROUTING_URL are given together")
        return self

    @model_validator(mode="after")
    def _geocoder(self) -> Settings:
        if self.geocoder != "offline" and self.geocoder_url is None:
            raise ValueError(
                f"{PREFIX}GEOCODER_URL is needed with {PREFIX}GEOCODER={self.geocoder}"
            )
        if self.geocoder == "nominatim" and self.geocoder_user_agent is None:
            raise ValueError(
                f"{PREFIX}GEOCODER_USER_AGENT is needed with {PREFIX}GEOCODER=nominatim: "
                "name your service and a contact address, as its usage policy requires"
            )
        return self

    @model_validator(mode="after")
    def _sms(self) -> Settings:
        if self.sms_provider == "gatewayapi" and self.sms_token is None:
            raise ValueError(
                f"{PREFIX}SMS_TOKEN is needed with {PREFIX}SMS_PROVIDER={self.sms_provider}"
            )
        return self

    @model_validator(mode="after")
    def _ops_port(self) -> Settings:
        if self.ops_port == self.port:
            raise ValueError(f"{PREFIX}OPS_PORT must not be {PREFIX}PORT")
        return self

    @property
    def is_https(self) -> bool:
        """Whether people reach tekkie by HTTPS."""
        return self.base_url.startswith("https://")

    @property
    def base_url(self) -> str:
        """The address in mailed links, without a trailing slash."""
        if self.public_url is not None:
            return self.public_url
        host = "127.0.0.1" if self.host in {"0.0.0.0", "::"} else self.host  # noqa: S104
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    def key(self) -> bytes:
        """Return the key that signs sessions and links; it is created on first use."""
        if self.secret_key is not None:
            return self.secret_key.get_secret_value().encode()
        return load_secret(self.data_dir / "secret")

    @property
    def mail_folder(self) -> Path:
        """The folder of mails when there is no mail server."""
        return self.data_dir / "mails"

    @property
    def text_folder(self) -> Path:
        """The folder of SMS that are written to files."""
        return self.data_dir / "texts"

    def push_secret(self) -> bytes:
        """Return the VAPID key; it is created on first use."""
        if self.push_key is not None:
            return _decode_base64url(self.push_key.get_secret_value())
        return load_secret(self.data_dir / PUSH_KEY_FILE)

    @property
    def push_services(self) -> frozenset[str]:
        """The hosts of `push_hosts`."""
        return frozenset(self.push_hosts.split())

    def effective(self) -> dict[str, Any]:
        """Return all settings in effect, secrets masked."""
        values = self.model_dump(mode="json")
        if self.database_url is not None:
            values["database_url"] = mask_url(self.database_url.get_secret_value())
        return values | {"public_url": self.base_url}


def load(**overrides: Any) -> Settings:
    """Return the settings from `overrides`, then the environment, then the files of secrets.

    Raises SettingsInvalid with a line for every name that is unknown and every invalid value.
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    problems = list(_unknown_names())
    given |= _secrets_in_files(given, problems)
    loaded = None
    try:
        loaded = Settings(**given)
    except ValidationError as error:
        problems += [
            f"{_variable_name(one['loc'])}{explain(one, Settings.model_fields)}"
            for one in error.errors()
        ]
    if loaded is None or problems:
        raise SettingsInvalid("\n".join(problems)) from None
    return loaded


def secret_names() -> list[str]:
    """Return the names of the settings that are secrets."""
    fields = Settings.model_fields.items()
    return [name for name, field in fields if SecretStr in get_args(field.annotation)]


def _unknown_names() -> Iterator[str]:
    files = (f"{name}{FILE}" for name in secret_names())
    known = [name.upper() for name in (*Settings.model_fields, *files)]
    for variable in sorted(map(str.upper, os.environ)):
        name = variable.removeprefix(PREFIX)
        if name == variable or name in known or variable in OTHER_NAMES:
            continue
        likely = difflib.get_close_matches(name, known, n=1)
        cure = f"did you mean {PREFIX}{likely[0]}?" if likely else "remove it."
        yield f"{variable}: there is no such setting; {cure}"


def _secrets_in_files(given: Mapping[str, Any], problems: list[str]) -> dict[str, str]:
    """Return the secrets named by TEKKIE_…_FILE that are not in `given`; appends to `problems`."""
    found = {}
    for name in secret_names():
        variable = f"{_variable(name)}{FILE}"
        file = os.environ.get(variable)
        if not file or name in given:
            continue
        if os.environ.get(_variable(name)):
            problems.append(f"{variable}: {_variable(name)} is set too; remove one of them")
            continue
        try:
            found[name] = _read_secret(Path(file))
        except ValueError as error:
            problems.append(f"{variable}: {file} {error}")
    return found


def _read_secret(file: Path) -> str:
    try:
        text = file.read_text("utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        raise ValueError("is not text; write the value into it as you would set it") from None
    except OSError as error:
        raise ValueError(
            f"cannot be read ({error.strerror}); name a file that tekkie's user may read"
        ) from None
    if not text:
        raise ValueError("is empty; write the value into it")
    return text


def _variable(name: str) -> str:
    return f"{PREFIX}{name.upper()}"


def _variable_name(where: tuple[int | str, ...]) -> str:
    return f"{_variable(str(where[0]))}: " if where else ""


def _decode_base64url(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except ValueError:
        return b""
