-- name: facts
-- Everything that decides whether a friend may be asked, in one row each. An applicant may not, and has none.
-- The birth date is read of those alone who may not be of age yet. A technician is reached through the dispatchers.
SELECT f.id, f.ref, f.state, f.tier, f.market, f.languages, f.radius_m, f.capacity, f.open_jobs, f.quiet_from,
       f.quiet_until, f.week, f.holidays, f.areas, f.level, f.changed::text::bigint AS version, p.lat, p.lon,
       f.company_id,
       p.erased_at IS NULL AND (f.company_id IS NULL OR EXISTS (SELECT FROM dispatchers d WHERE d.company_id = f.company_id))
         AS has_mail,
       f.company_id IS NULL AND EXISTS (SELECT FROM push_subscriptions s WHERE s.friend_id = f.id) AS has_phone,
       (SELECT count(*) FROM offers o WHERE o.friend_id = f.id AND o.state = 'live' AND o.expires_at > $2) AS live_offers,
       f.jobs_per_day, f.hand_backs_per_day, y.born,
       y.born IS NOT NULL AND EXISTS (SELECT FROM guardianships g WHERE g.friend_id = f.id AND g.confirmed_at IS NOT NULL
                                      AND g.ended_at IS NULL) AS guarded,
       (SELECT count(*) FROM unnest(f.taken_at) AS x WHERE x > $2 - interval '24 hours') AS taken,
       (SELECT count(*) FROM unnest(f.handed_back_at) AS x WHERE x > $2 - interval '24 hours') AS handed_back,
       ARRAY(SELECT c.certificate FROM friend_certificates c WHERE c.friend_id = f.id
             ORDER BY c.certificate, c.valid) AS certificates,
       ARRAY(SELECT c.valid FROM friend_certificates c WHERE c.friend_id = f.id
             ORDER BY c.certificate, c.valid) AS valid,
       ARRAY(SELECT m.partner_id FROM partner_members m WHERE m.friend_id = f.id) AS communities,
       ARRAY(SELECT b.customer_key FROM blocks b WHERE b.friend_id = f.id) AS blocked
FROM friends f JOIN people p ON p.id = f.id
  CROSS JOIN LATERAL (SELECT CASE WHEN p.birth_date > $2::timestamptz - interval '22 years' THEN p.birth_date END AS born) AS y
WHERE f.id = ANY($1::uuid[]) AND p.lat IS NOT NULL AND f.state <> 'applicant'

-- name: fingerprint
-- Version and counters of friends, to find stale copies; the counters of a copy may be out of date.
SELECT f.id, f.changed::text::bigint AS version, f.open_jobs,
       (SELECT count(*) FROM offers o WHERE o.friend_id = f.id AND o.state = 'live' AND o.expires_at > $2) AS live_offers
FROM friends f WHERE f.id = ANY($1::uuid[])

-- name: lock
-- In the order of ids and after the bookings, so that no two batches deadlock.
SELECT id FROM friends WHERE id = ANY($1::uuid[]) ORDER BY id FOR NO KEY UPDATE

-- name: lock_and_fingerprint
-- Both at once: a row whose lock was waited for is returned as the other transaction left it.
SELECT f.id, f.changed::text::bigint AS version, f.open_jobs,
       (SELECT count(*) FROM offers o WHERE o.friend_id = f.id AND o.state = 'live' AND o.expires_at > $2) AS live_offers,
       (SELECT count(*) FROM unnest(f.taken_at) AS x WHERE x > $2 - interval '24 hours') AS taken,
       (SELECT count(*) FROM unnest(f.handed_back_at) AS x WHERE x > $2 - interval '24 hours') AS handed_back
FROM friends f WHERE f.id = ANY($1::uuid[]) ORDER BY f.id FOR NO KEY UPDATE OF f

-- name: ids_after
-- Pages through all friends to load the index.
SELECT id FROM friends WHERE id > $1 ORDER BY id LIMIT $2

-- name: horizon
-- Every later change of a friend has this transaction id or a greater one.
SELECT pg_snapshot_xmin(pg_current_snapshot())::text

-- name: changed_since
-- From the oldest transaction that was still running: a row committed late is not missed.
SELECT id FROM friends WHERE changed >= $1::text::xid8

-- name: find_id
SELECT id FROM friends WHERE ref = $1 OR id::text = $1

-- name: ids_by_ref
SELECT ref, id FROM friends WHERE ref = ANY($1::text[])

-- name: refs_by_email
SELECT lower(p.email) AS email, f.ref FROM people p JOIN friends f ON f.id = p.id
WHERE p.kind = 'friend' AND p.erased_at IS NULL AND lower(p.email) = ANY($1::text[])

-- name: comparable
-- What a file may change of a friend, to tell what it did.
SELECT f.id, p.name, p.email, p.phone, p.language, p.postcode, p.city, p.country, p.lat, p.lon, f.tier, f.market,
       f.languages, f.radius_m, f.capacity,
       ARRAY(SELECT c.certificate FROM friend_certificates c
             WHERE c.friend_id = f.id AND (upper(c.valid) IS NULL OR upper(c.valid) > moment())
             ORDER BY c.certificate) AS certificates
FROM friends f JOIN people p ON p.id = f.id WHERE f.ref = ANY($1::text[])

-- name: vacate_addresses
-- Friends who exchange addresses: the index allows no address twice, not even for a moment.
UPDATE people SET email = id::text WHERE id = ANY($1::uuid[]) AND kind = 'friend'

-- name: put_people
INSERT INTO people (id, kind, name, email, phone, language, postcode, city, country, lat, lon, precision, radius_m)
SELECT i, 'friend', n, e, ph, l, pc, ci, co, la, lo, pr, ra
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::language[], $6::text[], $7::text[], $8::text[],
            $9::float8[], $10::float8[], $11::text[], $12::int[]) AS t (i, n, e, ph, l, pc, ci, co, la, lo, pr, ra)
ON CONFLICT (id) DO UPDATE SET name = excluded.name, email = excluded.email, phone = excluded.phone,
  language = excluded.language, postcode = excluded.postcode, city = excluded.city, country = excluded.country,
  lat = excluded.lat, lon = excluded.lon, precision = excluded.precision, radius_m = excluded.radius_m
WHERE (people.name, people.email, people.phone, people.language, people.postcode, people.city, people.country,
       people.lat, people.lon, people.precision, people.radius_m)
  IS DISTINCT FROM (excluded.name, excluded.email, excluded.phone, excluded.language, excluded.postcode, excluded.city,
                    excluded.country, excluded.lat, excluded.lon, excluded.precision, excluded.radius_m)
RETURNING id

-- name: put_friends
-- A friend who holds more jobs than the file allows keeps them; the capacity stays at that number.
INSERT INTO friends (id, ref, tier, market, languages, radius_m, capacity, created_at)
SELECT i, r, t, m, string_to_array(l, ' ')::language[], ra, c, moment()
FROM unnest($1::uuid[], $2::text[], $3::tier[], $4::market[], $5::text[], $6::int[], $7::smallint[])
  AS u (i, r, t, m, l, ra, c)
ON CONFLICT (id) DO UPDATE SET tier = excluded.tier, market = excluded.market, languages = excluded.languages,
  radius_m = excluded.radius_m, capacity = greatest(excluded.capacity, friends.open_jobs)
WHERE (friends.tier, friends.market, friends.languages, friends.radius_m, friends.capacity)
  IS DISTINCT FROM (excluded.tier, excluded.market, excluded.languages, excluded.radius_m,
                    greatest(excluded.capacity, friends.open_jobs))
RETURNING id

-- name: held_certificates
SELECT friend_id, certificate FROM friend_certificates
WHERE friend_id = ANY($1::uuid[]) AND (upper(valid) IS NULL OR upper(valid) > moment())

-- name: add_certificates
-- Valid from now for the months of its kind, or without end.
INSERT INTO friend_certificates (friend_id, certificate, valid)
SELECT t.f, t.c, tstzrange(moment(), moment() + make_interval(months => k.valid_months))
FROM unnest($1::uuid[], $2::text[]) AS t (f, c) JOIN certificates k ON k.code = t.c

-- name: end_certificates
DELETE FROM friend_certificates USING unnest($1::uuid[], $2::text[]) AS t (f, c)
WHERE friend_id = t.f AND certificate = t.c AND (upper(valid) IS NULL OR upper(valid) > moment())

-- name: set_state
-- The alarm is settled when the desk activates the friend; a suspension keeps it.
UPDATE friends SET state = $2, alarmed_at = CASE WHEN $2 = 'active' THEN NULL ELSE alarmed_at END
WHERE id = $1 AND state <> $2 RETURNING id

-- name: set_limits
UPDATE friends SET jobs_per_day = $2, hand_backs_per_day = $3, capacity_max = $4, radius_max_m = $5
WHERE id = $1 RETURNING id

-- name: set_quiet
UPDATE friends SET quiet_from = $2, quiet_until = $3 WHERE id = $1

-- name: set_week
UPDATE friends SET week = $2 WHERE id = $1

-- name: set_holidays
UPDATE friends SET holidays = $2 WHERE id = $1

-- name: set_areas
UPDATE friends SET areas = $2, areas_since = coalesce(areas_since, moment()) WHERE id = $1

-- name: set_reach
UPDATE friends SET radius_m = $2, languages = $3 WHERE id = $1

-- name: set_base
UPDATE people SET lat = $2, lon = $3, precision = 'address', radius_m = 0 WHERE id = $1

-- name: record_base_move
UPDATE friends SET base_moved_at = $2 WHERE id = $1

-- name: set_capacity
UPDATE friends SET capacity = $2 WHERE id = $1

-- name: add_members
INSERT INTO partner_members (partner_id, friend_id) SELECT $1, unnest($2::uuid[]) ON CONFLICT DO NOTHING
RETURNING friend_id

-- name: remove_members
DELETE FROM partner_members WHERE partner_id = $1 AND friend_id = ANY($2::uuid[]) RETURNING friend_id

-- name: block
INSERT INTO blocks (friend_id, customer_key, by_friend, at) VALUES ($1, $2, $3, moment()) ON CONFLICT DO NOTHING
RETURNING friend_id

-- name: profile
SELECT f.id, f.ref, f.state, f.tier, f.market, f.languages, f.radius_m, f.capacity, f.open_jobs, f.quiet_from,
       f.quiet_until, f.week, f.holidays, f.areas, f.areas_since, f.base_moved_at, f.alarmed_at, f.capacity_max, f.radius_max_m, p.name, p.email, p.phone, p.language, p.lat, p.lon, p.precision,
       (SELECT round(avg(r.stars), 2)::float8 FROM shown_ratings r WHERE r.friend_id = f.id) AS stars,
       (SELECT count(*) FROM shown_ratings r WHERE r.friend_id = f.id) AS ratings
FROM friends f JOIN people p ON p.id = f.id WHERE f.id = $1

-- name: certificates_of
SELECT certificate, valid FROM friend_certificates WHERE friend_id = $1 ORDER BY certificate, valid

-- name: lock_friend
SELECT state FROM friends WHERE id = $1 FOR NO KEY UPDATE

-- name: hurry_retries
-- Unfilled bookings these friends may reach are retried now; the margin allows for the cell in place of the address.
WITH hurried AS (
  SELECT b.id FROM bookings b
  WHERE b.state = 'unfilled' AND EXISTS (
    SELECT FROM friends f JOIN people p ON p.id = f.id
    WHERE f.id = ANY($1::uuid[]) AND f.market = b.market AND f.state = 'active'
      AND (abs(p.lat - b.cell_lat) * 110000 <= f.radius_m + 2000 OR f.areas IS NOT NULL))
  ORDER BY b.id FOR UPDATE OF b SKIP LOCKED)
UPDATE timers SET due_at = moment(), not_before = moment()
WHERE kind = 'retry' AND booking_id IN (SELECT id FROM hurried)

-- name: hurry_markets
WITH hurried AS (
  SELECT b.id FROM bookings b WHERE b.state = 'unfilled' AND b.market = ANY($1::market[])
  ORDER BY b.id FOR UPDATE SKIP LOCKED)
UPDATE timers SET due_at = moment(), not_before = moment()
WHERE kind = 'retry' AND booking_id IN (SELECT id FROM hurried)
