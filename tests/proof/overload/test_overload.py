"""A short slice of `python -m tests.proof.overload`, and what its figures are made of."""

import pytest

from tests.proof.overload.generator import Answer
from tests.proof.overload.run import Extent, _normal_s, run, shed


@pytest.mark.timeout(180)
@pytest.mark.xdist_group("proof")
async def test_who_is_too_many_is_told_when_to_come_again_and_deadlines_ring_on():
    story = await run(
        Extent(
            friends=40,
            warm_s=0.3,
            capacity_s=0.7,
            calm_s=0.5,
            over_s=2.5,
            after_s=0.5,
            deadlines=4,
            callers=32,
            times=5.0,
        )
    )
    assert story.wrong == []
    # How many is too many depends on the machine; tests/api/test_load_shedding.py has a clock.
    assert all(one.says_when for one in shed(story.over))


def answer(due_s: float, took_s: float = 0.01, status: int = 201) -> Answer:
    return Answer(0, due_s, due_s, due_s + took_s, status, status == 503)


CALM = [answer(n / 10) for n in range(10)]
OVER = [answer(1 + n / 10) for n in range(11)]


@pytest.mark.parametrize(
    ("after", "normal_s"),
    [
        ([answer(2.05 + n / 10) for n in range(30)], 0.0),
        ([answer(2.05 + n / 10, status=503 if n < 7 else 201) for n in range(30)], 0.7),
        ([answer(2.05 + n / 10, took_s=0.5 if n == 9 else 0.01) for n in range(30)], 1.0),
        ([answer(2.05 + n / 10, status=503 if n == 29 else 201) for n in range(30)], None),
    ],
)
def test_normal_is_what_lasts(after, normal_s):
    assert _normal_s(CALM, OVER, after) == normal_s
