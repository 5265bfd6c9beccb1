"""Quotas of bookings without a partner, and the proof of work asked of the suspicious."""

import altcha
import pytest

from tests.api.conftest import BOOKING, ApiHarness
from tests.api.test_confirmation import code_of, confirm, customer


@pytest.fixture
def strict(api: ApiHarness) -> ApiHarness:
    """The API as installed."""
    api.rt.settings = api.rt.settings.model_copy(update={"anonymous_bookings": "confirm"})
    return api


async def post(api: ApiHarness, proof: str | None = None, **changes):
    headers = {"Proof-Of-Work": proof} if proof else {}
    return await api.client().send("POST", "/v1/bookings", json=BOOKING | changes, headers=headers)


def solve(refusal) -> str:
    """The proof of work that a refusal asks for."""
    made = altcha.Challenge.from_dict(refusal.json()["challenge"])
    return altcha.Payload(made, altcha.solve_challenge(made)).to_base64()


async def test_after_the_first_bookings_each_needs_a_proof_of_work_once(strict, problem):
    for _ in range(strict.rt.policy.proof_after_bookings):
        assert (await post(strict)).status_code == 201
    refusal = await post(strict)
    problem(refusal, 428, "proof-required")
    proof = solve(refusal)
    assert (await post(strict, proof)).status_code == 201
    problem(await post(strict, proof), 428, "proof-required")
    problem(await post(strict, "nonsense"), 428, "proof-required")


async def test_a_partner_is_asked_for_nothing(strict, owner):
    partner = await strict.partner()
    for _ in range(strict.rt.policy.bookings_per_email + 1):
        assert (await partner.post("/v1/bookings", BOOKING)).status_code == 201
    assert await owner.fetchval("SELECT count(*) FROM quotas") == 0


async def test_a_mail_address_gets_no_more_letters_than_its_quota(strict, owner, problem, clock):
    policy = strict.rt.policy
    answers = []
    for number in range(policy.bookings_per_email + 2):
        changes = customer(phone=f"044 000 17 {number + 10}")
        answer = await post(strict, **changes)
        if answer.status_code == 428:
            answer = await post(strict, solve(answer), **changes)
        answers.append(answer.status_code)
    assert answers == [201] * policy.bookings_per_email + [429, 429]
    sent = await owner.fetchval("SELECT count(*) FROM messages")
    assert sent == answers.count(201)
    problem(await post(strict), 429, "too-many-bookings")
    await clock.advance(policy.bookings_within)
    assert (await post(strict)).status_code == 201


async def test_a_place_is_counted_only_once_a_booking_rings(strict, owner):
    booking = await strict.book()
    kinds = "SELECT kind FROM quotas ORDER BY kind"
    assert [row["kind"] for row in await owner.fetch(kinds)] == ["email", "phone"]
    await owner.execute("INSERT INTO quotas SELECT 'place', 'x', moment(), 0")
    await confirm(strict, booking, code_of(strict, booking))
    used = await owner.fetch("SELECT used FROM quotas WHERE kind = 'place' AND key <> 'x'")
    assert [row["used"] for row in used] == [1]


async def test_a_place_that_is_full_rings_no_more_and_the_desk_still_can(strict, owner, problem):
    booking = await strict.book()
    first = await confirm(strict, booking, code_of(strict, booking))
    assert first.json()["state"] == "open"
    most = strict.rt.policy.bookings_per_place
    await owner.execute("UPDATE quotas SET used = $1 WHERE kind = 'place'", most)
    other = await strict.book(**customer(email="b@example.com", phone="044 000 17 50"))
    problem(await confirm(strict, other, code_of(strict, other)), 429, "too-many-bookings")
    assert await owner.fetchval("SELECT count(*) FROM offers") == 4
    desk = await strict.operator()
    again = await desk.post(f"/v1/bookings/{other['id']}/redispatch")
    assert again.json()["state"] == "open"
