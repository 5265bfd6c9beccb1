"""How availability is measured, and what the monitor keeps."""

from collections import Counter

import pytest

from tests.proof.chaos.history import History
from tests.proof.chaos.monitor import Availability, Monitor


def sampled(text: str) -> Availability:
    """One sample a second from 0 on: + available, - not."""
    availability = Availability()
    for at_s, sign in enumerate(text):
        availability.add(float(at_s), sign == "+")
    return availability


@pytest.mark.parametrize(
    ("samples", "due_s", "fired_s", "available_s"),
    [
        ("++++++++", 3.5, 5.0, 1.5),
        ("++----++", 3.5, 5.0, 0.0),
        ("++----++", 3.5, 7.0, 2.0),
        ("++----++", 1.5, 1.75, 0.25),
        ("++----++", 0.5, 7.0, 3.5),
        ("+---+---+", 0.0, 8.0, 4.0),
        ("------", 2.5, 4.0, 0.0),
        ("++", 7.0, 9.0, 2.0),
        ("--", 7.0, 9.0, 2.0),
    ],
)
def test_a_deadline_is_late_for_as_long_as_the_service_was_available(
    samples, due_s, fired_s, available_s
):
    assert sampled(samples).available_s(due_s, fired_s) == available_s


def test_the_share_is_that_of_the_sampled_time():
    assert sampled("++++-").share() == 0.75
    assert sampled("+").share() == 1.0


def test_equal_samples_are_not_kept():
    assert len(sampled("+" * 1000 + "-" * 1000).available) == 4


async def test_the_monitor_keeps_an_answer_and_notices_a_change():
    rows = [{"key": "k", "id": "b"}]

    class Owner:
        async def fetch(self, query):
            return list(rows)

        async def __aenter__(self):
            return self

        async def __aexit__(self, *_):
            pass

    class Database:
        def owner(self):
            return Owner()

    monitor = Monitor(Database(), History(), Counter(), list)
    await monitor.read_keys()
    rows.clear()
    await monitor.read_keys()
    assert monitor.keys == {"k": "b"}
    assert not monitor.violations
    rows.append({"key": "k", "id": "another"})
    await monitor.read_keys()
    assert list(monitor.violations) == ["the answer to k has changed"]
