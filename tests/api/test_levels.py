"""A friend's level and earnings through HTTP."""

import csv
from datetime import timedelta
from io import StringIO

from tests.api.test_visits import schedule_job

HELD = {"level": 3, "held": True, "reason": "Proved it at the training."}


async def test_friend_and_desk_see_the_same_working_and_community_sets_a_level(api, problem):
    friend, desk = await api.friend("f1"), await api.operator()
    at = f"/v1/desk/friends/{api.friends['f1']}/level"
    own = (await friend.get("/v1/me/level")).json()
    assert own == (await desk.get(at)).json()
    assert (own["level"], own["highest"], own["held"], own["jobs"]) == (1, 3, False, 0)
    assert sum(one["weight"] for one in own["parts"]) == 1000
    assert sum(one["points"] for one in own["parts"]) == own["points"]
    assert (own["rises_at"], own["falls_below"], own["moves"]) == (650, None, [])
    done = await desk.put(at, HELD)
    assert done.status_code == 200, done.text
    seen = (await friend.get("/v1/me/level")).json()
    assert (seen["level"], seen["held"], seen["rises_at"], seen["falls_below"]) == (
        3,
        True,
        None,
        650,
    )
    assert [(m["before"], m["after"], m["by_rule"]) for m in seen["moves"]] == [(1, 3, False)]
    for wrong in ({"level": 0}, {"level": 4}, {"level": "2"}, {"reason": " "}, {"held": None}):
        refused = problem(await desk.put(at, HELD | wrong), 422, "validation-failed")
        assert refused["errors"][0]["field"] == next(iter(wrong))
        assert refused["errors"][0]["cure"]


async def test_a_month_of_earnings_is_summed_in_local_time_and_downloaded(api, clock, problem):
    at, winner, customer = await schedule_job(api, clock, ahead=timedelta(hours=3))
    assert (await winner.get("/v1/me/earnings/months")).json()["months"] == []
    await customer.post(f"{at}/cancel", {"fee_minor_max": 1725})
    found = (await winner.get("/v1/me/earnings/months")).json()
    (month,) = found["months"]
    share = {"amount": 1380, "currency": "CHF"}
    assert month["by_cause"] == [{"cause": "late_cancel", "amount": share}]
    assert (month["total"], month["open"], month["jobs"], month["hourly"]) == (
        share,
        share,
        0,
        None,
    )
    file = await winner.get("/v1/me/earnings.csv", month=month["month"])
    assert file.headers["content-type"].startswith("text/csv")
    assert "attachment" in file.headers["content-disposition"]
    (row,) = csv.DictReader(StringIO(file.text.removeprefix("\ufeff")))
    assert (row["cause"], row["pay"], row["currency"]) == ("late_cancel", "13.80", "CHF")
    other = await api.friend("f2")
    empty = (await other.get("/v1/me/earnings.csv", month=month["month"])).text
    assert len(empty.splitlines()) == 1
    for wrong in ("2026-13", "2026", "1999-01", "2026-01' OR 1=1"):
        problem(await winner.get("/v1/me/earnings.csv", month=wrong), 422, "validation-failed")
