-- name: ids
-- Ascending ids as UUIDv7 gives, so that history fills the indexes as it would have grown.
CREATE FUNCTION history_id(at timestamptz, n bigint, salt text) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
  SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7' || substr(h, 1, 3) || '8'
          || substr(h, 4, 15))::uuid
  FROM (SELECT md5(salt || n) AS h) AS hashed $$

-- name: prepare
CREATE UNLOGGED TABLE history_friends (n bigint PRIMARY KEY, id uuid NOT NULL, market market NOT NULL,
                                       lat float8 NOT NULL, lon float8 NOT NULL);
INSERT INTO history_friends
SELECT row_number() OVER (ORDER BY f.id) - 1, f.id, f.market, p.lat, p.lon FROM friends f JOIN people p ON p.id = f.id;
ANALYZE history_friends;
CREATE UNLOGGED TABLE history (
  n bigint, at timestamptz, booking uuid, customer uuid, award uuid, offers uuid[], friends uuid[], market market,
  lat float8, lon float8)

-- name: plan
-- Booking n lies 300 m from the home of friend n, who gets it; the next three in number are asked too.
INSERT INTO history
SELECT s.n, at, history_id(at, s.n, 'b'), history_id(at, s.n, 'c'), history_id(at, s.n, 'a'),
       ARRAY[history_id(at, s.n, 'o1'), history_id(at, s.n, 'o2'), history_id(at, s.n, 'o3'), history_id(at, s.n, 'o4')],
       ARRAY[a.id, b.id, c.id, d.id], a.market, a.lat + 0.0027, a.lon
FROM (SELECT n, $3::timestamptz + n * $4::interval AS at, (SELECT count(*) FROM history_friends) AS friends
      FROM generate_series($1::bigint, $2::bigint) AS n) AS s
JOIN history_friends a ON a.n = s.n % friends
JOIN history_friends b ON b.n = (s.n + 1) % friends
JOIN history_friends c ON c.n = (s.n + 2) % friends
JOIN history_friends d ON d.n = (s.n + 3) % friends

-- name: forget_plan
TRUNCATE history

-- name: customers
INSERT INTO people (id, kind, name, email, phone, language, street, postcode, city, country, lat, lon, precision,
                    radius_m)
SELECT customer, 'customer', 'Customer ' || n, 'customer' || n || '@example.com', '+41440000001', 'de',
       'Invented Street ' || n, '1000', 'Town', market::text, lat, lon, 'address', 0
FROM history

-- name: completed
-- Finished jobs: asked, awarded, completed, charged, every message sent.
INSERT INTO bookings (id, state, package, market, language, customer_id, customer_key, members_only, wishes,
                      price_minor, pay_minor, currency, cell_lat, cell_lon, cell_label, tier, round, round_limit,
                      event_seq, award_id, created_at, state_at)
SELECT booking, 'completed', 'wifi-setup', market, 'de', customer, md5(n::text) || md5(n::text), false, '{}',
       6900, 5520, 'CHF', lat, lon, '1000 Town', 'friend', 1, 5, 5, award, at, at + interval '2 days'
FROM history;
INSERT INTO offers (id, booking_id, friend_id, round, slot, state, distance_m, shown_m, radius_m, offered_at,
                    expires_at, answered_at)
SELECT offers[k], booking, friends[k], 1, k, CASE k WHEN 1 THEN 'accepted'::offer_state ELSE 'lost' END,
       300 * k, 300 * k, 10000, at, at + interval '1 hour', at + interval '5 minutes'
FROM history, generate_series(1, 4) AS k;
INSERT INTO awards (id, booking_id, friend_id, offer_id, round, state, awarded_at, contact_due_at, contacted_at,
                    appointment, appointment_revision, started_at, ended_at, summary, worked_minutes)
SELECT award, booking, friends[1], offers[1], 1, 'done', at + interval '5 minutes',
       at + interval '12 hours 5 minutes', at + interval '1 hour',
       tstzrange(at + interval '1 day', at + interval '25 hours'), 4, at + interval '1 day', at + interval '2 days',
       'All works.', 50
FROM history;
INSERT INTO events (booking_id, seq, kind, at, actor, data)
SELECT booking, k, (ARRAY['booking.created', 'booking.offered', 'booking.awarded', 'booking.contacted',
                          'booking.completed'])[k],
       at + k * interval '1 minute', 'system', jsonb_build_object('friend', friends[1], 'round', 1)
FROM history, generate_series(1, 5) AS k;
INSERT INTO decisions (booking_id, seq, round, tier, at, policy, friend_ids, outcomes, distances_m, ranks)
SELECT booking, 2, 1, 'friend', at, '2026-11', friends,
       ARRAY['OFFERED', 'OFFERED', 'OFFERED', 'OFFERED']::outcome[], ARRAY[300, 600, 900, 1200], ARRAY[1, 2, 3, 4]
FROM history;
INSERT INTO messages (id, booking_id, seq, channel, audience, recipient_id, template, data, state, attempts, next_at,
                      sent_at)
SELECT history_id(at, n, 'm' || k), booking, k, 'mail', 'customer', customer, 'booked', '{}', 'sent', 1, at, at
FROM history, generate_series(1, 5) AS k;
INSERT INTO charges (booking_id, friend_id, price_minor, pay_minor, currency, at)
SELECT booking, friends[1], 6900, 5520, 'CHF', at + interval '2 days' FROM history;
INSERT INTO ratings (booking_id, friend_id, stars, at)
SELECT booking, friends[1], 5, at + interval '3 days' FROM history;
INSERT INTO customer_reviews (booking_id, friend_id, stars, at, shown_at)
SELECT booking, friends[1], 5, at + interval '3 days', at + interval '16 days' FROM history;
INSERT INTO review_notes (booking_id, no, by_friend, reply, replied_at)
SELECT booking, 1, false, 'Thank you', at + interval '4 days' FROM history;
INSERT INTO files (id, kind, person_id, name, bytes, stored, created_at)
SELECT friend, 'photo', friend, 'me.jpg', 40000, 'database', now()
FROM (SELECT DISTINCT friends[1] AS friend FROM history) AS f
ON CONFLICT DO NOTHING

-- name: waiting
-- Four live offers each, which expire an hour after `at`.
INSERT INTO bookings (id, state, package, market, language, customer_id, customer_key, members_only, wishes,
                      price_minor, pay_minor, currency, cell_lat, cell_lon, cell_label, tier, round, round_limit,
                      event_seq, created_at, state_at)
SELECT booking, 'open', 'wifi-setup', market, 'de', customer, md5(n::text) || md5(n::text), false, '{}',
       6900, 5520, 'CHF', lat, lon, '1000 Town', 'friend', 1, 5, 2, at, at
FROM history;
INSERT INTO offers (id, booking_id, friend_id, round, slot, state, distance_m, shown_m, radius_m, offered_at,
                    expires_at)
SELECT offers[k], booking, friends[k], 1, k, 'live', 300 * k, 300 * k, 10000, at, at + interval '1 hour'
FROM history, generate_series(1, 4) AS k;
INSERT INTO timers (booking_id, kind, due_at, not_before)
SELECT booking, 'offers_expire', at + interval '1 hour', at + interval '1 hour' FROM history;
INSERT INTO events (booking_id, seq, kind, at, actor, data)
SELECT booking, k, (ARRAY['booking.created', 'booking.offered'])[k], at, 'customer', '{"round": 1}'
FROM history, generate_series(1, 2) AS k;
INSERT INTO decisions (booking_id, seq, round, tier, at, policy, friend_ids, outcomes, distances_m, ranks)
SELECT booking, 2, 1, 'friend', at, '2026-11', friends,
       ARRAY['OFFERED', 'OFFERED', 'OFFERED', 'OFFERED']::outcome[], ARRAY[300, 600, 900, 1200], ARRAY[1, 2, 3, 4]
FROM history;
INSERT INTO messages (id, booking_id, seq, channel, audience, recipient_id, template, data, state, attempts, next_at,
                      sent_at)
SELECT history_id(at, n, 'm' || k), booking, 2, 'push', 'friend', friends[k], 'offer', '{}', 'sent', 1, at, at
FROM history, generate_series(1, 4) AS k

-- name: awarded
-- Awarded to a friend at `at`, who does not contact the customer.
INSERT INTO bookings (id, state, package, market, language, customer_id, customer_key, members_only, wishes,
                      price_minor, pay_minor, currency, cell_lat, cell_lon, cell_label, tier, round, round_limit,
                      event_seq, award_id, created_at, state_at)
SELECT booking, 'awarded', 'wifi-setup', market, 'de', customer, md5(n::text) || md5(n::text), false, '{}',
       6900, 5520, 'CHF', lat, lon, '1000 Town', 'friend', 1, 5, 3, award, at - interval '5 minutes', at
FROM history;
INSERT INTO offers (id, booking_id, friend_id, round, slot, state, distance_m, shown_m, radius_m, offered_at,
                    expires_at, answered_at)
SELECT offers[k], booking, friends[k], 1, k, CASE k WHEN 1 THEN 'accepted'::offer_state ELSE 'lost' END,
       300 * k, 300 * k, 10000, at - interval '5 minutes', at + interval '1 hour', at
FROM history, generate_series(1, 4) AS k;
INSERT INTO awards (id, booking_id, friend_id, offer_id, round, state, awarded_at, contact_due_at)
SELECT award, booking, friends[1], offers[1], 1, 'live', at, at + interval '12 hours' FROM history;
UPDATE friends f SET open_jobs = f.open_jobs + h.n
FROM (SELECT friends[1] AS id, count(*) AS n FROM history GROUP BY 1) AS h WHERE f.id = h.id;
INSERT INTO timers (booking_id, kind, due_at, not_before)
SELECT booking, 'contact_deadline', at + interval '12 hours', at + interval '12 hours' FROM history;
INSERT INTO events (booking_id, seq, kind, at, actor, data)
SELECT booking, k, (ARRAY['booking.created', 'booking.offered', 'booking.awarded'])[k], at, 'customer',
       jsonb_build_object('friend', friends[1])
FROM history, generate_series(1, 3) AS k;
INSERT INTO decisions (booking_id, seq, round, tier, at, policy, friend_ids, outcomes, distances_m, ranks)
SELECT booking, 2, 1, 'friend', at, '2026-11', friends,
       ARRAY['OFFERED', 'OFFERED', 'OFFERED', 'OFFERED']::outcome[], ARRAY[300, 600, 900, 1200], ARRAY[1, 2, 3, 4]
FROM history;
INSERT INTO messages (id, booking_id, seq, channel, audience, recipient_id, template, data, state, attempts, next_at,
                      sent_at)
SELECT history_id(at, n, 'm' || k), booking, 3, 'mail', 'customer', customer, 'friend_found', '{}', 'sent', 1, at, at
FROM history, generate_series(1, 2) AS k

-- name: disable_triggers
-- As superuser: triggers and foreign keys do not run. Ends with the connection.
SET session_replication_role = replica

-- name: finish
DROP TABLE history; DROP TABLE history_friends; DROP FUNCTION history_id
