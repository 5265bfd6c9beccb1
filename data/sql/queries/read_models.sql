-- name: booking
-- A booking in one row; the caller removes what its audience may not see. A booking of another partner, or one held by
-- another friend, takes no more work than one that does not exist.
SELECT b.id, b.state, b.round, b.package, b.package_version, b.tier, b.market, b.language, b.price_minor, b.currency, b.partner_id,
       b.partner_reference, b.wishes, b.created_at, clock.now, r.stars, v.texts -> b.language::text ->> 0 AS package_name,
       (SELECT count(*) FROM offers o WHERE o.booking_id = b.id AND o.state = 'live' AND o.expires_at > clock.now) AS live,
       a.friend_id, CASE WHEN a.id IS NOT NULL THEN a END AS award, b.cancel_fee_minor, fr.languages AS friend_languages,
       (SELECT count(*) FROM offers o WHERE o.booking_id = b.id) AS asked,
       (SELECT round(avg(g.stars), 1)::float8 FROM shown_ratings g WHERE g.friend_id = a.friend_id) AS friend_stars,
       (SELECT count(*) FROM shown_ratings g WHERE g.friend_id = a.friend_id) AS friend_ratings,
       (SELECT p.id FROM files p WHERE p.person_id = a.friend_id AND p.kind = 'photo') AS friend_photo, f.name AS friend_name,
       f.email AS friend_email, f.language AS friend_language,
       CASE WHEN c.erased_at IS NULL THEN c.name ELSE '' END AS name,
       CASE WHEN c.erased_at IS NULL THEN c.email ELSE '' END AS email, c.phone, c.street, c.postcode, c.city,
       c.country, c.lat, c.lon, c.notes, b.language AS spoken, c.signature, c.move_note,
       first.name AS first_name, first.expires_at AS first_until
FROM (SELECT moment() AS now) AS clock, bookings b
JOIN package_versions v ON v.package = b.package AND v.version = b.package_version
JOIN people c ON c.id = b.customer_id
LEFT JOIN awards a ON a.id = b.award_id
LEFT JOIN people f ON f.id = a.friend_id
LEFT JOIN friends fr ON fr.id = a.friend_id
LEFT JOIN standing_ratings r ON r.booking_id = b.id
LEFT JOIN LATERAL (SELECT p.name, o.expires_at FROM offers o JOIN people p ON p.id = o.friend_id
  WHERE o.booking_id = b.id AND b.round = 1 AND o.friend_id = b.favourite_id AND o.state = 'live' AND o.slots = 1
    AND o.expires_at > clock.now) AS first ON b.favourite_id IS NOT NULL
WHERE b.id = $1 AND ($2::uuid IS NULL OR b.partner_id = $2) AND ($3::uuid IS NULL OR a.friend_id = $3)

-- name: bookings
-- Newest first; a page begins after the last booking of the page before.
SELECT b.id, b.state, b.round, b.package, b.package_version, b.tier, b.market, b.language, b.price_minor, b.currency, b.partner_id,
       b.partner_reference, b.wishes, b.created_at, clock.now, r.stars, v.texts -> b.language::text ->> 0 AS package_name,
       (SELECT count(*) FROM offers o WHERE o.booking_id = b.id AND o.state = 'live' AND o.expires_at > clock.now) AS live,
       a.friend_id, CASE WHEN a.id IS NOT NULL THEN a END AS award, b.cancel_fee_minor, fr.languages AS friend_languages,
       (SELECT count(*) FROM offers o WHERE o.booking_id = b.id) AS asked,
       (SELECT round(avg(g.stars), 1)::float8 FROM shown_ratings g WHERE g.friend_id = a.friend_id) AS friend_stars,
       (SELECT count(*) FROM shown_ratings g WHERE g.friend_id = a.friend_id) AS friend_ratings,
       (SELECT p.id FROM files p WHERE p.person_id = a.friend_id AND p.kind = 'photo') AS friend_photo, f.name AS friend_name
FROM (SELECT moment() AS now) AS clock, bookings b
JOIN package_versions v ON v.package = b.package AND v.version = b.package_version
LEFT JOIN awards a ON a.id = b.award_id
LEFT JOIN people f ON f.id = a.friend_id
LEFT JOIN friends fr ON fr.id = a.friend_id
LEFT JOIN standing_ratings r ON r.booking_id = b.id
WHERE ($1::uuid IS NULL OR b.partner_id = $1)
  AND ($2::booking_state IS NULL OR b.state = $2)
  AND ($3::text IS NULL OR b.partner_reference = $3)
  AND ($4::timestamptz IS NULL OR (b.created_at, b.id) < ($4, $5::uuid))
  AND ($7::text IS NULL OR b.customer_key = $7)
  AND ($8::bool IS NULL OR (b.state IN ('completed', 'cancelled')) = $8)
ORDER BY b.created_at DESC, b.id DESC LIMIT $6

-- name: done_job
-- The friend who has completed a booking.
SELECT b.customer_key, a.friend_id FROM bookings b JOIN awards a ON a.id = b.award_id
WHERE b.id = $1 AND b.state = 'completed' AND a.state = 'done'

-- name: owner
SELECT id, partner_id FROM bookings WHERE id = $1

-- name: events
SELECT seq, kind, at, data FROM events WHERE booking_id = $1 AND seq > $2 ORDER BY seq LIMIT $3

-- name: decisions
SELECT d.seq, d.round, d.tier, d.at, d.policy, d.friend_ids, d.outcomes::text[] AS outcomes, d.distances_m, d.ranks,
       ARRAY(SELECT f.ref FROM unnest(d.friend_ids) WITH ORDINALITY AS u (id, n) JOIN friends f ON f.id = u.id
             ORDER BY u.n) AS refs, d.reach_outcomes::text[] AS reach_outcomes, d.reach_counts, d.reach_m
FROM decisions d WHERE d.booking_id = $1 ORDER BY d.seq

-- name: decided
-- With all that they were decided by.
SELECT booking_id, seq, round, tier, at, policy, friend_ids, outcomes::text[] AS outcomes, distances_m, ranks, policy_id,
       search, facts, reach_outcomes::text[] AS reach_outcomes, reach_counts, reach_m
FROM decisions WHERE booking_id = $1 ORDER BY seq

-- name: positions
-- A friend, named by id or ref, and a booking with its cell: their points, to compute distances.
SELECT f.id, f.ref, p.lat, p.lon, c.lat AS booking_lat, c.lon AS booking_lon, b.cell_lat, b.cell_lon
FROM friends f JOIN people p ON p.id = f.id, bookings b JOIN people c ON c.id = b.customer_id
WHERE (f.ref = $1 OR f.id::text = $1) AND b.id = $2

-- name: offers
-- What a friend may see of an offer, which is not a company's; whether it has expired is decided by `moment()` alone.
SELECT o.id, o.booking_id, o.round, o.shown_m, o.offered_at, o.expires_at, b.package, b.package_version, b.tier,
       b.pay_minor, b.currency, b.cell_lat, b.cell_lon, b.cell_label, b.wishes, me.language, clock.now,
       b.favourite_id IS NOT DISTINCT FROM o.friend_id AS for_you
FROM (SELECT moment() AS now) AS clock, offers o
JOIN bookings b ON b.id = o.booking_id
JOIN people me ON me.id = o.friend_id
WHERE o.friend_id = $1 AND o.company_id IS NULL AND o.state = 'live' AND o.expires_at > clock.now
ORDER BY o.expires_at, o.id

-- name: jobs
-- The jobs a friend holds or has done, newest first.
SELECT a AS award, a.booking_id, b.state, b.package, b.package_version,
       b.pay_minor, b.currency, b.wishes, me.language, clock.now, c.name, c.email, c.phone, c.street, c.postcode, c.city,
       c.country, c.lat, c.lon, c.notes, b.language AS spoken, c.move_note, me.lat AS base_lat, me.lon AS base_lon
FROM (SELECT moment() AS now) AS clock, awards a
JOIN bookings b ON b.id = a.booking_id
JOIN people c ON c.id = b.customer_id
JOIN people me ON me.id = a.friend_id
WHERE a.friend_id = $1 AND a.state IN ('live', 'done')
  AND ($2::booking_state IS NULL OR b.state = $2)
  AND ($3::timestamptz IS NULL OR (a.awarded_at, a.id) < ($3, $4::uuid))
ORDER BY a.awarded_at DESC, a.id DESC LIMIT $5

-- name: earnings
-- What a friend was paid for, newest first, whatever became of the award: a share of a fee outlives it. Jobs of a company
-- are paid to it.
SELECT c.booking_id, c.pay_minor, c.currency, c.at, v.at AS reversed_at, b.package, b.package_version, b.cancel_fee_minor,
       me.language
FROM charges c
JOIN bookings b ON b.id = c.booking_id
JOIN people me ON me.id = c.friend_id
LEFT JOIN reversals v ON v.booking_id = c.booking_id AND v.no = c.no
WHERE c.friend_id = $1 AND c.company_id IS NULL AND ($2::timestamptz IS NULL OR (c.at, c.booking_id) < ($2, $3::uuid))
ORDER BY c.at DESC, c.booking_id DESC LIMIT $4

-- name: customers
SELECT b.id, c.name, c.email, c.phone, c.street, c.postcode, c.city, c.country, c.lat, c.lon, c.notes,
       b.language AS spoken
FROM bookings b JOIN people c ON c.id = b.customer_id WHERE b.id = ANY ($1)

-- name: customer_links
SELECT id, link_generation, customer_key FROM bookings WHERE id = ANY($1::uuid[])

-- name: outcomes
-- No distance and no rank: they would reveal where others live. No line where friend and customer are blocked: it would
-- reveal who has booked.
SELECT d.booking_id, d.seq, d.round, d.at, b.package,
       d.outcomes[array_position(d.friend_ids, $1)]::text AS outcome
FROM decisions d JOIN bookings b ON b.id = d.booking_id
WHERE $1 = ANY(d.friend_ids) AND d.outcomes[array_position(d.friend_ids, $1)] <> 'BLOCKED'
  AND ($2::uuid IS NULL OR (d.booking_id, d.seq) < ($2, $3::int))
ORDER BY d.booking_id DESC, d.seq DESC LIMIT $4
