"""What callers asked and were answered, kept by themselves: the only witness besides the tables."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.proof.line import Reply


@dataclass(frozen=True, slots=True)
class Entry:
    """One wish, however often it was repeated until the answer was definite.

    `code` is 'ok', the name of a refusal, or None when nobody ever gave a definite answer.
    `subject` is an idempotency key for a booking, an offer's id for an accept or a decline, and a
    booking's id for all else.
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
class Ledger:
    """Everything that was asked."""

    entries: list[Entry] = field(default_factory=list)
    bad: list[str] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    unanswered: int = 0

    def seen(self, reply: Reply) -> None:
        """Count an answer; an error of ours is never in order."""
        self.statuses[reply.status] += 1
        if reply.status >= 500 and reply.status != 503:
            self.bad.append(f"answered {reply.status}: {reply.body[:200]!r}")
        if reply.status == 503 and "retry-after" not in reply.headers:
            self.bad.append(f"503 without Retry-After: {reply.body[:200]!r}")

    def of(self, *verbs: str, code: str | None = "ok") -> Iterator[Entry]:
        """The entries of these verbs that ended so."""
        return (one for one in self.entries if one.verb in verbs and one.code == code)

    def count(self, verb: str) -> int:
        """How many were acknowledged."""
        return sum(1 for _ in self.of(verb))
