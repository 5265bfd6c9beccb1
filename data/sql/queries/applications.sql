-- name: insert_person
-- None when somebody else has got the address meanwhile.
INSERT INTO people (id, kind, name, email, language, country) VALUES ($1, 'friend', $2, $3, $4, $5)
ON CONFLICT DO NOTHING RETURNING id

-- name: insert_friend
INSERT INTO friends (id, ref, state, tier, market, languages, radius_m, capacity, created_at)
VALUES ($1::uuid, 'a-' || $1::uuid, 'applicant', 'friend', $2, ARRAY[$3::language], $4, $5, moment())

-- name: insert
INSERT INTO applications (id, friend_id, state, created_at) VALUES ($1, $2, 'draft', moment())

-- name: find
-- The last application of a friend with all that belongs to it.
SELECT a.id, a.state, a.education, a.interests, a.skills, a.created_at, a.submitted_at, a.ended_at, a.reasons,
       f.id AS friend_id, f.state AS friend_state, f.market, f.languages, f.radius_m,
       p.name, p.email, p.phone, p.language, p.birth_date, p.postcode, p.city, p.lat, p.lon, p.notes,
       p.guardian_name, p.guardian_email, p.guardian_phone, g.confirmed_at AS guardian_confirmed_at,
       g.ended_at AS guardian_ended_at
FROM friends f JOIN people p ON p.id = f.id
LEFT JOIN LATERAL (SELECT * FROM applications x WHERE x.friend_id = f.id ORDER BY x.created_at DESC, x.id DESC LIMIT 1)
  AS a ON true
LEFT JOIN LATERAL (SELECT * FROM guardianships x WHERE x.friend_id = f.id ORDER BY x.asked_at DESC, x.id DESC LIMIT 1)
  AS g ON true
WHERE f.id = $1 AND p.erased_at IS NULL

-- name: change_person
-- A value that is null stays.
UPDATE people SET name = coalesce($2, name), phone = coalesce($3, phone), birth_date = coalesce($4, birth_date),
  postcode = coalesce($5, postcode), city = coalesce($6, city), lat = coalesce($7, lat), lon = coalesce($8, lon),
  precision = CASE WHEN $7::float8 IS NULL THEN precision ELSE 'postcode' END, notes = coalesce($9, notes),
  guardian_name = coalesce($10, guardian_name), guardian_email = coalesce($11, guardian_email),
  guardian_phone = coalesce($12, guardian_phone)
WHERE id = $1

-- name: change_friend
UPDATE friends SET radius_m = coalesce($2, radius_m), languages = coalesce($3, languages) WHERE id = $1

-- name: change
UPDATE applications SET education = coalesce($2, education), interests = coalesce($3, interests),
  skills = coalesce($4, skills)
WHERE id = $1

-- name: agree
INSERT INTO consents (person_id, text, version, language, at) VALUES ($1, $2, $3, $4, moment()) ON CONFLICT DO NOTHING

-- name: consents
SELECT text, version, at FROM consents WHERE person_id = $1 ORDER BY at, text

-- name: submit
UPDATE applications SET state = 'submitted', submitted_at = moment() WHERE id = $1

-- name: end_application
UPDATE applications SET state = $2, ended_at = moment(), decided_by = $3, reasons = $4 WHERE id = $1

-- name: submitted
-- What was submitted and is in a state, the oldest first.
SELECT a.id, a.friend_id, a.state, a.submitted_at, p.name, p.postcode, p.city, f.market,
       ARRAY(SELECT DISTINCT c.certificate FROM friend_certificates c
             WHERE c.friend_id = f.id AND c.valid @> moment() ORDER BY c.certificate) AS certificates
FROM applications a JOIN friends f ON f.id = a.friend_id JOIN people p ON p.id = f.id
WHERE a.state = $1 AND (a.submitted_at, a.id) > ($2, $3::uuid) ORDER BY a.submitted_at, a.id LIMIT $4

-- name: is_certified
SELECT EXISTS (SELECT FROM friend_certificates c WHERE c.friend_id = $1 AND c.valid @> moment())

-- name: end_guardianship
UPDATE guardianships SET ended_at = moment() WHERE friend_id = $1 AND ended_at IS NULL RETURNING id

-- name: asked_lately
SELECT count(*) FROM guardianships WHERE friend_id = $1 AND asked_at > moment() - interval '24 hours'

-- name: insert_guardianship
INSERT INTO guardianships (id, friend_id, asked_at) VALUES ($1, $2, moment())

-- name: guardianship
SELECT g.id, g.friend_id, g.asked_at, g.confirmed_at, g.ended_at, p.name AS friend_name, p.guardian_name
FROM guardianships g JOIN people p ON p.id = g.friend_id WHERE g.id = $1

-- name: confirm_guardianship
UPDATE guardianships SET confirmed_at = moment()
WHERE id = $1 AND confirmed_at IS NULL AND ended_at IS NULL RETURNING id
