"""How long everybody waited, and when: the answers of a crowd by the time they fell into."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.proof import page
from tests.proof.chaos.ledger import Ledger
from tests.proof.line import Reply


@dataclass(frozen=True, slots=True)
class Waited:
    """The requests that were waiting at any moment of a stretch of time."""

    what: str
    lasted_s: float
    requests: int
    busy: int
    p50_s: float
    p99_s: float
    longest_s: float


@dataclass
class Pace(Ledger):
    """A ledger that keeps when every single request was asked and answered."""

    replies: list[tuple[float, float, int]] = field(default_factory=list)

    def seen(self, reply: Reply) -> None:
        """Count an answer and keep its times."""
        super().seen(reply)
        self.replies.append((reply.began_s, reply.ended_s, reply.status))

    def between(self, what: str, from_s: float, until_s: float) -> Waited:
        """The requests that overlap this stretch; `busy` counts those that were told to wait."""
        mine = [one for one in self.replies if one[0] < until_s and one[1] > from_s]
        took_s: Sequence[float] = [ended_s - began_s for began_s, ended_s, _ in mine]
        return Waited(
            what=what,
            lasted_s=until_s - from_s,
            requests=len(mine),
            busy=sum(1 for one in mine if one[2] in (429, 503)),
            p50_s=page.percentile(took_s, 0.5),
            p99_s=page.percentile(took_s, 0.99),
            longest_s=max(took_s, default=0.0),
        )
