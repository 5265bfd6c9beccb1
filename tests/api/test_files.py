"""Uploaded pictures: kept anew, served to who may see them, and gone when they are to go."""

import base64
from datetime import timedelta
from io import BytesIO
from uuid import UUID

import pytest
from PIL import Image

from data.enums import FileKind, OperatorRole
from data.records.ids import FileId, PersonId
from dispatch.flows.group_commit import Overloaded
from dispatch.flows.people import files, rights
from scheduler.retention import Retention
from tests.pictures import SCRIPT, from_a_phone, noise, picture, png_header

MINE = "/v1/me/files"


def body(content=None, name="me.png", **more):
    content = picture() if content is None else content
    return {"name": name, "content": base64.b64encode(content).decode(), **more}


async def upload(friend, kind="photo", content=None, **more):
    answer = await friend.post(MINE, body(content, kind=kind, **more))
    assert answer.status_code == 201, answer.text
    return answer.json()


@pytest.fixture(params=["database", "folder"])
def place(api, request, tmp_path):
    """Where contents are kept."""
    folder = tmp_path / "pictures" if request.param == "folder" else None
    api.rt.settings = api.rt.settings.model_copy(update={"files_folder": folder})
    return folder


async def contents(owner, place):
    if place is None:
        return await owner.fetchval("SELECT count(*) FROM file_contents")
    return len(list(place.glob("*/*")))


async def test_a_photo_is_kept_anew_replaced_and_removed(api, owner, place, problem):
    friend = await api.friend("f1")
    first = await upload(friend, content=from_a_phone(), name="../Ruth\u202e.png")
    assert (first["kind"], first["name"]) == ("photo", "Ruth.jpg")
    shown = await friend.get(f"/v1/files/{first['id']}")
    assert shown.status_code == 200
    assert len(shown.content) == first["bytes"]
    assert Image.open(BytesIO(shown.content)).size == (200, 200)
    second = await upload(friend, content=noise() + SCRIPT)
    listed = (await friend.get(MINE)).json()
    assert [one["id"] for one in listed["items"]] == [second["id"]]
    problem(await friend.get(f"/v1/files/{first['id']}"), 404, "not-found")
    assert await contents(owner, place) == 1
    assert (await friend.delete(f"/v1/files/{second['id']}")).status_code == 204
    assert await contents(owner, place) == 0
    problem(await friend.delete(f"/v1/files/{second['id']}"), 404, "not-found")


async def test_a_picture_is_served_as_nothing_but_a_picture(api):
    friend = await api.friend("f1")
    photo = await upload(friend, name='"x"\r\nSet-Cookie: a=b.html')
    evidence = await upload(friend, "evidence")
    shown = await friend.get(f"/v1/files/{photo['id']}")
    assert shown.headers["content-type"] == "image/jpeg"
    assert shown.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in shown.headers["content-security-policy"]
    assert shown.headers["content-disposition"].startswith("inline; filename*=UTF-8''")
    assert "set-cookie" not in shown.headers
    assert shown.headers["cache-control"] == "private, max-age=300"
    hidden = await friend.get(f"/v1/files/{evidence['id']}")
    assert hidden.headers["cache-control"] == "no-store"


async def test_the_customer_sees_the_photo_of_their_friend_and_of_nobody_else(api, problem):
    friend = await api.friend("f1")
    mine, others = await upload(friend), await upload(await api.friend("f2"))
    waiting = await api.book()
    customer = api.client(waiting["token"])
    problem(await customer.get(f"/v1/files/{mine['id']}"), 404, "not-found")
    booking, _ = await api.win("f1")
    customer = api.client(booking["token"])
    assert (await customer.get(f"/v1/files/{mine['id']}")).status_code == 200
    problem(await customer.get(f"/v1/files/{others['id']}"), 404, "not-found")
    at = f"/v1/bookings/{booking['id']}"
    assert (await friend.post(f"{at}/hand-back", {"reason": "other"})).status_code == 200
    problem(await customer.get(f"/v1/files/{mine['id']}"), 404, "not-found")


async def test_pictures_of_a_job_are_for_its_friend_and_its_customer(api, problem):
    booking, _ = await api.win("f1")
    friend, customer = await api.friend("f1"), api.client(booking["token"])
    at = f"/v1/bookings/{booking['id']}/files"
    made = await friend.post(at, body(name="router.jpg"))
    assert made.status_code == 201, made.text
    for caller in (friend, customer, await api.operator()):
        listed = (await caller.get(at)).json()["items"]
        assert [one["id"] for one in listed] == [made.json()["id"]]
        assert (await caller.get(f"/v1/files/{made.json()['id']}")).status_code == 200
    other = await api.friend("f2")
    problem(await other.get(f"/v1/files/{made.json()['id']}"), 404, "not-found")
    for _ in range(api.rt.policy.results_per_job - 1):
        assert (await friend.post(at, body())).status_code == 201
    problem(await friend.post(at, body()), 409, "too-many-files")


async def test_evidence_is_seen_by_who_decides_about_people_and_then_gone(
    api, owner, place, problem
):
    friend, person = await api.friend("f1"), api.friends["f1"]
    desk = await api.operator(OperatorRole.COMMUNITY)
    viewer = await api.operator(OperatorRole.VIEWER)
    evidence = await upload(friend, "evidence", name="Pass.jpg")
    await upload(friend, "evidence")
    at = f"/v1/desk/people/{person}"
    assert len((await viewer.get(f"{at}/files")).json()["items"]) == 2
    problem(await viewer.get(f"/v1/files/{evidence['id']}"), 404, "not-found")
    assert (await desk.get(f"/v1/files/{evidence['id']}")).status_code == 200
    looked = "SELECT data ->> 'kind' FROM audit WHERE act = 'file.opened' AND subject = $1"
    assert await owner.fetch(looked, str(person)) == [("evidence",)]
    over = {"document": "passport", "valid_until": "2020-01-01"}
    refused = problem(await desk.post(f"{at}/identity", over), 422, "evidence-over")
    assert refused["errors"][0]["field"] == "valid_until"
    seen = {"document": "passport", "valid_until": "2031-05-14"}
    assert (await desk.post(f"{at}/identity", seen)).status_code == 204
    assert await contents(owner, place) == 0
    noted = (await friend.get(MINE)).json()
    assert noted["items"] == []
    assert noted["identity"].items() >= seen.items()
    journal = (await desk.get(f"{at}/journal")).json()["items"][0]
    assert (journal["kind"], journal["data"]["document"]) == ("identity.seen", "passport")
    problem(await desk.post(f"{at}/identity", seen), 404, "not-found")


async def test_evidence_that_nobody_looks_at_goes_after_the_time_of_the_policy(
    api, owner, clock, place
):
    await upload(await api.friend("f1"), "evidence")
    await upload(await api.friend("f1"))
    kept = api.rt.policy.evidence_kept
    await clock.advance(kept - timedelta(minutes=1))
    await Retention(api.rt).tick()
    assert await contents(owner, place) == 2
    await clock.advance(timedelta(minutes=1))
    await Retention(api.rt).tick()
    assert await contents(owner, place) == 1


async def test_an_erased_person_leaves_no_picture(api, owner, place):
    booking, _ = await api.win("f1")
    friend, desk = await api.friend("f1"), await api.operator()
    at = f"/v1/bookings/{booking['id']}"
    await upload(friend)
    await upload(friend, "evidence")
    assert (await friend.post(f"{at}/files", body())).status_code == 201
    whole = (await desk.post("/v1/desk/people/export", {"person": "f1"})).json()["items"][0]
    kinds = {one["kind"]: one.get("content") for one in whole["files"]}
    assert kinds.keys() == {"photo", "evidence", "result"}
    assert base64.b64decode(kinds["photo"]).startswith(b"\xff\xd8")
    assert kinds["result"] is None
    customers = (await desk.post("/v1/desk/people/export", {"person": booking["id"]})).json()
    assert [one["kind"] for one in customers["items"][0]["files"]] == ["result"]
    assert (await friend.post(f"{at}/hand-back", {"reason": "other"})).status_code == 200
    assert await contents(owner, place) == 3
    assert (await desk.post("/v1/desk/people/erase", {"person": "f1"})).status_code == 200
    assert await contents(owner, place) == 0
    assert await owner.fetchval("SELECT count(*) FROM files") == 0


async def test_pictures_of_a_home_go_with_its_customer(api, owner, place):
    booking, _ = await api.win("f1")
    at = f"/v1/bookings/{booking['id']}"
    assert (await (await api.friend("f1")).post(f"{at}/files", body())).status_code == 201
    fee = {"reason": "changed_mind", "fee_minor_max": 6900}
    assert (await api.client(booking["token"]).post(f"{at}/cancel", fee)).status_code == 200
    erased = await (await api.operator()).post("/v1/desk/people/erase", {"person": booking["id"]})
    assert erased.status_code == 200, erased.text
    assert await contents(owner, place) == 0


async def test_uploads_are_counted_with_those_that_are_refused(api, clock, problem):
    friend = await api.friend("f1")
    api.rt.policy = api.rt.policy.__class__(uploads_per_day=2)
    problem(await friend.post(MINE, body(b"x", kind="photo")), 422, "validation-failed")
    await upload(friend)
    problem(await friend.post(MINE, body(kind="photo")), 409, "too-many-files")
    await upload(await api.friend("f2"))
    await clock.advance(timedelta(hours=24))
    await upload(friend)


async def test_bad_uploads_name_the_field_and_the_cure(api, problem):
    friend = await api.friend("f1")
    bad = [
        body(b"", kind="photo"),
        body(b"%PDF-1.7", kind="evidence"),
        body(png_header(60_000, 60_000), kind="photo"),
        {"kind": "photo", "name": "a", "content": "no base64!"},
        {"kind": "photo", "name": "a", "content": 7},
        {"kind": "photo", "name": "a", "content": None},
        {"kind": "photo", "name": "a"},
    ]
    for one in bad:
        found = problem(await friend.post(MINE, one), 422, "validation-failed")["errors"]
        assert [error["field"] for error in found] == ["content"], one
        assert found[0]["problem"]
        assert found[0]["cure"]
    found = problem(await friend.post(MINE, body(kind="result")), 422, "validation-failed")
    assert found["errors"][0]["field"] == "kind"
    problem(await friend.post(MINE, body(b"x" * 9_000_000, kind="photo")), 413, "too-large")


async def test_more_pictures_than_can_be_decoded_soon_are_refused(api, monkeypatch, problem):
    monkeypatch.setattr(files.decoders, "_waiting", files.WAITING_MAX)
    problem(await (await api.friend("f1")).post(MINE, body(kind="photo")), 503, "overloaded")
    with pytest.raises(Overloaded):
        await files.upload(api.rt, PersonId(api.friends["f1"]), FileKind.PHOTO, "a", picture())


async def test_contents_without_a_row_go_and_rows_without_content_are_found(api, owner, tmp_path):
    folder = tmp_path / "pictures"
    api.rt.settings = api.rt.settings.model_copy(update={"files_folder": folder})
    friend = await api.friend("f1")
    kept, lost = await upload(friend), await upload(friend, "evidence")
    stray = folder / "ff" / "0197f0a0-0000-7000-8000-0000000000ff.jpg"
    stray.parent.mkdir(exist_ok=True)
    stray.write_bytes(b"x")
    suspects = await files.sweep(api.rt, set())
    assert stray.exists()
    assert len(suspects) == 1
    assert await files.sweep(api.rt, suspects) == set()
    assert not stray.exists()
    assert (await friend.get(f"/v1/files/{kept['id']}")).status_code == 200
    next(folder.glob(f"*/{lost['id']}.jpg")).unlink()
    assert await files.missing(api.rt) == [FileId(UUID(lost["id"]))]
    assert (await friend.get(f"/v1/files/{lost['id']}")).status_code == 404
    api.rt.settings = api.rt.settings.model_copy(update={"files_folder": None})
    await upload(await api.friend("f2"))
    await owner.execute("DELETE FROM file_contents")
    assert len(await files.missing(api.rt)) == 3


async def test_a_picture_uploaded_while_its_owner_is_erased_is_erased_too(
    api, owner, place, monkeypatch
):
    friend = await api.friend("f1")
    erase = rights._erase

    async def upload_then_erase(*args, **more):
        await upload(friend, kind="evidence")
        return await erase(*args, **more)

    monkeypatch.setattr(rights, "_erase", upload_then_erase)
    await rights.erase(api.rt, "f1", actor="system")
    assert await owner.fetchval("SELECT count(*) FROM files") == 0
    assert await contents(owner, place) == 0
