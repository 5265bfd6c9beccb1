-- name: lock
-- The booking row is the lock of the job, taken in the order of ids so that no two batches deadlock. A job is named by
-- its id, by an offer and its friend, or by the friend who holds or held it.
SELECT id FROM bookings
WHERE id IN (SELECT unnest($1::uuid[])
             UNION SELECT o.booking_id FROM offers o JOIN unnest($2::uuid[], $3::uuid[]) AS t (i, f)
               ON o.id = t.i AND o.friend_id = t.f
             UNION SELECT a.booking_id FROM awards a JOIN unnest($4::uuid[], $5::uuid[]) AS h (b, f)
               ON a.booking_id = h.b AND a.friend_id = h.f)
ORDER BY id FOR UPDATE

-- name: lock_due
-- Bookings locked by another process are skipped: it is acting on them, or dies and releases them. Nothing waits here,
-- so that the order by due time cannot cause a deadlock.
SELECT b.id FROM timers t JOIN bookings b ON b.id = t.booking_id
WHERE t.not_before <= moment() AND (t.kind = 'retry') = $2 ORDER BY t.not_before LIMIT $1
FOR UPDATE OF b SKIP LOCKED

-- name: load
-- Read after the lock, in a statement of its own, as is the time: checked before the lock, it would be too early.
-- Rounds are in order even where the clock was set back.
SELECT b.*, p.lat, p.lon, EXISTS (SELECT FROM standing_ratings r WHERE r.booking_id = b.id) AS rated, moment() AS now,
       EXISTS (SELECT FROM customer_reviews c WHERE c.booking_id = b.id AND NOT EXISTS (
         SELECT FROM reversals v WHERE v.booking_id = c.booking_id AND v.no = c.no)) AS reviewed,
       ARRAY(SELECT o FROM offers o WHERE o.booking_id = b.id ORDER BY o.round, o.slot, o.id) AS offers,
       ARRAY(SELECT a FROM awards a WHERE a.booking_id = b.id ORDER BY a.round, a.awarded_at, a.id) AS awards,
       ARRAY(SELECT (t.kind::text, t.due_at) FROM timers t WHERE t.booking_id = b.id) AS timers
FROM bookings b JOIN people p ON p.id = b.customer_id WHERE b.id = ANY($1::uuid[])

-- name: due
SELECT DISTINCT booking_id, min(not_before) OVER (PARTITION BY booking_id) AS since
FROM timers WHERE not_before <= moment() AND booking_id IS NOT NULL ORDER BY since LIMIT $1

-- name: appointments_of
SELECT friend_id, booking_id, lower(appointment) AS starts_at, upper(appointment) AS ends_at, appointment_revision
FROM awards WHERE friend_id = ANY($1::uuid[]) AND state = 'live' AND appointment IS NOT NULL

-- name: by_reference
SELECT partner_id, partner_reference, id FROM bookings
WHERE (partner_id, partner_reference) IN (SELECT * FROM unnest($1::uuid[], $2::text[]))

-- name: insert_people
INSERT INTO people (id, kind, name, email, phone, language, street, postcode, city, country, lat, lon, precision,
                    radius_m, notes)
SELECT i, 'customer', n, e, ph, l, s, pc, ci, co, la, lo, pr, ra, no
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::language[], $6::text[], $7::text[], $8::text[],
            $9::text[], $10::float8[], $11::float8[], $12::text[], $13::int[], $14::text[])
  AS t (i, n, e, ph, l, s, pc, ci, co, la, lo, pr, ra, no)

-- name: update_people
-- NULL leaves a column unchanged; an empty note clears it.
UPDATE people p SET signature = coalesce(t.si, p.signature),
                    move_note = CASE WHEN t.no IS NULL THEN p.move_note ELSE nullif(t.no, '') END
FROM unnest($1::uuid[], $2::text[], $3::text[]) AS t (i, si, no)
WHERE p.id = t.i

-- name: insert_bookings
-- Wishes arrive joined by spaces: an array of arrays of different lengths does not exist.
INSERT INTO bookings (id, state, package, market, language, customer_id, customer_key, partner_id, partner_reference,
                      members_only, wishes, price_minor, pay_minor, currency, cell_lat, cell_lon, cell_label, tier,
                      round, round_limit, event_seq, award_id, created_at, state_at, booked_before, favourite_id,
                      package_version)
SELECT i, st, pa, ma, la, cu, ck, pi, pr, mo, string_to_array(wi, ' ')::wish[], pm, ym, cy, cla, clo, cll, ti, ro, rl,
       es, aw, ca, sa, bb, fa, pv
FROM unnest($1::uuid[], $2::booking_state[], $3::text[], $4::market[], $5::language[], $6::uuid[], $7::text[],
            $8::uuid[], $9::text[], $10::bool[], $11::text[], $12::int[], $13::int[], $14::currency[], $15::float8[],
            $16::float8[], $17::text[], $18::tier[], $19::smallint[], $20::smallint[], $21::int[], $22::uuid[],
            $23::timestamptz[], $24::timestamptz[], $25::smallint[], $26::uuid[], $27::smallint[])
  AS t (i, st, pa, ma, la, cu, ck, pi, pr, mo, wi, pm, ym, cy, cla, clo, cll, ti, ro, rl, es, aw, ca, sa, bb, fa, pv)

-- name: update_bookings
UPDATE bookings b SET state = t.st, tier = t.ti, round = t.ro, round_limit = t.rl, event_seq = t.es, award_id = t.aw,
                      state_at = t.sa, cancel_fee_minor = t.cf, wrong_codes = t.wc,
                      link_generation = t.lg, needs_pro = t.np
FROM unnest($1::uuid[], $2::booking_state[], $3::tier[], $4::smallint[], $5::smallint[], $6::int[], $7::uuid[],
            $8::timestamptz[], $9::int[], $10::smallint[], $11::smallint[], $12::boolean[])
  AS t (i, st, ti, ro, rl, es, aw, sa, cf, wc, lg, np)
WHERE b.id = t.i

-- name: update_offers
-- Before the inserts: a slot must be free before another offer takes it.
UPDATE offers o SET state = t.st, answered_at = t.an, friend_id = t.fr
FROM unnest($1::uuid[], $2::offer_state[], $3::timestamptz[], $4::uuid[]) AS t (i, st, an, fr)
WHERE o.id = t.i

-- name: insert_offers
INSERT INTO offers (id, booking_id, friend_id, round, slot, slots, state, distance_m, shown_m, radius_m, offered_at,
                    expires_at, company_id)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::smallint[], $5::smallint[], $6::smallint[],
                     $7::offer_state[], $8::int[], $9::int[], $10::int[], $11::timestamptz[], $12::timestamptz[],
                     $13::uuid[])

-- name: insert_awards
INSERT INTO awards (id, booking_id, friend_id, offer_id, round, state, awarded_at, contact_due_at, contact_within_s,
                    company_id)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::smallint[], $6::award_state[],
                     $7::timestamptz[], $8::timestamptz[], $9::int[], $10::uuid[])

-- name: update_awards
UPDATE awards a SET state = t.st, contacted_at = t.co,
  appointment = CASE WHEN t.a1 IS NOT NULL THEN tstzrange(t.a1, t.a2) END, appointment_revision = t.ar,
  on_the_way_at = t.ow, move_asked_at = t.ma, move_wishes = string_to_array(t.mw, ' ')::wish[], disputed_at = t.di,
  started_at = t.sa, ended_at = t.ea, summary = t.su, worked_minutes = t.wm, marks = t.mk,
  friend_id = t.fr
FROM unnest($1::uuid[], $2::award_state[], $3::timestamptz[], $4::timestamptz[], $5::timestamptz[], $6::int[],
            $7::timestamptz[], $8::timestamptz[], $9::text[], $10::timestamptz[], $11::timestamptz[],
            $12::timestamptz[], $13::text[], $14::int[], $15::jsonb[], $16::uuid[])
  AS t (i, st, co, a1, a2, ar, ow, ma, mw, di, sa, ea, su, wm, mk, fr)
WHERE a.id = t.i

-- name: set_timers
INSERT INTO timers (booking_id, kind, due_at, not_before)
SELECT b, k, d, d FROM unnest($1::uuid[], $2::timer_kind[], $3::timestamptz[]) AS t (b, k, d)
ON CONFLICT (booking_id, kind) DO UPDATE SET due_at = excluded.due_at, not_before = excluded.not_before, attempts = 0

-- name: stop_timers
DELETE FROM timers USING unnest($1::uuid[], $2::timer_kind[]) AS t (b, k) WHERE booking_id = t.b AND kind = t.k

-- name: insert_events
INSERT INTO events (booking_id, seq, kind, at, actor, data)
SELECT * FROM unnest($1::uuid[], $2::int[], $3::text[], $4::timestamptz[], $5::text[], $6::jsonb[])

-- name: insert_messages
INSERT INTO messages (id, booking_id, seq, channel, audience, recipient_id, template, data, expires_at, next_at)
SELECT i, b, s, c, a, r, t, d, e, n
FROM unnest($1::uuid[], $2::uuid[], $3::int[], $4::channel[], $5::audience[], $6::uuid[], $7::text[], $8::jsonb[],
            $9::timestamptz[], $10::timestamptz[]) AS t (i, b, s, c, a, r, t, d, e, n)

-- name: insert_company_messages
-- One for each dispatcher of the company that is to read it.
INSERT INTO messages (id, booking_id, seq, channel, audience, recipient_id, template, data, expires_at, next_at)
SELECT md5(i::text || p.id::text)::uuid, b, s, c, a, p.id, t, d, e, n
FROM unnest($1::uuid[], $2::uuid[], $3::int[], $4::channel[], $5::audience[], $6::uuid[], $7::text[], $8::jsonb[],
            $9::timestamptz[], $10::timestamptz[]) AS t (i, b, s, c, a, r, t, d, e, n)
JOIN dispatchers p ON p.company_id = r

-- name: insert_decisions
-- Arrays arrive as literals: each decision has its own length, and an array of such arrays does not exist.
INSERT INTO decisions (booking_id, seq, round, tier, at, policy, friend_ids, outcomes, distances_m, ranks, policy_id,
                       search, facts, reach_outcomes, reach_counts, reach_m)
SELECT b, s, r, t, a, p, f::uuid[], o::outcome[], d::int[], k::int[], pi, se, fa, ro::outcome[], rc::int[], rm
FROM unnest($1::uuid[], $2::int[], $3::smallint[], $4::tier[], $5::timestamptz[], $6::text[], $7::text[], $8::text[],
            $9::text[], $10::text[], $11::uuid[], $12::jsonb[], $13::bytea[], $14::text[], $15::text[], $16::int[])
  AS t (b, s, r, t, a, p, f, o, d, k, pi, se, fa, ro, rc, rm)

-- name: count_open_jobs
-- Locks and counts in the order of ids. The check friend_capacity refuses what the rules missed. Of what was taken and
-- handed back the moments of the last day are kept, at most a hundred (`DAY_LIMIT_MAX`); an alarm pauses the friend until
-- the desk has looked.
UPDATE friends f SET open_jobs = f.open_jobs + t.by,
  taken_at = ARRAY(SELECT x FROM unnest(f.taken_at) AS x WHERE x > t.at - interval '24 hours' ORDER BY x DESC
                   LIMIT 100 - t.taken) || array_fill(t.at, ARRAY[t.taken]),
  handed_back_at = ARRAY(SELECT x FROM unnest(f.handed_back_at) AS x WHERE x > t.at - interval '24 hours'
                         ORDER BY x DESC LIMIT 100 - t.back) || array_fill(t.at, ARRAY[t.back]),
  alarmed_at = CASE WHEN t.alarm THEN coalesce(f.alarmed_at, t.at) ELSE f.alarmed_at END,
  state = CASE WHEN t.alarm AND f.state = 'active' THEN 'paused' ELSE f.state END
FROM (SELECT g.id, u.by, least(u.taken, 100) AS taken, least(u.back, 100) AS back, u.alarm, u.at
      FROM friends g JOIN unnest($1::uuid[], $2::smallint[], $3::int[], $4::int[], $5::boolean[], $6::timestamptz[])
        AS u (id, by, taken, back, alarm, at) ON u.id = g.id
      ORDER BY g.id FOR NO KEY UPDATE OF g) AS t
WHERE f.id = t.id

-- name: insert_errands
-- Of a booking: what is about others is queued by their flows.
INSERT INTO errands (id, kind, subject_kind, booking_id, subject_id, request, expires_at, created_at, next_at)
SELECT i, k, sk, b, s, r, e, n, n
FROM unnest($1::uuid[], $2::text[], $3::subject_kind[], $4::uuid[], $5::uuid[], $6::jsonb[], $7::timestamptz[],
            $8::timestamptz[]) AS t (i, k, sk, b, s, r, e, n)

-- name: insert_ratings
INSERT INTO ratings (booking_id, friend_id, stars, comment, at, shown_at)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::smallint[], $4::text[], $5::timestamptz[], $6::timestamptz[])

-- name: insert_reviews
INSERT INTO customer_reviews (booking_id, friend_id, stars, comment, at, shown_at)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::smallint[], $4::text[], $5::timestamptz[], $6::timestamptz[])

-- name: decide_reviews
UPDATE review_notes n SET decided_at = moment(), decided_by = t.o, hidden = t.h
FROM unnest($1::uuid[], $2::smallint[], $3::boolean[], $4::text[], $5::uuid[]) AS t (b, n, f, h, o)
WHERE n.booking_id = t.b AND n.no = t.n AND n.by_friend = t.f

-- name: insert_charges
INSERT INTO charges (booking_id, friend_id, price_minor, pay_minor, currency, at, company_id)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::int[], $4::int[], $5::currency[], $6::timestamptz[], $7::uuid[])

-- name: keep_threads
INSERT INTO threads (award_id, booking_id, first_by_friend, by_friend, by_customer, read_by_friend, read_by_customer,
                     letter_to_friend_at, letter_to_customer_at)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::int[], $4::int[], $5::int[], $6::int[], $7::int[], $8::timestamptz[],
                     $9::timestamptz[])
ON CONFLICT (award_id) DO UPDATE SET
  first_by_friend = excluded.first_by_friend, by_friend = excluded.by_friend, by_customer = excluded.by_customer,
  read_by_friend = excluded.read_by_friend, read_by_customer = excluded.read_by_customer,
  letter_to_friend_at = excluded.letter_to_friend_at, letter_to_customer_at = excluded.letter_to_customer_at

-- name: insert_notes
INSERT INTO thread_notes (award_id, seq, by, text, at)
SELECT * FROM unnest($1::uuid[], $2::int[], $3::note_author[], $4::text[], $5::timestamptz[])

-- name: insert_reversals
INSERT INTO reversals (booking_id, no, at)
SELECT t.b, 1 + (SELECT count(*) FROM reversals r WHERE r.booking_id = t.b), t.at
FROM unnest($1::uuid[], $2::timestamptz[]) AS t (b, at)

-- name: contacts
SELECT contact_key FROM confirmed_contacts WHERE contact_key = ANY($1::text[]) AND at > moment() - $2::interval

-- name: confirm_contacts
-- In one order, so that two batches do not deadlock.
INSERT INTO confirmed_contacts AS c (contact_key, at)
SELECT contact_key(b.customer_key, p.phone), max(t.at)
FROM unnest($1::uuid[], $2::timestamptz[]) AS t (i, at)
JOIN people p ON p.id = t.i JOIN bookings b ON b.customer_id = p.id GROUP BY 1 ORDER BY 1
ON CONFLICT (contact_key) DO UPDATE SET at = greatest(c.at, excluded.at)

-- name: postpone_timers
-- A timer whose action failed is postponed, longer each time, so that it does not delay the others.
UPDATE timers SET attempts = attempts + 1,
  not_before = moment() + least(interval '1 hour', interval '5 seconds' * power(2, least(attempts, 10)))
WHERE booking_id = $1 AND not_before <= moment()

-- name: next_due
-- Wall-clock seconds until the next timer is due, however fast a test clock runs.
SELECT greatest(extract(epoch FROM min(not_before) - moment()), 0)::float8 FROM timers
