"""Records how long clients waited, by time of the request."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.proof import page
from tests.proof.chaos.history import History
from tests.proof.connection import Reply


@dataclass(frozen=True, slots=True)
class WaitSummary:
    """The requests in flight during an interval."""

    what: str
    lasted_s: float
    requests: int
    busy: int
    p50_s: float
    p99_s: float
    longest_s: float


@dataclass
class TimedHistory(History):
    """A history that also keeps the start and end of every single request."""

    replies: list[tuple[float, float, int]] = field(default_factory=list)

    def record(self, reply: Reply) -> None:
        """Count an answer and keep its times."""
        super().record(reply)
        self.replies.append((reply.began_s, reply.ended_s, reply.status))

    def between(self, what: str, from_s: float, until_s: float) -> WaitSummary:
        """The requests that overlap an interval; `busy` counts those that were shed."""
        mine = [one for one in self.replies if one[0] < until_s and one[1] > from_s]
        took_s: Sequence[float] = [ended_s - began_s for began_s, ended_s, _ in mine]
        return WaitSummary(
            what=what,
            lasted_s=until_s - from_s,
            requests=len(mine),
            busy=sum(1 for one in mine if one[2] in (429, 503)),
            p50_s=page.percentile(took_s, 0.5),
            p99_s=page.percentile(took_s, 0.99),
            longest_s=max(took_s, default=0.0),
        )
