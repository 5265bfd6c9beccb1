"""A short slice of `python -m tests.proof.overload`, and how recovery is measured."""

import pytest

from tests.proof.overload.generator import Answer
from tests.proof.overload.run import Extent, _recovery_s, run, shed


@pytest.mark.timeout(180)
@pytest.mark.xdist_group("proof")
async def test_load_is_shed_with_retry_after_and_deadlines_fire_meanwhile():
    result = await run(
        Extent(
            friends=40,
            warm_s=0.3,
            capacity_s=0.7,
            calm_s=0.5,
            over_s=2.5,
            after_s=0.5,
            deadlines=4,
            clients=32,
            times=5.0,
        )
    )
    assert result.violations == []
    # How much is too much depends on the machine; tests/api/test_load_shedding.py has a clock.
    assert all(one.has_retry_after for one in shed(result.over))


def answer(due_s: float, took_s: float = 0.01, status: int = 201) -> Answer:
    return Answer(0, due_s, due_s, due_s + took_s, status, status == 503)


CALM = [answer(n / 10) for n in range(10)]
OVER = [answer(1 + n / 10) for n in range(11)]


@pytest.mark.parametrize(
    ("after", "recovered_s"),
    [
        ([answer(2.05 + n / 10) for n in range(30)], 0.0),
        ([answer(2.05 + n / 10, status=503 if n < 7 else 201) for n in range(30)], 0.7),
        ([answer(2.05 + n / 10, took_s=0.5 if n == 9 else 0.01) for n in range(30)], 1.0),
        ([answer(2.05 + n / 10, status=503 if n == 29 else 201) for n in range(30)], None),
    ],
)
def test_recovery_lasts(after, recovered_s):
    assert _recovery_s(CALM, OVER, after) == recovered_s
