"""The hosts of a database URL, in the order in which to try them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

if TYPE_CHECKING:
    from typing import Self

PORT: Final = 5432
MOST_PORTS: Final = 65536
POOLER: Final = "pooler"
TRANSACTION: Final = "transaction"


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """One host of a URL; a folder is that of a Unix socket."""

    name: str
    port: int

    def __str__(self) -> str:
        return f"{self.name}:{self.port}"


@dataclass(slots=True, kw_only=True)
class Hosts:
    """A database URL and the hosts it names, the one that answered last first.

    A URL of one host is left to the driver as it is, and `hosts` is empty. `pooled`: the URL leads
    to a pooler that gives each transaction another session of the server.
    """

    url: str
    pooled: bool = False
    hosts: list[Host] = field(default_factory=list)

    @classmethod
    def of(cls, url: str) -> Self:
        """Read the hosts of a URL."""
        parts = urlsplit(url)
        query = dict(parse_qsl(parts.query))
        pooled = query.pop(POOLER, "") == TRANSACTION
        if pooled:
            url = parts._replace(query=urlencode(query)).geturl()
        stated = parts.netloc.rpartition("@")[2] or query.get("host", "")
        ports = query.get("port", "").split(",")
        names = stated.split(",")
        if len(names) == 1:
            return cls(url=url, pooled=pooled)
        if len(ports) == 1:
            ports *= len(names)
        return cls(
            url=url,
            pooled=pooled,
            hosts=[_host(name, port) for name, port in zip(names, ports, strict=False)],
        )

    def prefer(self, host: Host) -> None:
        """Try this host first from now on."""
        self.hosts.remove(host)
        self.hosts.insert(0, host)

    def defer(self, host: Host) -> None:
        """Try this host last from now on."""
        self.hosts.remove(host)
        self.hosts.append(host)


def check_hosts(url: str) -> None:
    """Raise ValueError, in plain words, when the hosts of a URL cannot be read."""
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ValueError(
            "has an invalid host; write an IPv6 address in brackets, as in "
            "postgresql://me@[::1]:5432/tekkie"
        ) from None
    query = dict(parse_qsl(parts.query))
    names = (parts.netloc.rpartition("@")[2] or query.get("host", "")).split(",")
    ports = query.get("port", "").split(",")
    try:
        hosts = [_host(name, port) for name in names for port in ports]
    except ValueError:
        raise ValueError(
            "has a port that is no number; in a password write / as %2F, @ as %40, : as %3A and "
            "# as %23"
        ) from None
    if not all(0 < host.port < MOST_PORTS for host in hosts):
        raise ValueError("must have ports from 1 to 65535, as in postgresql://me@host:5432/tekkie")
    if len(names) > 1 and not all(names):
        raise ValueError("has an empty host; name hosts like a.example:5432,b.example:5432")
    if len(ports) not in (1, len(names)):
        raise ValueError("must have one port, or one for each host")


def behind_pooler(url: str) -> str:
    """Return the URL marked as leading to a transaction pooler."""
    parts = urlsplit(url)
    return parts._replace(
        query="&".join(filter(None, [parts.query, f"{POOLER}={TRANSACTION}"]))
    ).geturl()


def is_pooled(url: str) -> bool:
    """Return whether the URL is marked as leading to a transaction pooler."""
    return Hosts.of(url).pooled


def _host(text: str, port: str) -> Host:
    text = unquote(text)
    if text.startswith("/"):
        return Host(name=text, port=int(port or PORT))
    name, _, stated = text.removeprefix("[").partition("]:" if text.startswith("[") else ":")
    return Host(name=name.removesuffix("]"), port=int(stated or port or PORT))


def mask_url(url: str) -> str:
    """Return the URL of a database without its password."""
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    name, colon, _ = user.partition(":")
    masked = f"{name}:**********{at}{host}" if colon else parts.netloc
    query = "**********" if "password=" in parts.query else parts.query
    return parts._replace(netloc=masked, query=query).geturl()
