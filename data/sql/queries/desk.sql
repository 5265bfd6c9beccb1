-- name: page
-- Newest first; a page begins after the last booking of the page before, the first one after END_OF_TIME.
SELECT b.id, b.created_at FROM bookings b WHERE (b.created_at, b.id) < ($1, $2::uuid)
ORDER BY b.created_at DESC, b.id DESC LIMIT $3

-- name: page_completed
-- Most bookings are completed: the index over all finds them soon.
SELECT b.id, b.created_at FROM bookings b WHERE (b.created_at, b.id) < ($1, $2::uuid) AND b.state = 'completed'
ORDER BY b.created_at DESC, b.id DESC LIMIT $3

-- name: page_in_state
SELECT b.id, b.created_at FROM bookings b
WHERE (b.created_at, b.id) < ($1, $2::uuid) AND b.state = $4 AND b.state <> 'completed'
ORDER BY b.created_at DESC, b.id DESC LIMIT $3

-- name: page_among
SELECT b.id, b.created_at FROM bookings b
WHERE b.id = ANY($4::uuid[]) AND (b.created_at, b.id) < ($1, $2::uuid) AND ($5::booking_state IS NULL OR b.state = $5)
ORDER BY b.created_at DESC, b.id DESC LIMIT $3

-- name: rows
SELECT b.id, b.state, b.package, b.market, b.created_at, b.price_minor, b.currency, a.contact_due_at, a.friend_id,
       f.ref, h.name AS friend_name, CASE WHEN c.erased_at IS NULL THEN c.name ELSE '' END AS name, c.postcode, c.city, c.precision
FROM bookings b JOIN people c ON c.id = b.customer_id
LEFT JOIN awards a ON a.id = b.award_id
LEFT JOIN friends f ON f.id = a.friend_id
LEFT JOIN people h ON h.id = a.friend_id
WHERE b.id = ANY($1::uuid[]) ORDER BY b.created_at DESC, b.id DESC

-- name: search_terms
-- For every word its spellings with an umlaut, with the vowel alone and with an e after it (ue is no ü in Bauer, neu and
-- Quelle), and for a telephone number the ways it may begin.
SELECT string_agg(term, ' & ') AS terms FROM (
  SELECT '(' || string_agg(DISTINCT quote_literal(s.spelling) || ':*', ' | ') || ')' AS term
  FROM unnest(words(lower(regexp_replace($1, '@\S*', '', 'g')))) WITH ORDINALITY AS t (word, place),
       LATERAL (VALUES (plain(word)),
         (plain(regexp_replace(regexp_replace(word, '([ao])e', '\1', 'g'), '(^|[^aeq])ue', '\1u', 'g'))),
         (plain(replace(replace(replace(word, 'ä', 'ae'), 'ö', 'oe'), 'ü', 'ue')))) AS s (spelling)
  GROUP BY t.place
  UNION ALL SELECT '(' || string_agg(quote_literal(d) || ':*', ' | ') || ')' FROM unnest($2::text[]) AS d HAVING count(*) > 0
) AS terms

-- name: search
-- The newest of each: by booking id, partner reference, friend ref, words of the customer's data.
SELECT b.id FROM bookings b WHERE b.id = $2::uuid
UNION SELECT b.id FROM bookings b WHERE b.partner_reference = $1 AND b.partner_id = ANY(ARRAY(SELECT p.id FROM partners p))
UNION (SELECT a.booking_id FROM awards a WHERE a.friend_id = (SELECT f.id FROM friends f WHERE f.ref = $1)
       ORDER BY a.awarded_at DESC LIMIT $3)
UNION SELECT b.id
FROM (SELECT p.id FROM people p
      WHERE findable(p.name, p.email, p.phone, p.postcode, p.city) @@ $4::text::tsquery
        AND ($1 !~ '^\S+@\S*$' OR starts_with(lower(p.email), lower($1)))
        AND p.kind = 'customer' AND p.erased_at IS NULL
      ORDER BY p.id DESC LIMIT $3) AS c
JOIN bookings b ON b.customer_id = c.id

-- name: unfilled
SELECT id FROM bookings WHERE state = 'unfilled' LIMIT $1

-- name: incomplete
SELECT id FROM bookings WHERE state = 'incomplete' AND state <> 'completed' LIMIT $1

-- name: contact_due_soon
-- By the timers, which have an index for the sweep.
SELECT booking_id AS id FROM timers
WHERE kind = 'contact_deadline' AND not_before <= (SELECT moment()) + $2::interval LIMIT $1

-- name: missed
-- Forfeited within the last day, and the customer has not been contacted since.
SELECT b.id FROM (SELECT DISTINCT a.booking_id FROM awards a
                  WHERE a.state = 'forfeited' AND a.ended_at > (SELECT moment()) - interval '1 day') AS lost
JOIN bookings b ON b.id = lost.booking_id
WHERE b.state IN ('open', 'unfilled', 'awarded') LIMIT $1

-- name: disputed
-- The friend reported a call, the customer disputes it, and neither an appointment nor anybody else proves it.
SELECT booking_id AS id FROM awards
WHERE state = 'live' AND disputed_at IS NOT NULL AND disputed_at >= contacted_at AND appointment IS NULL
  AND marks ->> 'contact_contest' IS DISTINCT FROM 'settled' LIMIT $1

-- name: nothing_agreed
-- The friend has reached the customer some time ago, and no appointment followed.
SELECT b.id FROM bookings b JOIN awards a ON a.id = b.award_id
WHERE b.state = 'contacted' AND b.state <> 'completed' AND a.appointment IS NULL
  AND a.contacted_at <= (SELECT moment()) - $2::interval LIMIT $1

-- name: hand_backs
-- The last job that a friend handed back before being paused for handing back too many.
SELECT l.booking_id AS id FROM friends f
JOIN LATERAL (SELECT a.booking_id FROM awards a WHERE a.friend_id = f.id AND a.state = 'handed_back'
              ORDER BY a.awarded_at DESC LIMIT 1) AS l ON true
WHERE f.alarmed_at IS NOT NULL AND f.state <> 'suspended' LIMIT $1

-- name: contested
-- The customer says that a completed job is not done, and the desk has not decided.
SELECT booking_id AS id FROM awards WHERE state = 'done' AND marks ->> 'contest' = 'open' LIMIT $1

-- name: unsure_addresses
-- Located by the town only: ranking by distance may be wrong.
SELECT b.id FROM bookings b JOIN people c ON c.id = b.customer_id
WHERE b.state IN ('open', 'unfilled', 'awarded') AND b.state <> 'completed' AND c.precision IN ('town', 'district') LIMIT $1

-- name: parked_messages
SELECT coalesce(booking_id, subject_id) AS id FROM messages WHERE state = 'parked' LIMIT $1

-- name: day_numbers
-- Events since midnight in a time zone; a booking counts once per kind.
SELECT clock.now, clock.since,
       count(DISTINCT b.id) FILTER (WHERE e.kind = 'booking.created') AS booked,
       count(DISTINCT b.id) FILTER (WHERE e.kind = 'booking.awarded') AS awarded,
       count(DISTINCT b.id) FILTER (WHERE e.kind = 'booking.contacted') AS contacted_in_time,
       count(DISTINCT b.id) FILTER (WHERE e.kind = 'contact.missed') AS missed,
       count(DISTINCT b.id) FILTER (WHERE e.kind = 'booking.completed') AS completed,
       count(DISTINCT b.id) FILTER (WHERE e.kind = 'booking.unfilled') AS unfilled,
       count(DISTINCT b.id) FILTER (WHERE e.kind = 'booking.cancelled') AS cancelled,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM e.at - b.created_at)::float8)
         FILTER (WHERE e.kind = 'booking.awarded' AND NOT EXISTS (
           SELECT FROM awards a WHERE a.booking_id = b.id AND a.awarded_at < e.at)) AS median_seconds_to_award
FROM (SELECT moment() AS now, date_trunc('day', moment(), $1) AS since) AS clock
LEFT JOIN (events e JOIN bookings b ON b.id = e.booking_id AND ($2::market IS NULL OR b.market = $2))
  ON e.at >= (SELECT date_trunc('day', moment(), $1))
GROUP BY clock.now, clock.since

-- name: live_offers
SELECT count(*) FROM offers o JOIN bookings b ON b.id = o.booking_id
WHERE o.state = 'live' AND o.slot >= 1 AND o.expires_at > (SELECT moment()) AND ($1::market IS NULL OR b.market = $1)

-- name: booking_details
-- Data of a booking that only the desk may see.
SELECT c.precision, c.radius_m, c.signature, c.desk_notes, b.needs_pro, p.name AS partner
FROM bookings b JOIN people c ON c.id = b.customer_id LEFT JOIN partners p ON p.id = b.partner_id
WHERE b.id = $1

-- name: events_of
SELECT seq, kind, at, actor, data FROM events WHERE booking_id = $1 ORDER BY seq LIMIT $2

-- name: offers_of
SELECT o.id, o.round, o.state, o.friend_id, f.ref, p.name, o.distance_m, o.offered_at, o.expires_at, o.answered_at
FROM offers o JOIN friends f ON f.id = o.friend_id JOIN people p ON p.id = o.friend_id
WHERE o.booking_id = $1 ORDER BY o.round, o.offered_at, o.slot, o.id LIMIT $2

-- name: awards_of
SELECT a.id, a.round, a.state, a.friend_id, f.ref, p.name, a.awarded_at, a.contact_due_at, a.contacted_at, a.ended_at,
       a.summary, a.worked_minutes
FROM awards a JOIN friends f ON f.id = a.friend_id JOIN people p ON p.id = a.friend_id
WHERE a.booking_id = $1 ORDER BY a.round, a.awarded_at, a.id LIMIT $2

-- name: names
SELECT id, name FROM people WHERE id = ANY($1::uuid[])

-- name: contacts
SELECT p.id, p.name, p.phone,
       (SELECT round(avg(r.stars), 2)::float8 FROM standing_ratings r WHERE r.friend_id = p.id) AS stars,
       (SELECT count(*) FROM standing_ratings r WHERE r.friend_id = p.id) AS ratings
FROM people p WHERE p.id = ANY($1::uuid[]) AND p.kind = 'friend'

-- name: add_booking_note
UPDATE people SET desk_notes = desk_notes || jsonb_build_object('at', moment(), 'by', $2::uuid, 'text', $3::text)
WHERE id = (SELECT customer_id FROM bookings WHERE id = $1) AND jsonb_array_length(desk_notes) < $4 RETURNING desk_notes

-- name: add_friend_note
UPDATE people SET desk_notes = desk_notes || jsonb_build_object('at', moment(), 'by', $2::uuid, 'text', $3::text)
WHERE id = $1 AND kind = 'friend' AND jsonb_array_length(desk_notes) < $4 RETURNING desk_notes

-- name: record_access
-- Repeated access within ten minutes is recorded once.
INSERT INTO audit (at, actor, act, subject, subject_kind)
SELECT moment(), $1, $2, $3, $4
WHERE NOT EXISTS (SELECT FROM audit a WHERE a.subject = $3 AND a.at > (SELECT moment()) - interval '10 minutes'
                    AND a.actor = $1 AND a.act = $2)

-- name: map_bookings
-- Bookings not finished, and those of the last seven days.
SELECT b.id, b.state, c.lat, c.lon
FROM ((SELECT id, state, customer_id FROM bookings
       WHERE created_at > (SELECT moment()) - interval '7 days' ORDER BY created_at DESC LIMIT $1)
      UNION
      SELECT id, state, customer_id FROM bookings
      WHERE state IN ('open', 'awarded', 'contacted', 'scheduled', 'under_way', 'unfilled', 'incomplete')
        AND state <> 'completed') AS b
JOIN people c ON c.id = b.customer_id WHERE c.lat IS NOT NULL LIMIT $1

-- name: messages
-- By the time of the last attempt, the longest waiting first.
SELECT id, booking_id, subject_kind, coalesce(subject_id, booking_id) AS subject_id, channel, audience, template, state,
       attempts, next_at, problem
FROM messages
WHERE state = $1 AND state IN ('parked', 'pending') AND (next_at, id) > ($2, $3::uuid) ORDER BY next_at, id LIMIT $4

-- name: friends
-- The page is selected first, so that certificates are read for its friends only. Applicants are listed by themselves.
SELECT f.id, f.ref, f.state, f.tier, f.market, f.languages, f.radius_m, f.capacity, f.open_jobs, p.name, p.phone,
       p.postcode, p.city,
       (SELECT round(avg(r.stars), 2)::float8 FROM standing_ratings r WHERE r.friend_id = f.id) AS stars,
       (SELECT count(*) FROM standing_ratings r WHERE r.friend_id = f.id) AS ratings,
       ARRAY(SELECT DISTINCT c.certificate FROM friend_certificates c
             WHERE c.friend_id = f.id AND c.valid @> moment() ORDER BY c.certificate) AS certificates
FROM (SELECT * FROM friends
      WHERE ref > $1 AND (state = $2 OR $2::friend_state IS NULL AND state <> 'applicant')
      ORDER BY ref LIMIT $3) AS f
JOIN people p ON p.id = f.id ORDER BY f.ref

-- name: friends_among
SELECT f.id, f.ref, f.state, f.tier, f.market, f.languages, f.radius_m, f.capacity, f.open_jobs, p.name, p.phone,
       p.postcode, p.city,
       (SELECT round(avg(r.stars), 2)::float8 FROM standing_ratings r WHERE r.friend_id = f.id) AS stars,
       (SELECT count(*) FROM standing_ratings r WHERE r.friend_id = f.id) AS ratings,
       ARRAY(SELECT DISTINCT c.certificate FROM friend_certificates c
             WHERE c.friend_id = f.id AND c.valid @> moment() ORDER BY c.certificate) AS certificates
FROM (SELECT * FROM friends WHERE id = ANY($4::uuid[]) AND ref > $1 AND ($2::friend_state IS NULL OR state = $2)
      ORDER BY ref LIMIT $3) AS f
JOIN people p ON p.id = f.id ORDER BY f.ref

-- name: search_friends
-- By id, prefix of the ref, or words of name, mail, telephone number, postcode and town.
SELECT f.id FROM friends f WHERE f.id = $2::uuid
UNION (SELECT f.id FROM friends f WHERE starts_with(lower(f.ref), lower($1)) ORDER BY f.ref LIMIT $3)
UNION (SELECT p.id FROM people p
       WHERE findable(p.name, p.email, p.phone, p.postcode, p.city) @@ $4::text::tsquery
         AND ($1 !~ '^\S+@\S*$' OR starts_with(lower(p.email), lower($1)))
         AND p.kind = 'friend' AND p.erased_at IS NULL LIMIT $3)

-- name: friend
SELECT f.id, f.ref, f.state, f.tier, f.market, f.languages, f.radius_m, f.capacity, f.open_jobs, f.quiet_from,
       f.quiet_until, f.week, f.holidays, f.areas, f.created_at, f.alarmed_at, f.jobs_per_day, f.hand_backs_per_day, f.capacity_max, f.radius_max_m,
       p.name, p.email, p.phone, p.postcode, p.city, p.lat, p.lon, p.precision, p.desk_notes,
       (SELECT round(avg(r.stars), 2)::float8 FROM standing_ratings r WHERE r.friend_id = f.id) AS stars,
       (SELECT count(*) FROM standing_ratings r WHERE r.friend_id = f.id) AS ratings,
       (SELECT count(*) FROM offers o WHERE o.friend_id = f.id AND o.state = 'live'
          AND o.expires_at > (SELECT moment())) AS live_offers,
       ARRAY(SELECT a.name FROM partner_members m JOIN partners a ON a.id = m.partner_id
             WHERE m.friend_id = f.id ORDER BY a.name) AS communities
FROM friends f JOIN people p ON p.id = f.id WHERE f.id = $1

-- name: certificates_of
SELECT c.certificate AS code, lower(c.valid) AS valid_from, upper(c.valid) AS valid_until FROM friend_certificates c
WHERE c.friend_id = $1 ORDER BY c.certificate, c.valid

-- name: jobs_of
SELECT a.booking_id, a.state, b.state AS booking_state, b.package, a.awarded_at, a.ended_at
FROM awards a JOIN bookings b ON b.id = a.booking_id WHERE a.friend_id = $1
ORDER BY a.awarded_at DESC LIMIT $2
