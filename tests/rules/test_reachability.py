"""The obstacles of a friend, and the push endpoints that are allowed."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime

import pytest

from data.enums import FriendState
from data.markets import Market
from data.records.people import Plan, QuietHours
from dispatch.rules.people.push_endpoints import EndpointRefused, check_push_endpoint
from dispatch.rules.people.reachability import Obstacle, obstacles


@dataclass(frozen=True, kw_only=True)
class Status:
    now: datetime = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
    state: FriendState = FriendState.ACTIVE
    market: Market = Market.CH
    quiet: QuietHours | None = None
    plan: Plan | None = None
    open_jobs: int = 0
    capacity: int = 1
    placed: bool = True
    certified: bool = True


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({}, ()),
        ({"state": FriendState.PAUSED}, (Obstacle.PAUSED,)),
        ({"state": FriendState.SUSPENDED}, (Obstacle.SUSPENDED,)),
        ({"state": FriendState.APPLICANT}, (Obstacle.APPLICANT,)),
        ({"quiet": QuietHours(from_minute=600, until_minute=660)}, (Obstacle.QUIET_HOURS,)),
        ({"quiet": QuietHours(from_minute=660, until_minute=600)}, ()),
        ({"plan": Plan(week=((601, 660),))}, (Obstacle.OUTSIDE_PLAN,)),
        ({"plan": Plan(week=((600, 601),))}, ()),
        ({"open_jobs": 1}, (Obstacle.AT_CAPACITY,)),
        ({"placed": False}, (Obstacle.NO_BASE,)),
        ({"certified": False}, (Obstacle.NO_CERTIFICATE,)),
    ],
)
def test_each_obstacle_is_reported(change, found):
    friend = replace(Status(), **change)
    assert obstacles(friend, phones=1) == found
    assert obstacles(friend, phones=0) == (Obstacle.NO_PHONE, *found)


GOOD = [
    "https://fcm.googleapis.com/fcm/send/abc:def",
    "https://fcm.googleapis.com:443/wp/abc",
    "https://web.push.apple.com/QAbc",
    "https://api.push.apple.com/3/device/x",
    "https://wns2-par02p.notify.windows.com/w/?token=BQYA",
    "https://updates.push.services.mozilla.com/wpush/v2/gAAA",
    "https://autopush.push.services.mozilla.com/wpush/v2/gAAA",
]


@pytest.mark.parametrize("endpoint", GOOD)
def test_the_services_of_the_makers_are_known(endpoint):
    check_push_endpoint(endpoint)


BAD = [
    "http://fcm.googleapis.com/fcm/send/x",
    "https://fcm.googleapis.com:8443/x",
    "https://fcm.googleapis.com.evil.example/x",
    "https://evilfcm.googleapis.com/x",
    "https://googleapis.com/x",
    "https://push.apple.com/x",
    "https://evilpush.apple.com/x",
    "https://fcm.googleapis.com@127.0.0.1/x",
    "https://user:pass@fcm.googleapis.com/x",
    "https://fcm.googleapis.com\\@127.0.0.1/x",
    "https://127.0.0.1\\.push.apple.com/x",
    "https://fcm.googleapis.com#@127.0.0.1/x",
    "https://127.0.0.1/x?.push.apple.com",
    "https://127.0.0.1#.push.apple.com",
    "https://fcm.googleapis.com./x",
    "https://fcm。googleapis。com/x",
    "https://ｆcm.googleapis.com/x",
    "https://fcm.googleapis.com%00.evil.example/x",
    "https://fcm.googleapis.com/x\r\nX-Evil: 1",
    "https://fcm.googleapis.com /x",
    "\thttps://fcm.googleapis.com/x",
    "https://127.0.0.1/x",
    "https://127.1/x",
    "https://2130706433/x",
    "https://0x7f000001/x",
    "https://0177.0.0.1/x",
    "https://0.0.0.0/x",
    "https://10.0.0.1/x",
    "https://169.254.169.254/latest/meta-data",
    "https://[::1]/x",
    "https://[::ffff:127.0.0.1]/x",
    "https://[fd00::1]/x",
    "https://localhost/x",
    "https://metadata.google.internal/x",
    "https://[/x",
    "https://fcm.googleapis.com:99999/x",
    "file:///etc/passwd",
    "gopher://fcm.googleapis.com/x",
    "//fcm.googleapis.com/x",
    "fcm.googleapis.com/x",
    "https:///x",
]


@pytest.mark.parametrize("endpoint", BAD)
def test_no_other_endpoint_is_allowed(endpoint):
    with pytest.raises(EndpointRefused):
        check_push_endpoint(endpoint)
    with pytest.raises(EndpointRefused):
        check_push_endpoint(endpoint, ["push.tekkie.example", "*.tekkie.example", "10.0.0.1"])


def test_hosts_of_the_settings_are_allowed_too_and_this_machine_only_by_number():
    check_push_endpoint("https://push.tekkie.example/x", ["push.tekkie.example"])
    check_push_endpoint("http://127.0.0.1:8080/x", ["127.0.0.1"])
    for endpoint in ("http://push.tekkie.example/x", "http://127.0.0.2/x", "http://localhost/x"):
        with pytest.raises(EndpointRefused):
            check_push_endpoint(endpoint, ["push.tekkie.example", "127.0.0.1", "localhost"])
