-- name: prepare_cube
-- The set-up found fastest in `benchmarks/nearest.py`: one row a certificate, GiST over both.
CREATE EXTENSION IF NOT EXISTS cube;
CREATE TABLE near (friend_id uuid NOT NULL, certificate text NOT NULL, at cube NOT NULL);
INSERT INTO near
SELECT c.friend_id, c.certificate,
       cube(ARRAY[n * cos(radians(lat)) * cos(radians(lon)), n * cos(radians(lat)) * sin(radians(lon)),
                  n * (1 - e) * sin(radians(lat))])
FROM (SELECT p.*, 6378137.0 / sqrt(1 - e * sin(radians(lat)) ^ 2) AS n, e
      FROM people p, (SELECT (2 - 1 / 298.257223563) / 298.257223563 AS e) AS k) AS p
JOIN friend_certificates c ON c.friend_id = p.id;
CREATE INDEX near_at ON near USING gist (certificate, at)

-- name: prepare_postgis
CREATE EXTENSION IF NOT EXISTS postgis SCHEMA public;
CREATE TABLE near (friend_id uuid NOT NULL, certificate text NOT NULL, at public.geography(point) NOT NULL);
INSERT INTO near
SELECT c.friend_id, c.certificate, public.st_point(p.lon, p.lat)::public.geography
FROM people p JOIN friend_certificates c ON c.friend_id = p.id;
CREATE INDEX near_at ON near USING gist (certificate, at)

-- name: settle
VACUUM ANALYZE people, friends, friend_certificates, partner_members, blocks, packages, prices, certificates, near

-- name: nearest_cube
SELECT f.id, f.radius_m, n.at <-> cube($1::float8[]) AS away_m
FROM near n JOIN friends f ON f.id = n.friend_id
WHERE n.certificate = $2 AND n.at <@ cube_enlarge(cube($1::float8[]), 30000, 3)
  AND f.state = 'active' AND f.tier = 'friend' AND f.market = $3::text::market
  AND $4::text::language = ANY(f.languages) AND f.open_jobs < f.capacity
  AND n.at <-> cube($1::float8[]) <= f.radius_m
  AND NOT EXISTS (SELECT FROM blocks b WHERE b.friend_id = f.id AND b.customer_key = $5)
  AND (SELECT count(*) FROM offers o WHERE o.friend_id = f.id AND o.state = 'live'
         AND o.expires_at > clock_timestamp()) < 5
ORDER BY n.at <-> cube($1::float8[]) LIMIT 4

-- name: nearest_postgis
SELECT f.id, f.radius_m, st_distance(n.at, st_point($1, $2)::geography) AS away_m
FROM near n JOIN friends f ON f.id = n.friend_id
WHERE n.certificate = $3 AND st_dwithin(n.at, st_point($1, $2)::geography, 30000)
  AND f.state = 'active' AND f.tier = 'friend' AND f.market = $4::text::market
  AND $5::text::language = ANY(f.languages) AND f.open_jobs < f.capacity
  AND st_distance(n.at, st_point($1, $2)::geography) <= f.radius_m
  AND NOT EXISTS (SELECT FROM blocks b WHERE b.friend_id = f.id AND b.customer_key = $6)
  AND (SELECT count(*) FROM offers o WHERE o.friend_id = f.id AND o.state = 'live'
         AND o.expires_at > clock_timestamp()) < 5
ORDER BY n.at <-> st_point($1, $2)::geography LIMIT 4

-- name: insert_person
INSERT INTO people (id, kind, name, email, phone, language, street, postcode, city, country, lat, lon, precision,
                    radius_m, notes)
VALUES ($1, 'customer', $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 'address', 0, $12)

-- name: insert_booking
INSERT INTO bookings (id, state, package, market, language, customer_id, customer_key, members_only, wishes,
                      price_minor, pay_minor, currency, cell_lat, cell_lon, cell_label, tier, round, round_limit,
                      event_seq, created_at, state_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, false, '{}', $8, $9, $10, $11, $12, $13, 'friend', 1, 5, 2, $14, $14)

-- name: insert_offer
INSERT INTO offers (id, booking_id, friend_id, round, slot, state, distance_m, shown_m, radius_m, offered_at,
                    expires_at)
VALUES ($1, $2, $3, 1, $4, 'live', $5, $5 / 100 * 100, $6, $7, $8)

-- name: insert_event
INSERT INTO events (booking_id, seq, kind, at, actor, data) VALUES ($1, $2, $3, $4, $5, $6)

-- name: insert_decision
INSERT INTO decisions (booking_id, seq, round, tier, at, policy, friend_ids, outcomes, distances_m, ranks)
VALUES ($1, $2, 1, 'friend', $3, 'straightforward', $4::uuid[],
        array_fill('OFFERED'::outcome, ARRAY[cardinality($4::uuid[])]), $5::int[],
        ARRAY(SELECT generate_series(1, cardinality($4::uuid[]))))

-- name: insert_message
INSERT INTO messages (id, booking_id, seq, channel, audience, recipient_id, template, data, next_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)

-- name: insert_timer
INSERT INTO timers (booking_id, kind, due_at, not_before) VALUES ($1, $2, $3, $3)

-- name: customer_of
SELECT customer_id FROM bookings WHERE id = $1

-- name: who
SELECT person_id FROM sessions WHERE token_sha256 = $1 AND revoked_at IS NULL AND expires_at > clock_timestamp()

-- name: booking_of_offer
SELECT booking_id FROM offers WHERE id = $1 AND friend_id = $2

-- name: take
UPDATE bookings SET state = 'awarded', award_id = $2, event_seq = 3, state_at = clock_timestamp()
WHERE id = $1 AND state = 'open'
RETURNING id, customer_id, clock_timestamp() AS now

-- name: accept_offer
UPDATE offers SET state = 'accepted', answered_at = clock_timestamp()
WHERE id = $1 AND state = 'live' AND expires_at > clock_timestamp() RETURNING true

-- name: lose_the_others
UPDATE offers SET state = 'lost' WHERE booking_id = $1 AND state = 'live' RETURNING friend_id

-- name: insert_award
INSERT INTO awards (id, booking_id, friend_id, offer_id, round, state, awarded_at, contact_due_at)
VALUES ($1, $2, $3, $4, 1, 'live', $5, $6)

-- name: count_job
UPDATE friends SET open_jobs = open_jobs + 1 WHERE id = $1

-- name: stop_timers
DELETE FROM timers WHERE booking_id = $1
