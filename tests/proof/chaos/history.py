"""What clients requested and were answered, recorded by themselves beside the tables."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.proof.connection import Reply


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation, however often it was retried until the answer was definite.

    `code` is 'ok', the code of a problem, or None when there was no definite answer.
    `subject` is an idempotency key for a booking, an offer's id for an accept or a decline, and a
    booking's id otherwise.
    """

    verb: str
    who: str
    subject: str
    invoked_s: float
    returned_s: float
    code: str | None
    body: bytes = b""
    tries: int = 1


@dataclass
class History:
    """Every operation of a run; `errors` are answers that no server may give."""

    operations: list[Operation] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    unanswered: int = 0

    def record(self, reply: Reply) -> None:
        """Count an answer; a 5xx other than 503 is an error."""
        self.statuses[reply.status] += 1
        if reply.status >= 500 and reply.status != 503:
            self.errors.append(f"answered {reply.status}: {reply.body[:200]!r}")
        if reply.status == 503 and "retry-after" not in reply.headers:
            self.errors.append(f"503 without Retry-After: {reply.body[:200]!r}")

    def of(self, *verbs: str, code: str | None = "ok") -> Iterator[Operation]:
        """The operations with these verbs and this code."""
        return (one for one in self.operations if one.verb in verbs and one.code == code)

    def count(self, verb: str) -> int:
        """How many operations with this verb were acknowledged."""
        return sum(1 for _ in self.of(verb))
