"""Scenarios of what people write to and about each other, each text a word with known readers."""

import base64
import re
from collections.abc import Collection
from datetime import timedelta

from scheduler.account_mails import AccountMails
from scheduler.errands import Errands
from scheduler.providers import Providers
from scheduler.providers.sms_folder import SmsFolder
from tests.builders import SIGNATURE
from tests.pictures import SECRET, from_a_phone
from tests.proof.privacy.scenarios import Scenarios

# A message, a review and so on: nobody else writes these words.
FRIEND_SAID, CUSTOMER_SAID = "zqhammer", "zqviolin"
RATED, REVIEWED, REPLIED, REPORTED = "zqlantern", "zqpebble", "zqmarble", "zqtimber"
NUMBER = "790001739"
FILE_NAME, REASON, NOTE = "zqanchor", "zqsaddle", "zqthimble"
LINK = re.compile(r"https?://\S+/(?:join|join/guardian|login|account)#([\w.~-]+)")
SITTING = """
INSERT INTO sittings (id, friend_id, certificate, seed, pass_bp, extra_minutes, started_at, due_at)
VALUES (gen_random_uuid(), $1, $2, 1, 8000, 0, moment(), moment() + interval '1 hour') RETURNING id
"""
PRACTICAL = """
UPDATE sittings SET state = 'practical_due', ended_at = moment(), correct = 9 WHERE id = $1
"""


def allow(s: Scenarios, *words: str, readers: Collection[str] = ()) -> None:
    """Nobody but these readers may see these words from now on."""
    s.observer.words |= {word: set(readers) for word in words}


async def send_account_mails(s: Scenarios) -> str:
    """Send what is due; returns the token of the last link."""
    mails = AccountMails(s.observer.rt, s.observer, request_tick=lambda: None)
    await mails.tick()
    await mails.finish(10)
    return LINK.findall(s.observer.mails[-1].replace("=\n", ""))[-1]


async def read_all(s: Scenarios) -> None:
    """Send what is due, and read everything as every reader."""
    await s.deliver()
    await s.observer.read_everything(s.bookings[-1:], list(s.observer.kinds))
    for reader in list(s.observer.kinds):
        for path in ("/v1/account", "/v1/account/bookings", "/v1/account/export"):
            await s.observer.get(reader, path)
    await s.observer.scan_tables()


async def write_to_each_other(s: Scenarios) -> tuple[str, str]:
    """Two friends after each other have a job: the second sees nothing of the first thread."""
    post = s.observer.post
    customer, at = await s.book("shop")
    first = await s.win(at)
    allow(s, FRIEND_SAID, CUSTOMER_SAID, readers={first, customer, "desk"})
    await post(first, f"{at}/messages", {"text": f"May I come? {FRIEND_SAID}"})
    await post(customer, f"{at}/messages", {"text": f"At six. {CUSTOMER_SAID}"})
    await s.clock.advance(timedelta(minutes=5))
    await read_all(s)
    allow(s, FRIEND_SAID, readers={first, "desk"})
    allow(s, CUSTOMER_SAID, readers={customer, "desk"})
    assert (await post(first, f"{at}/hand-back", {"reason": "no_time"})).status_code == 200
    await s.win(at)
    await read_all(s)
    return customer, at


async def review_each_other(s: Scenarios, customer: str, at: str) -> None:
    """Neither sees the other's review before both are in, nor what was hidden after a report."""
    post, friend = s.observer.post, s.winner
    await post(friend, f"{at}/contacted")
    done = {"summary": "Done.", "minutes": 40, "signature": SIGNATURE}
    await s.clock.advance(timedelta(hours=3))
    assert (await post(friend, f"{at}/complete", done)).status_code == 200
    allow(s, REVIEWED, readers={friend})
    await post(friend, f"{at}/customer-review", {"stars": 2, "comment": REVIEWED})
    await read_all(s)
    allow(s, RATED, REVIEWED, REPLIED, readers={customer, friend, "desk"})
    rating = {"stars": 2, "comment": RATED}
    await post(customer, f"{at}/rating", rating, Idempotency_Key="words")
    await post(friend, f"{at}/reviews/reply", {"text": REPLIED})
    allow(s, REPORTED, readers={customer, "desk"})
    await post(customer, f"{at}/reviews/report", {"text": REPORTED})
    await read_all(s)
    hide = {"by_friend": True, "hide": "insult"}
    about = f"/v1/desk{at.removeprefix('/v1')}/review-decision"
    assert (await post("desk", about, hide)).status_code == 204
    allow(s, REVIEWED, readers={friend, "desk"})
    await s.observer.get(customer, f"{at}/reviews")
    # What was shown before stays in an export.
    allow(s, REVIEWED, readers={friend, customer, "desk"})
    await read_all(s)


async def apply_with_guardian(s: Scenarios) -> None:
    """A minor applies, with a guardian; the desk looks, and declines."""
    observer, call = s.observer, s.observer.call
    minor, guardian = observer.people["a1"], observer.people["g1"]
    observer.rights.family.update(a1={"a1", "g1"}, g1={"a1", "g1"}, desk={"a1", "g1"})
    who = {"name": minor.name, "email": minor.email, "language": "de", "market": "CH"}
    assert (await observer.post("nobody", "/v1/applications", who)).status_code == 202
    await observer.scan_tables()
    token = {"token": await send_account_mails(s)}
    made = await observer.post("nobody", "/v1/applications/link", token)
    assert made.status_code == 201, made.text
    observer.http.cookies.clear()
    await observer.add_reader("a1", "friend", made.json()["token"])
    whole = {
        "phone": minor.phone,
        "birth_date": "2009-05-14",
        "postcode": "8001",
        "city": "Zürich",
        "base": {"lat": minor.point.lat, "lon": minor.point.lon},
        "radius_m": 5000,
        "education": "university",
        "interests": ["wifi"],
        "skills": ["explaining"],
        "consents": ["terms", "privacy"],
        "guardian": {"name": guardian.name, "email": guardian.email, "phone": guardian.phone},
    }
    changed = await call("a1", "PATCH", "/v1/me/application", json=whole)
    assert changed.status_code == 200, changed.text
    sent = await observer.post("a1", "/v1/me/application/submit")
    assert sent.status_code == 200, sent.text
    observer.add_customer("g1", "")
    token = {"token": await send_account_mails(s)}
    observer.tokens.pop("g1")
    seen = await observer.post("g1", "/v1/guardianships/view", token)
    assert seen.status_code == 200, seen.text
    given = await observer.post("g1", "/v1/guardianships/confirm", token | {"of_age": True})
    assert given.status_code == 200, given.text
    [row] = (await observer.get("desk", "/v1/desk/applications")).json()["items"]
    about = f"/v1/desk/applications/{row['friend_id']}"
    for reader in list(observer.kinds):
        for path in ("/v1/me/application", "/v1/desk/applications", about):
            await observer.get(reader, path)
    allow(s, NOTE, readers={"desk"})
    declined = {"reasons": ["other"], "note": NOTE}
    await observer.post("desk", f"{about}/decline", declined)
    await read_all(s)


async def upload_and_sit(s: Scenarios, friend: str, customer: str) -> None:
    """A picture keeps nothing of its camera; the desk declines a practical check with a reason."""
    observer = s.observer
    allow(s, SECRET.decode())
    allow(s, FILE_NAME, readers={friend, customer, "desk"})
    content = base64.b64encode(from_a_phone()).decode()
    picture = {"kind": "photo", "name": f"{FILE_NAME}.jpg", "content": content}
    made = await observer.post(friend, "/v1/me/files", picture)
    assert made.status_code == 201, made.text
    for reader in list(observer.kinds):
        await observer.get(reader, f"/v1/files/{made.json()['id']}")
    certificate = await observer.owner.fetchval("SELECT certificate FROM exams LIMIT 1")
    if certificate is None:
        certificate = await observer.owner.fetchval(EXAM)
    sitting = await observer.owner.fetchval(SITTING, s.friends[friend], certificate)
    await observer.owner.execute(PRACTICAL, sitting)
    allow(s, REASON, readers={friend, "desk"})
    decided = {"confirmed": False, "reason": REASON}
    answer = await observer.post("desk", f"/v1/desk/practical-checks/{sitting}", decided)
    assert answer.status_code in (200, 204), answer.text
    for reader in list(observer.kinds):
        for path in ("/v1/me/exams", f"/v1/me/sittings/{sitting}", "/v1/desk/practical-checks"):
            await observer.get(reader, path)
    await read_all(s)


EXAM = """
INSERT INTO exams (certificate, minutes, pass_bp, attempts, cooldown_days, topics, names, active)
SELECT code, 20, 8000, 3, 7, '{}', '{}', false FROM certificates LIMIT 1 RETURNING certificate
"""


async def open_account(s: Scenarios, customer: str) -> None:
    """The customer signs in to the account, and so reads and exports all bookings."""
    observer = s.observer
    email = {"email": observer.people[customer].email, "kind": "account"}
    await observer.post("nobody", "/v1/login-links", email)
    token = {"token": await send_account_mails(s)}
    made = await observer.post(customer, "/v1/sessions", token)
    assert made.status_code == 201, made.text
    observer.http.cookies.clear()
    await observer.add_reader("account", "account", made.json()["token"], customer)
    await read_all(s)


async def confirm_number(s: Scenarios, friend: str) -> None:
    """A friend confirms another number by the code of an SMS."""
    observer = s.observer
    allow(s, NUMBER, readers={friend, "desk"})
    asked = await observer.post(friend, "/v1/me/phone", {"number": f"+41{NUMBER}"})
    assert asked.is_success, asked.text
    settings = observer.rt.settings
    sms = SmsFolder(settings.text_folder, settings.key())
    errands = Errands(observer.rt, Providers(sms=sms), request_tick=lambda: None)
    await errands.tick()
    await errands.finish(10)
    [text] = [one["text"] for one in sms.texts()]
    await observer.scan("sms", friend, "an SMS", text)
    for reader in list(observer.kinds):
        await observer.get(reader, "/v1/me/phone")
    await read_all(s)
