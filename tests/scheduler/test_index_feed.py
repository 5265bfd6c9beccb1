import asyncio
from dataclasses import replace
from uuid import uuid4

from data.enums import Channel, FriendState
from data.settings import Settings
from dispatch.flows import maintenance
from dispatch.flows.bootstrap import load_index, open_runtime
from dispatch.flows.jobs import commands
from dispatch.flows.people import friends
from scheduler.index_feed import IndexFeed
from tests.builders import book_and_accept, book_job, import_neighbours, live_offers_of


async def start_feed(rt) -> IndexFeed:
    feed = IndexFeed(rt, await load_index(rt))
    await feed.follow()
    await feed.follow()
    return feed


async def others_end(owner):
    """Wait for transactions that other tests hold open: they hold back the server's horizon."""
    newest = await owner.fetchval("SELECT pg_snapshot_xmax(pg_current_snapshot())")
    oldest = "SELECT pg_snapshot_xmin(pg_current_snapshot()) >= $1"
    async with asyncio.timeout(120):
        while not await owner.fetchval(oldest, newest):  # noqa: ASYNC110 - no event says so
            await asyncio.sleep(0.02)


async def test_a_change_by_another_process_reaches_the_index(rt, owner):
    refs = await import_neighbours(rt, 3)
    feed = await start_feed(rt)
    await owner.execute("UPDATE friends SET state = 'paused' WHERE ref = 'f2'")
    assert rt.index.get(refs["f2"]).state is FriendState.ACTIVE
    await feed.follow()
    assert rt.index.get(refs["f2"]).state is FriendState.PAUSED
    assert rt.index.check() == []


async def test_a_new_friend_reaches_the_index(rt, owner):
    feed = await start_feed(rt)
    refs = await import_neighbours(rt, 1)
    rt.index.remove(refs["f1"])
    await feed.follow()
    assert rt.index.get(refs["f1"]).channels == {Channel.MAIL}


async def test_a_friend_without_a_place_leaves_the_index(rt, owner):
    refs = await import_neighbours(rt, 2)
    feed = await start_feed(rt)
    await owner.execute("UPDATE people SET lat = NULL, lon = NULL WHERE id = $1", refs["f1"])
    await owner.execute("UPDATE friends SET state = 'suspended' WHERE ref = 'f1'")
    await feed.follow()
    assert rt.index.get(refs["f1"]) is None
    assert len(rt.index) == 1


async def test_a_change_that_commits_late_is_not_missed(rt, owner, database):
    refs = await import_neighbours(rt, 2)
    feed = await start_feed(rt)
    late = owner.transaction()
    await late.start()
    await owner.execute("UPDATE friends SET radius_m = 5000 WHERE ref = 'f1'")
    for _ in range(3):
        await feed.follow()
    await friends.set_state(rt, refs["f2"], FriendState.PAUSED, actor="system")
    for _ in range(3):
        await feed.follow()
    await late.commit()
    await feed.follow()
    assert rt.index.get(refs["f1"]).radius_m == 5000


async def test_an_older_row_over_a_newer_one_is_corrected(rt, owner):
    refs = await import_neighbours(rt, 1)
    feed = await start_feed(rt)
    old = rt.index.get(refs["f1"])
    await owner.execute("UPDATE friends SET radius_m = 5000 WHERE ref = 'f1'")
    await feed.follow()
    rt.index.put(old)
    await feed.follow()
    assert rt.index.get(refs["f1"]).radius_m == 5000


async def test_nothing_is_read_when_nothing_has_changed(rt, monkeypatch):
    await import_neighbours(rt, 3)
    feed = await start_feed(rt)
    read: list[int] = []
    refresh = friends.refresh_index

    async def counted(rt, changed):
        read.append(len(list(changed)))
        await refresh(rt, changed)

    monkeypatch.setattr(friends, "refresh_index", counted)
    await feed.follow()
    await feed.follow()
    assert read == [0, 0]


async def test_a_feed_without_a_mark_begins_with_a_comparison(rt, owner):
    refs = await import_neighbours(rt, 2)
    await owner.execute("UPDATE friends SET radius_m = 5000 WHERE ref = 'f1'")
    feed = IndexFeed(rt)
    await feed.follow()
    assert rt.index.get(refs["f1"]).radius_m == 20_000
    await feed.reconcile()
    assert rt.index.get(refs["f1"]).radius_m == 5000
    await owner.execute("UPDATE friends SET radius_m = 6000 WHERE ref = 'f1'")
    await feed.follow()
    assert rt.index.get(refs["f1"]).radius_m == 6000


async def test_differences_are_corrected_and_logged(rt, owner, caplog):
    refs = await import_neighbours(rt, 3)
    await others_end(owner)
    feed = await start_feed(rt)
    rt.index.remove(refs["f1"])
    rt.index.put(replace(rt.index.get(refs["f2"]), open_jobs=2))
    assert await feed.reconcile() == 2
    assert str(refs["f1"]) in caplog.text
    assert str(refs["f3"]) not in caplog.text
    assert rt.index.get(refs["f1"]) is not None
    assert rt.index.get(refs["f2"]).open_jobs == 0
    assert await feed.reconcile() == 0


async def test_a_friend_without_a_row_is_removed(rt, caplog):
    refs = await import_neighbours(rt, 1)
    feed = await start_feed(rt)
    unknown = replace(rt.index.get(refs["f1"]), id=uuid4())
    rt.index.put(unknown)
    assert await feed.reconcile() == 1
    assert rt.index.get(unknown.id) is None


async def test_a_change_in_transit_is_no_difference(rt, owner, caplog):
    refs = await import_neighbours(rt, 1)
    feed = await start_feed(rt)
    await owner.execute("UPDATE friends SET radius_m = 5000 WHERE ref = 'f1'")
    assert await maintenance.index_differences(rt) == {refs["f1"]}
    assert await feed.reconcile() == 0
    assert rt.index.get(refs["f1"]).radius_m == 5000
    assert caplog.text == ""


async def test_offers_that_come_and_go_are_no_difference(rt, caplog):
    refs = await import_neighbours(rt, 4)
    feed = await start_feed(rt)
    await book_and_accept(rt)
    rt.index.put(replace(rt.index.get(refs["f2"]), live_offers=5))
    assert await feed.reconcile() == 0
    assert rt.index.get(refs["f2"]).live_offers == 0
    assert caplog.text == ""


async def test_offers_made_and_ended_by_another_process_are_counted(rt, database, clock, tmp_path):
    refs = await import_neighbours(rt, 4)
    feed = await start_feed(rt)

    def counts():
        return [rt.index.get(refs[f"f{n}"]).live_offers for n in (1, 2, 3, 4)]

    settings = Settings(data_dir=tmp_path)
    async with open_runtime(settings, database, application="other") as other:
        await book_job(other)
        offers = live_offers_of(await book_job(other, email="second@example.com"))
        assert counts() == [0, 0, 0, 0]
        await feed.follow()
        assert counts() == [2, 2, 2, 2]
        await commands.decline(other, offers[0].id, offers[0].friend_id)
        await feed.follow()
        assert sorted(counts()) == [1, 2, 2, 2]
        await clock.advance(rt.policy.offer_life)
        await commands.fire_due_timers(other, 100)
        await feed.follow()
        assert counts() == [0, 0, 0, 0]


async def test_friends_already_up_to_date_are_not_read_again(rt, owner, monkeypatch):
    refs = await import_neighbours(rt, 2)
    await others_end(owner)
    feed = await start_feed(rt)
    read: list[list] = []
    refresh = friends.refresh_index

    async def recorded(rt, changed):
        read.append(list(changed))
        await refresh(rt, changed)

    monkeypatch.setattr(friends, "refresh_index", recorded)
    await owner.execute("UPDATE friends SET radius_m = 5000 WHERE ref = 'f1'")
    await others_end(owner)
    await feed.follow()
    await feed.follow()
    assert read == [[refs["f1"]], []]
    rt.adjust_counters(refs["f1"], open_jobs=1)
    await owner.execute("UPDATE friends SET radius_m = 6000 WHERE ref = 'f2'")
    await others_end(owner)
    await feed.follow()
    assert read[2:] == [[refs["f2"]]]
    await owner.execute("UPDATE friends SET radius_m = radius_m WHERE ref = 'f1'")
    await others_end(owner)
    await feed.follow()
    assert read[3:] == [[refs["f1"]]]
    assert rt.index.get(refs["f1"]).open_jobs == 0
