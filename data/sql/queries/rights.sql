-- name: by_email
SELECT id, kind, email FROM people WHERE lower(email) = lower($1) AND erased_at IS NULL
  AND ($2::person_kind IS NULL OR kind = $2)

-- name: by_word
-- By the id of a person or a booking, or a friend's ref.
SELECT id, kind, email FROM people p
WHERE p.erased_at IS NULL AND (p.id = $2::uuid OR p.id = (SELECT customer_id FROM bookings WHERE id = $2::uuid)
                               OR p.id = (SELECT id FROM friends WHERE ref = $1))

-- name: of_account
-- The account and the customers of all its bookings.
SELECT p.id, p.kind, p.email FROM people p
WHERE p.erased_at IS NULL AND (p.id = $1 OR p.id IN (
  SELECT b.customer_id FROM accounts a JOIN bookings b ON b.customer_key = a.customer_key WHERE a.id = $1))
ORDER BY p.id = $1 DESC, p.id

-- name: accounts_left
-- Accounts without a booking but those of these customers.
SELECT p.id, p.kind, p.email FROM accounts a JOIN people p ON p.id = a.id
WHERE a.customer_key IN (SELECT b.customer_key FROM bookings b WHERE b.customer_id = ANY($1::uuid[]))
  AND NOT EXISTS (SELECT FROM bookings b JOIN people c ON c.id = b.customer_id
                  WHERE b.customer_key = a.customer_key AND b.customer_id <> ALL($1::uuid[]))

-- name: export
-- Everything kept about a person; of others and of secrets nothing. A journal is exported without its numbers: a gap
-- would tell of a block that a customer made. What the other side says is exported once it is shown.
SELECT jsonb_build_object(
  'person', to_jsonb(p),
  'bookings', (SELECT coalesce(jsonb_agg(to_jsonb(b) - 'customer_key' ORDER BY b.id), '[]') FROM bookings b
               WHERE b.customer_id = p.id),
  'events', (SELECT coalesce(jsonb_agg(to_jsonb(e) - 'xid' - 'before' ORDER BY e.booking_id, e.seq), '[]') FROM events e
             JOIN bookings b ON b.id = e.booking_id WHERE b.customer_id = p.id),
  'visits', (SELECT coalesce(jsonb_agg(to_jsonb(a) ORDER BY a.awarded_at), '[]') FROM awards a
             JOIN bookings b ON b.id = a.booking_id WHERE b.customer_id = p.id),
  'ratings_given', (SELECT coalesce(jsonb_agg(to_jsonb(r)), '[]') FROM ratings r JOIN bookings b ON b.id = r.booking_id
                    WHERE b.customer_id = p.id),
  'account', (SELECT to_jsonb(a) - 'id' - 'customer_key' FROM accounts a WHERE a.id = p.id),
  'favourites', (SELECT coalesce(jsonb_agg(jsonb_build_object('at', f.at) ORDER BY f.at), '[]') FROM favourites f
                 WHERE f.customer_key = (SELECT a.customer_key FROM accounts a WHERE a.id = p.id)),
  'friend', (SELECT to_jsonb(f) - 'changed' FROM friends f WHERE f.id = p.id),
  'applications', (SELECT coalesce(jsonb_agg(to_jsonb(a) - 'decided_by' ORDER BY a.created_at), '[]')
                   FROM applications a WHERE a.friend_id = p.id),
  'consents', (SELECT coalesce(jsonb_agg(to_jsonb(c) - 'person_id' ORDER BY c.at, c.text), '[]') FROM consents c
               WHERE c.person_id = p.id),
  'review_requests', (SELECT coalesce(jsonb_agg(to_jsonb(q) - 'friend_id' - 'decided_by' - 'answered_by' - 'reminded_at'
                        ORDER BY q.asked_at, q.about), '[]') FROM review_requests q WHERE q.friend_id = p.id),
  'guardianships', (SELECT coalesce(jsonb_agg(to_jsonb(g) - 'friend_id' ORDER BY g.asked_at), '[]')
                    FROM guardianships g WHERE g.friend_id = p.id),
  'levels', (SELECT coalesce(jsonb_agg(to_jsonb(m) - 'friend_id' - 'before_no' - 'set_by' ORDER BY m.no), '[]')
             FROM level_moves m WHERE m.friend_id = p.id),
  'operator', (SELECT to_jsonb(o) FROM operators o WHERE o.id = p.id),
  'certificates', (SELECT coalesce(jsonb_agg(to_jsonb(c) - 'friend_id'), '[]') FROM friend_certificates c
                   WHERE c.friend_id = p.id),
  'sittings', (SELECT coalesce(jsonb_agg(to_jsonb(s) - 'friend_id' - 'seed' || jsonb_build_object('answers', (
                 SELECT coalesce(jsonb_agg(jsonb_build_object('at', x.at,
                   'question', q.texts -> p.language::text ->> 'text',
                   'answer', q.texts -> p.language::text ->> x.choice) ORDER BY x.no), '[]')
                 FROM exam_answers x JOIN sitting_questions d USING (sitting_id, position)
                 JOIN questions q ON q.id = d.question_id WHERE x.sitting_id = s.id)) ORDER BY s.started_at), '[]')
               FROM sittings s WHERE s.friend_id = p.id),
  'communities', (SELECT coalesce(jsonb_agg(n.name), '[]') FROM partner_members m JOIN partners n ON n.id = m.partner_id
                  WHERE m.friend_id = p.id),
  'blocks', (SELECT coalesce(jsonb_agg(jsonb_build_object('at', k.at) ORDER BY k.at), '[]')
             FROM blocks k WHERE (k.friend_id = p.id AND k.by_friend) OR (NOT k.by_friend
               AND k.customer_key IN (SELECT b.customer_key FROM bookings b WHERE b.customer_id = p.id))),
  'offers', (SELECT coalesce(jsonb_agg(to_jsonb(o) ORDER BY o.offered_at), '[]') FROM offers o WHERE o.friend_id = p.id),
  'jobs', (SELECT coalesce(jsonb_agg(to_jsonb(a) ORDER BY a.awarded_at), '[]') FROM awards a WHERE a.friend_id = p.id),
  -- What others said is exported once it is shown: nobody answers a review with another.
  'ratings_received', (SELECT coalesce(jsonb_agg(to_jsonb(r) ORDER BY r.at), '[]') FROM ratings r
                       WHERE r.friend_id = p.id AND NOT EXISTS (SELECT FROM reviews v WHERE v.booking_id = r.booking_id
                         AND v.no = r.no AND NOT v.by_friend AND v.shown_at > moment())),
  'reviews_of_customers', (SELECT coalesce(jsonb_agg(to_jsonb(r)), '[]') FROM customer_reviews r
                           WHERE r.friend_id = p.id),
  'reviews_of_oneself', (SELECT coalesce(jsonb_agg(to_jsonb(r) - 'friend_id'), '[]') FROM customer_reviews r
                         JOIN bookings b ON b.id = r.booking_id WHERE b.customer_id = p.id
                         AND NOT EXISTS (SELECT FROM reviews v WHERE v.booking_id = r.booking_id AND v.no = r.no
                           AND v.by_friend AND v.shown_at > moment())),
  'notes_on_reviews', (SELECT coalesce(jsonb_agg(to_jsonb(n) - 'decided_by' - 'rating_no' - 'review_no'), '[]')
                       FROM review_notes n JOIN awards a ON a.booking_id = n.booking_id AND a.state = 'done'
                       JOIN bookings b ON b.id = n.booking_id WHERE CASE WHEN n.by_friend THEN b.customer_id
                       ELSE a.friend_id END = p.id),
  'confirmed_contacts', (SELECT coalesce(jsonb_agg(DISTINCT k.at), '[]') FROM bookings b
                         JOIN confirmed_contacts k ON k.contact_key = contact_key(b.customer_key, p.phone)
                         WHERE b.customer_id = p.id),
  'payments', (SELECT coalesce(jsonb_agg(to_jsonb(c) || jsonb_build_object('reversed_at', v.at) ORDER BY c.at), '[]')
               FROM charges c LEFT JOIN reversals v ON v.booking_id = c.booking_id AND v.no = c.no
               LEFT JOIN bookings b ON b.id = c.booking_id AND b.customer_id = p.id
               WHERE c.friend_id = p.id OR b.id IS NOT NULL),
  'phones', (SELECT coalesce(jsonb_agg(jsonb_build_object('endpoint', s.endpoint, 'created_at', s.created_at)), '[]')
             FROM push_subscriptions s WHERE s.friend_id = p.id),
  'sessions', (SELECT coalesce(jsonb_agg(to_jsonb(s) - 'token_sha256' - 'person_id' ORDER BY s.created_at), '[]')
               FROM sessions s WHERE s.person_id = p.id),
  'passkeys', (SELECT coalesce(jsonb_agg(jsonb_build_object('name', k.name, 'created_at', k.created_at,
                 'used_at', k.used_at) ORDER BY k.created_at), '[]') FROM passkeys k WHERE k.person_id = p.id),
  'account_mails', (SELECT coalesce(jsonb_agg(jsonb_build_object('template', m.template, 'state', m.state,
                      'created_at', m.created_at, 'tries', m.code_tries) ORDER BY m.created_at), '[]')
                    FROM account_mails m WHERE m.address_key = $2 AND m.kind = p.kind),
  'errands', (SELECT coalesce(jsonb_agg(jsonb_build_object('kind', e.kind, 'state', e.state, 'created_at', e.created_at)
                ORDER BY e.created_at), '[]') FROM errands e WHERE e.subject_id = p.id
                OR e.booking_id IN (SELECT b.id FROM bookings b WHERE b.customer_id = p.id)),
  'phone_codes', (SELECT coalesce(jsonb_agg(jsonb_build_object('expires_at', c.expires_at, 'tries', c.tries,
                    'delivery', c.delivery)), '[]') FROM phone_codes c WHERE c.person_id = p.id),
  'messages', (SELECT coalesce(jsonb_agg(jsonb_build_object('template', m.template, 'channel', m.channel,
                 'booking', m.booking_id, 'state', m.state, 'sent_at', m.sent_at) ORDER BY m.booking_id, m.seq), '[]')
               FROM messages m WHERE m.recipient_id = p.id),
  'files', (SELECT coalesce(jsonb_agg(to_jsonb(f) - 'person_id' ORDER BY f.created_at, f.id), '[]') FROM files f
            LEFT JOIN bookings b ON b.id = f.booking_id WHERE f.person_id = p.id OR b.customer_id = p.id),
  'identity', (SELECT to_jsonb(i) - 'person_id' - 'seen_by' FROM identities i WHERE i.person_id = p.id),
  'written', (SELECT coalesce(jsonb_agg(jsonb_build_object('booking', t.booking_id, 'at', n.at, 'text', n.text)
                ORDER BY n.at, n.seq), '[]')
              FROM thread_notes n JOIN threads t ON t.award_id = n.award_id JOIN awards a ON a.id = n.award_id
              JOIN bookings b ON b.id = t.booking_id
              WHERE (n.by = 'friend' AND a.friend_id = p.id) OR (n.by = 'customer' AND b.customer_id = p.id)),
  'journal', (SELECT coalesce(jsonb_agg(to_jsonb(j) - 'subject_kind' - 'subject_id' - 'seq' - 'before'
                                        ORDER BY j.seq), '[]')
              FROM journal j WHERE j.subject_kind = 'person' AND j.subject_id = p.id
                AND (j.kind <> 'friend.blocked' OR j.data -> 'by_friend' = 'true')),
  'accesses', (SELECT coalesce(jsonb_agg(jsonb_build_object('at', a.at, 'by', a.actor, 'act', a.act, 'data', a.data)
                 ORDER BY a.id), '[]') FROM audit a
               WHERE a.act <> 'friend.blocked' AND (a.subject = p.id::text
                  OR a.subject IN (SELECT b.id::text FROM bookings b WHERE b.customer_id = p.id)))) AS whole
FROM people p WHERE p.id = $1

-- name: lock_bookings
SELECT id FROM bookings WHERE customer_id = ANY($1::uuid[]) ORDER BY id FOR UPDATE

-- name: not_ended
-- Read after the lock. A completed job has not ended while its customer contests it.
SELECT b.id, b.customer_id FROM bookings b
WHERE b.customer_id = ANY($1::uuid[]) AND (b.state NOT IN ('completed', 'cancelled') OR EXISTS (
  SELECT FROM awards a WHERE a.booking_id = b.id AND a.state = 'done' AND a.marks ->> 'contest' = 'open'))
ORDER BY b.id

-- name: jobs_held
-- Read after the friends are locked.
SELECT booking_id FROM awards WHERE friend_id = ANY($1::uuid[])
  AND (state = 'live' OR (state = 'done' AND marks ->> 'contest' = 'open'))

-- name: paid_lately
-- Friends whose payments must stay documented for the years of their market.
SELECT DISTINCT f.id FROM friends f
JOIN unnest($2::market[], $3::int[]) AS r (market, years) ON r.market = f.market
JOIN awards a ON a.friend_id = f.id JOIN charges c ON c.booking_id = a.booking_id AND c.friend_id = f.id
WHERE f.id = ANY($1::uuid[]) AND c.at > moment() - make_interval(years => r.years)

-- name: messages_about
-- Messages about bookings that a friend had, which may name the friend.
SELECT m.id FROM messages m WHERE m.booking_id IN (SELECT booking_id FROM awards WHERE friend_id = ANY($1::uuid[]))

-- name: empty_people
-- Those in $2 keep name and postal address, which the law asks for. A customer's point becomes the centre of the cell,
-- which the booking keeps anyway.
UPDATE people SET
  name = CASE WHEN id = ANY($2::uuid[]) THEN name ELSE '–' END,
  street = CASE WHEN id = ANY($2::uuid[]) THEN street END,
  postcode = CASE WHEN id = ANY($2::uuid[]) THEN postcode END,
  city = CASE WHEN id = ANY($2::uuid[]) THEN city END,
  lat = (SELECT b.cell_lat FROM bookings b WHERE b.customer_id = people.id),
  lon = (SELECT b.cell_lon FROM bookings b WHERE b.customer_id = people.id),
  email = id || '@erased.invalid', phone = NULL, precision = NULL, radius_m = NULL, notes = NULL,
  birth_date = NULL, guardian_name = NULL, guardian_email = NULL, guardian_phone = NULL,
  signature = NULL, move_note = NULL, desk_notes = '[]', erased_at = coalesce(erased_at, moment())
WHERE id = ANY($1::uuid[])

-- name: empty_bookings
-- Another pseudonym instead of the hash of the address; what was kept under the old one goes with the last booking of
-- its customer.
WITH old AS (SELECT b.customer_key, contact_key(b.customer_key, p.phone) AS contact_key
             FROM bookings b JOIN people p ON p.id = b.customer_id WHERE b.customer_id = ANY($1::uuid[])),
     gone AS (SELECT * FROM old WHERE NOT EXISTS (
                SELECT FROM bookings b WHERE b.customer_key = old.customer_key AND b.customer_id <> ALL($1::uuid[]))),
     k AS (DELETE FROM confirmed_contacts WHERE contact_key IN (SELECT contact_key FROM gone)),
     x AS (DELETE FROM blocks WHERE customer_key IN (SELECT customer_key FROM gone)),
     v AS (DELETE FROM favourites WHERE customer_key IN (SELECT customer_key FROM gone)),
     b AS (UPDATE bookings SET customer_key = encode(sha256(uuid_send(id)), 'hex') WHERE customer_id = ANY($1::uuid[])
           RETURNING id),
     h AS (UPDATE thread_notes SET text = NULL WHERE text IS NOT NULL
             AND award_id IN (SELECT award_id FROM threads WHERE booking_id IN (SELECT id FROM b))),
     s AS (UPDATE awards SET summary = NULL WHERE booking_id IN (SELECT id FROM b) AND summary IS NOT NULL),
     a AS (DELETE FROM answers WHERE body ->> 'id' IN (SELECT id::text FROM b)
             OR body ->> 'booking_id' IN (SELECT id::text FROM b)),
     c AS (UPDATE customer_reviews SET comment = NULL WHERE booking_id IN (SELECT id FROM b) AND comment IS NOT NULL),
     n AS (UPDATE review_notes SET reply = NULL, report = NULL WHERE booking_id IN (SELECT id FROM b))
UPDATE ratings SET comment = NULL WHERE booking_id IN (SELECT id FROM b) AND comment IS NOT NULL

-- name: empty_friends
WITH f AS (UPDATE friends SET ref = 'erased:' || id, state = 'suspended', alarmed_at = NULL, quiet_from = NULL,
             quiet_until = NULL, week = NULL, holidays = NULL, areas = NULL
           WHERE id = ANY($1::uuid[]) RETURNING id),
     c AS (DELETE FROM friend_certificates WHERE friend_id IN (SELECT id FROM f)),
     m AS (DELETE FROM partner_members WHERE friend_id IN (SELECT id FROM f)),
     b AS (DELETE FROM blocks WHERE friend_id IN (SELECT id FROM f)),
     v AS (DELETE FROM favourites WHERE friend_id IN (SELECT id FROM f)),
     p AS (DELETE FROM push_subscriptions WHERE friend_id IN (SELECT id FROM f)),
     s AS (UPDATE sittings SET reason = '–' WHERE friend_id IN (SELECT id FROM f) AND reason IS NOT NULL),
     ap AS (UPDATE applications SET education = NULL, interests = '{}', skills = '{}',
             state = CASE WHEN ended_at IS NULL THEN 'withdrawn' ELSE state END, ended_at = coalesce(ended_at, moment())
           WHERE friend_id IN (SELECT id FROM f)),
     am AS (DELETE FROM account_mails WHERE guardianship_id IN (
             SELECT id FROM guardianships WHERE friend_id IN (SELECT id FROM f))),
     gu AS (UPDATE guardianships SET ended_at = moment() WHERE friend_id IN (SELECT id FROM f) AND ended_at IS NULL),
     q AS (UPDATE review_requests SET text = '–', reasons = CASE WHEN reasons IS NOT NULL THEN '–' END,
             outcome = coalesce(outcome, 'withdrawn'), answered_at = coalesce(answered_at, moment())
           WHERE friend_id IN (SELECT id FROM f)),
     h AS (UPDATE thread_notes SET text = NULL WHERE text IS NOT NULL
             AND award_id IN (SELECT id FROM awards WHERE friend_id IN (SELECT id FROM f))),
     t AS (DELETE FROM timers WHERE subject_kind = 'person' AND subject_id IN (SELECT id FROM f)),
     r AS (UPDATE customer_reviews SET comment = NULL WHERE friend_id IN (SELECT id FROM f) AND comment IS NOT NULL),
     n AS (UPDATE review_notes SET reply = NULL, report = NULL WHERE booking_id IN (
             SELECT booking_id FROM awards WHERE friend_id IN (SELECT id FROM f)))
UPDATE ratings SET comment = NULL WHERE friend_id IN (SELECT id FROM f) AND comment IS NOT NULL

-- name: delete_access
-- With the mails to these addresses, except those of an account with the same address that is not erased.
WITH s AS (DELETE FROM sessions WHERE person_id = ANY($1::uuid[])),
     l AS (DELETE FROM login_links WHERE person_id = ANY($1::uuid[])),
     p AS (DELETE FROM passkeys WHERE person_id = ANY($1::uuid[])),
     c AS (DELETE FROM phone_codes WHERE person_id = ANY($1::uuid[])),
     i AS (DELETE FROM identities WHERE person_id = ANY($1::uuid[])),
     a AS (DELETE FROM accounts WHERE id = ANY($1::uuid[]))
DELETE FROM account_mails m USING unnest($2::text[], $3::text[]) AS t (address_key, email)
WHERE m.address_key = t.address_key AND NOT EXISTS (
  SELECT FROM people p WHERE p.kind = m.kind AND p.kind <> 'customer' AND lower(p.email) = lower(t.email)
    AND p.erased_at IS NULL AND p.id <> ALL($1::uuid[]))

-- name: still_used
-- Those of these addresses that belong to somebody who is not erased.
SELECT a FROM unnest($1::text[]) AS a
WHERE EXISTS (SELECT FROM people p WHERE lower(p.email) = lower(a) AND p.erased_at IS NULL)

-- name: messages_to
SELECT m.id FROM messages m WHERE m.recipient_id = ANY($1::uuid[])

-- name: customers_over
-- A page of customers whose booking has not changed for so long, or was cancelled for that, and where the next page
-- begins.
SELECT c.id, c.kind, c.email, b.id AS booking_id, b.created_at,
       b.state NOT IN ('completed', 'cancelled') AS is_forgotten,
       c.erased_at IS NULL AND (b.state_at < moment() - $3::interval OR b.state = 'cancelled' AND EXISTS (
         SELECT FROM events e
         WHERE e.booking_id = b.id AND e.kind = 'booking.cancelled' AND e.data ? 'forgotten')) AS is_over
FROM (SELECT * FROM bookings WHERE created_at < moment() - $3::interval AND (created_at, id) > ($1, $2::uuid)
      ORDER BY created_at, id LIMIT $4) AS b
JOIN people c ON c.id = b.customer_id ORDER BY b.created_at, b.id

-- name: documents_over
-- Erased friends whose documents the law no longer asks for.
SELECT p.id FROM people p JOIN friends f ON f.id = p.id
JOIN unnest($1::market[], $2::int[]) AS r (market, years) ON r.market = f.market
WHERE p.erased_at IS NOT NULL AND p.name <> '–' AND NOT EXISTS (
  SELECT FROM awards a JOIN charges c ON c.booking_id = a.booking_id
  WHERE a.friend_id = f.id AND c.friend_id = f.id AND c.at > moment() - make_interval(years => r.years))
LIMIT 100
