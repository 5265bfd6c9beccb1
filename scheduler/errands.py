"""Errands and notices: calls to providers, made outside any transaction, whose answers decide.

An errand is claimed for a lease, called, and its answer handed to the flow of its kind. A process
that dies in between loses nothing: after the lease the call is made again under the same key. A
notice leads to a reading of the present state. A provider that hangs occupies a slot for some
seconds, and nothing else waits for it: deadlines, mails and pushes have ticks of their own.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

from data.db import ConstraintViolation, DatabaseError
from data.enums import ErrandState
from data.records.errands import Heard
from data.store.errands import ClaimedNotice
from data.store.outbox import DeliveryOutcome, MessageState
from dispatch.flows import answers
from dispatch.flows.answers import Claimed
from dispatch.rules import errands as rules
from dispatch.rules.people.phone_codes import TEXT
from dispatch.rules.trust.mailed_secrets import phone_code
from dispatch.runtime import Runtime
from scheduler.deliveries import LEASE_S, C, Deliveries
from scheduler.providers import Answered, Providers
from scheduler.providers.sms_text import write_text
from scheduler.senders import GiveUp, Obsolete, Result, Retry

log = logging.getLogger(__name__)

CALL_TIMEOUT_S: Final = 20.0
MINUTE_S: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome(DeliveryOutcome):
    """The result of a call; with a `refusal` the provider refused for good."""

    claim: Claimed | ClaimedNotice
    answer: Mapping[str, Any] | None = None
    refusal: str | None = None


class _Calls(Deliveries[C]):
    """What errands and notices share: the pauses of the policy, spread by chance."""

    has_end = False

    def __init__(
        self,
        rt: Runtime,
        providers: Providers,
        *,
        request_tick: Callable[[], None],
        timeout_s: float = CALL_TIMEOUT_S,
    ) -> None:
        super().__init__(request_tick=request_tick, send_timeout_s=timeout_s)
        self._rt = rt
        self._providers = providers
        self.back_off_s = rules.pauses_s(rt.policy)

    def _pause_s(self, claimed: C, result: Retry) -> float:
        return rules.spread(super()._pause_s(claimed, result), self._rt.chance.random())

    def _outcome(self, claimed: C, result: Result) -> DeliveryOutcome:
        plain = super()._outcome(claimed, result)
        common = {one.name: getattr(plain, one.name) for one in fields(DeliveryOutcome)}
        answer = result.answer if isinstance(result, Answered) else None
        refusal = result.problem if isinstance(result, Answered) else None
        return Outcome(**common, claim=claimed, answer=answer, refusal=refusal)  # type: ignore[arg-type]


class Errands(_Calls[Claimed]):
    """Makes the calls that flows have queued."""

    what = "errand"

    async def _exchange(self, outcomes: Sequence[DeliveryOutcome], free: int) -> list[Claimed]:
        waiting = [one for one in outcomes if one.state is MessageState.PENDING]
        for one in outcomes:
            if isinstance(one, Outcome) and one.state is not MessageState.PENDING:
                await _hear(answers.hear(self._rt, one.id, _heard(one)), one)
        if waiting:
            await answers.postpone(self._rt, waiting)
        return await answers.claim(self._rt, free, lease_s=LEASE_S)

    async def _send(self, claimed: Claimed) -> Result:
        to, sender = claimed.to, self._providers.sms
        if to is None:
            return Obsolete()
        if sender is None:
            return GiveUp("no SMS provider is configured; set TEKKIE_SMS_PROVIDER")
        facts = {
            "code": phone_code(self._rt.settings.key(), claimed.id),
            "minutes": int(self._rt.policy.phone_code_life.total_seconds()) // MINUTE_S,
        }
        return await sender.send(claimed.id, to.number, write_text(to.language, TEXT, facts))


class Notices(_Calls[ClaimedNotice]):
    """Reads the present state of what a provider's event was about."""

    what = "notice"

    async def _exchange(
        self, outcomes: Sequence[DeliveryOutcome], free: int
    ) -> list[ClaimedNotice]:
        waiting = [one for one in outcomes if one.state is MessageState.PENDING]
        for one in outcomes:
            if isinstance(one, Outcome) and one.state is not MessageState.PENDING:
                await _hear(self._settle_one(one), one)
        if waiting:
            await answers.postpone_notices(self._rt, waiting)
        return await answers.claim_notices(self._rt, free, lease_s=LEASE_S)

    async def _send(self, claimed: ClaimedNotice) -> Result:
        provider = self._providers.named(claimed.provider)
        if provider is None:
            return GiveUp(f"no provider {claimed.provider} is configured")
        return await provider.read(claimed.reference)

    async def _settle_one(self, outcome: Outcome) -> None:
        assert isinstance(outcome.claim, ClaimedNotice)
        if outcome.answer is None or outcome.refusal is not None:
            problem = outcome.problem or outcome.refusal or "it is of no more use"
            await answers.give_up_notice(self._rt, outcome.id, problem)
        elif not await answers.hear_notice(self._rt, outcome.claim, outcome.answer):
            # The answer to the errand may not be marked yet, or it is not ours.
            again = self._outcome(outcome.claim, Retry("no errand has this reference"))
            if again.state is MessageState.PENDING:
                await answers.postpone_notices(self._rt, [again])
            else:
                await answers.give_up_notice(self._rt, outcome.id, str(again.problem))


async def _hear(hearing: Awaitable[object], outcome: DeliveryOutcome) -> None:
    """Await a flow; one that fails leaves its errand claimed, to be made again after the lease."""
    try:
        await hearing
    except Exception as error:
        if isinstance(error, DatabaseError) and not isinstance(error, ConstraintViolation):
            raise
        log.exception("the answer to %s could not be decided on", outcome.id)


def _heard(outcome: Outcome) -> Heard:
    if outcome.state is MessageState.PARKED:
        return Heard(state=ErrandState.PARKED, problem=outcome.problem)
    if outcome.answer is None:
        return Heard(state=ErrandState.REFUSED, problem="it came too late to be of use")
    if outcome.refusal is not None:
        return Heard(state=ErrandState.REFUSED, answer=outcome.answer, problem=outcome.refusal)
    return Heard(state=ErrandState.DONE, answer=outcome.answer)
