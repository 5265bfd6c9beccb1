-- name: insert
INSERT INTO companies (id, name, created_at) VALUES ($1, $2, moment())

-- name: booking_of_offer
SELECT booking_id FROM offers WHERE id = $1 AND company_id = $2

-- name: listed
SELECT c.id, c.name, c.created_at,
       (SELECT count(*) FROM dispatchers d WHERE d.company_id = c.id) AS dispatchers,
       (SELECT count(*) FROM friends f WHERE f.company_id = c.id) AS technicians,
       (SELECT count(*) FROM awards a WHERE a.company_id = c.id AND a.state = 'live') AS open_jobs
FROM companies c ORDER BY lower(c.name), c.id

-- name: one
SELECT c.id, c.name, c.created_at,
       (SELECT count(*) FROM dispatchers d WHERE d.company_id = c.id) AS dispatchers,
       (SELECT count(*) FROM friends f WHERE f.company_id = c.id) AS technicians,
       (SELECT count(*) FROM awards a WHERE a.company_id = c.id AND a.state = 'live') AS open_jobs
FROM companies c WHERE c.id = $1

-- name: of_dispatcher
SELECT c.id, c.name FROM dispatchers d JOIN companies c ON c.id = d.company_id WHERE d.id = $1

-- name: dispatchers
SELECT d.id, p.name, p.email, p.language, d.created_at FROM dispatchers d JOIN people p ON p.id = d.id
WHERE d.company_id = $1 ORDER BY lower(p.name), d.id

-- name: insert_dispatcher
WITH person AS (INSERT INTO people (id, kind, name, email, language) VALUES ($1, 'dispatcher', $3, $4, $5)
                ON CONFLICT DO NOTHING RETURNING id)
INSERT INTO dispatchers (id, company_id, created_at) SELECT id, $2, moment() FROM person RETURNING id

-- name: delete_dispatcher
-- The name stays: events name who decided. The address is free for another account.
WITH gone AS (DELETE FROM dispatchers WHERE id = $1 AND company_id = $2 RETURNING id),
     keys AS (DELETE FROM passkeys WHERE person_id IN (SELECT id FROM gone))
UPDATE people p SET email = p.id || '@removed.invalid', phone = NULL, erased_at = moment()
FROM gone WHERE p.id = gone.id RETURNING p.id

-- name: lock_friend
SELECT id, company_id, tier, state FROM friends WHERE id = $1 FOR NO KEY UPDATE

-- name: live_awards
SELECT count(*) FROM awards WHERE friend_id = $1 AND company_id IS NOT NULL AND state = 'live'

-- name: set_company
UPDATE friends SET company_id = $2 WHERE id = $1

-- name: technicians
-- With their load: what they hold, and what they may hold.
SELECT f.id, f.ref, p.name, f.state, f.open_jobs, f.capacity, f.languages,
       ARRAY(SELECT DISTINCT c.certificate FROM friend_certificates c
             WHERE c.friend_id = f.id AND c.valid @> moment() ORDER BY 1) AS certificates
FROM friends f JOIN people p ON p.id = f.id
WHERE f.company_id = $1 AND p.erased_at IS NULL AND f.state <> 'applicant' ORDER BY lower(p.name), f.id

-- name: offers
-- What a company may see of its offers: what a friend may see of one.
SELECT o.id, o.booking_id, o.round, o.shown_m, o.offered_at, o.expires_at, b.package, b.package_version, b.tier, b.pay_minor,
       b.currency, b.cell_lat, b.cell_lon, b.cell_label, b.wishes, me.language, clock.now, false AS for_you
FROM (SELECT moment() AS now) AS clock, offers o
JOIN bookings b ON b.id = o.booking_id
JOIN people me ON me.id = $2
WHERE o.company_id = $1 AND o.state = 'live' AND o.expires_at > clock.now
ORDER BY o.expires_at, o.id

-- name: jobs
-- The jobs a company holds or has done, newest first, with what its technician may see of each.
SELECT a AS award, a.booking_id, b.state, b.package, b.package_version, t.name AS technician,
       b.pay_minor, b.currency, b.wishes, me.language, clock.now, c.name, c.email, c.phone, c.street, c.postcode, c.city,
       c.country, c.lat, c.lon, c.notes, b.language AS spoken, c.move_note, NULL::float8 AS base_lat, NULL::float8 AS base_lon
FROM (SELECT moment() AS now) AS clock, awards a
JOIN bookings b ON b.id = a.booking_id
JOIN people c ON c.id = b.customer_id
JOIN people t ON t.id = a.friend_id
JOIN people me ON me.id = $2
WHERE a.company_id = $1 AND a.state IN ('live', 'done')
  AND ($3::timestamptz IS NULL OR (a.awarded_at, a.id) < ($3, $4::uuid))
ORDER BY a.awarded_at DESC, a.id DESC LIMIT $5
