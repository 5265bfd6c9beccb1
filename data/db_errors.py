"""The errors of the database, and their translation from the driver's.

DatabaseError                an error of the database, not of the request
├── DatabaseUnavailable      no answer, or the connection broke; the outcome may be unknown
│   ├── DatabaseReadOnly     a server that accepts only reads: a standby, or set so
│   └── SessionUnfit         a connection without tekkie's role or settings, as by a pooler
├── DatabaseBusy             no free connection, or a statement took too long
├── DatabaseConflict         deadlock, lock timeout or serialization; a retry may succeed
├── ConstraintViolation      the schema refused a row; a retry never succeeds
├── DatabaseFull             no disk or memory left on the server
├── ServerUnfit              a server that does not meet tekkie's requirements (check_server)
└── SchemaError              (data.migrate) too old, too new, or migration files that disagree
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import asyncpg

if TYPE_CHECKING:
    from collections.abc import Iterator


class DatabaseError(Exception):
    """An error of the database, not of the request; the message may be shown to users."""


class DatabaseUnavailable(DatabaseError):
    """The server does not answer or the connection broke; a commit may have happened or not."""


class DatabaseReadOnly(DatabaseUnavailable):
    """The server accepts only reads: a standby, or a server that is set so."""


class SessionUnfit(DatabaseUnavailable):
    """A connection does not have tekkie's role or settings; the message names the cure."""


class DatabaseBusy(DatabaseError):
    """No connection became free, or a statement exceeded its time limit."""


class DatabaseConflict(DatabaseError):
    """Rolled back because of a concurrent transaction; a retry may succeed."""


@dataclass
class ConstraintViolation(DatabaseError):
    """A constraint of the schema was violated; nothing was written."""

    constraint: str

    def __str__(self) -> str:
        return f"The database refused it: {self.constraint}."


class DatabaseFull(DatabaseError):
    """The server has no disk, memory or connection slots left; nothing was written."""


@dataclass
class ServerUnfit(DatabaseError):
    """A server that does not meet tekkie's requirements: one sentence with its cure per problem."""

    problems: list[str]

    def __str__(self) -> str:
        return "\n".join(["This PostgreSQL server cannot be used:", *self.problems])


READ_ONLY_CURE: Final = (
    "it is a standby, or default_transaction_read_only is on. Name the primary in "
    "TEKKIE_DATABASE_URL, or end what keeps it read-only"
)
CONNECTION_ERRORS: Final = (
    OSError,
    asyncpg.PostgresConnectionError,
    # All of class 57 but a cancelled query, which is translated first.
    asyncpg.OperatorInterventionError,
    asyncpg.InternalClientError,
)
# The server has ended the session, or will refuse every write in it.
SESSION_ERRORS: Final = (
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.TransactionTimeoutError,
    *CONNECTION_ERRORS,
)

# asyncpg's exceptions -> this module's exception and its message; the first match counts.
TRANSLATIONS: Final[
    tuple[tuple[tuple[type[BaseException], ...], type[DatabaseError], str], ...]
] = (
    ((TimeoutError,), DatabaseBusy, "The database did not answer in time; try again."),
    (
        (asyncpg.QueryCanceledError,),
        DatabaseBusy,
        "A statement took longer than its time limit; try again.",
    ),
    (
        (
            asyncpg.SerializationError,
            asyncpg.DeadlockDetectedError,
            asyncpg.LockNotAvailableError,
            # A migration changed a table: cached plans are discarded and made anew.
            asyncpg.InvalidCachedStatementError,
            asyncpg.OutdatedSchemaCacheError,
        ),
        DatabaseConflict,
        "Another transaction was in the way; try again.",
    ),
    (
        (asyncpg.InsufficientResourcesError,),
        DatabaseFull,
        "The database server is full ({cause}); nothing was written.",
    ),
    (
        (
            asyncpg.InvalidAuthorizationSpecificationError,
            asyncpg.InvalidCatalogNameError,
            asyncpg.ClientConfigurationError,
        ),
        DatabaseUnavailable,
        "The database refuses TEKKIE_DATABASE_URL: {cause}",
    ),
    (
        (asyncpg.ReadOnlySQLTransactionError,),
        DatabaseReadOnly,
        f"The database accepts only reads: {READ_ONLY_CURE}.",
    ),
    (SESSION_ERRORS, DatabaseUnavailable, "The database does not answer: {cause}"),
)


@contextmanager
def translate_errors() -> Iterator[None]:
    """Raise this module's errors in place of asyncpg's errors of server and connection."""
    try:
        yield
    except asyncpg.IntegrityConstraintViolationError as error:
        raise ConstraintViolation(str(error.constraint_name)) from error
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, *CONNECTION_ERRORS) as error:
        for kinds, ours, text in TRANSLATIONS:
            if isinstance(error, kinds):
                raise ours(text.format(cause=describe_cause(error))) from error
        if isinstance(error, asyncpg.InterfaceError) and "closed" in str(error):
            raise DatabaseUnavailable("The connection to the database broke; try again.") from error
        raise


@contextmanager
def translate_role_errors(role: str | None) -> Iterator[None]:
    """Raise DatabaseUnavailable when the server does not permit the role."""
    try:
        yield
    except (asyncpg.InvalidParameterValueError, asyncpg.InsufficientPrivilegeError) as error:
        raise DatabaseUnavailable(
            f"The database does not permit the role {role} ({describe_cause(error)}): "
            "run `tekkie migrate`."
        ) from error


def describe_cause(error: BaseException) -> str:
    """Return the text of an error, or its name when it has none."""
    return str(error).strip() or type(error).__name__
