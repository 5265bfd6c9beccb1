from datetime import timedelta

from scheduler.housekeeping import delete_old_rows


async def test_old_rows_are_deleted_and_recent_ones_kept(rt, owner, clock):
    for day in range(3):
        await owner.execute(
            "INSERT INTO answers (principal, key, request_sha256, created_at)"
            " SELECT 'p', $1 || n::text, sha256('x'), moment() FROM generate_series(1, 1200) n",
            f"{day}-",
        )
        await owner.execute(
            "INSERT INTO quotes"
            " (id, package, market, price_minor, currency, created_at, expires_at)"
            " VALUES (gen_random_uuid(), 'wifi-setup', 'CH', 6900, 'CHF', moment(),"
            " moment() + interval '15 minutes')"
        )
        await clock.advance(timedelta(days=4))
    await delete_old_rows(rt)
    assert await owner.fetchval("SELECT count(*) FROM answers") == 1200
    assert await owner.fetchval("SELECT count(*) FROM quotes") == 1


async def test_expired_sessions_and_login_links_are_deleted(rt, owner, clock):
    person = await owner.fetchval(
        "INSERT INTO people (id, kind, name, email, language)"
        " VALUES (gen_random_uuid(), 'operator', 'Op', 'op@example.org', 'en') RETURNING id"
    )
    for days in (1, 3, 5):
        for table in ("sessions", "login_links"):
            await owner.execute(
                f"INSERT INTO {table} (token_sha256, person_id, created_at, expires_at)"
                " VALUES (sha256(uuid_send(gen_random_uuid())), $1, moment(), moment() + $2)",
                person,
                timedelta(days=days),
            )
    await clock.advance(timedelta(days=4, hours=1))
    await delete_old_rows(rt)
    assert await owner.fetchval("SELECT count(*) FROM sessions") == 1
    assert await owner.fetchval("SELECT count(*) FROM login_links") == 1
