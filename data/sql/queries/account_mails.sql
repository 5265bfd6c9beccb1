-- name: lock_address
-- Requests for one address are counted one after the other.
SELECT pg_advisory_xact_lock(hashtextextended($1, 8))

-- name: insert_login_link
-- Not while enough links for this address still work: then one of them is in the mailbox, and nobody is locked out.
INSERT INTO account_mails (id, kind, template, email, address_key, request_sha256, next_at, created_at, expires_at)
SELECT $1, $2, 'login_link', $3, $8, $4, clock.now, clock.now, clock.now + $5
FROM (SELECT moment() AS now) AS clock
WHERE (SELECT count(*) FROM account_mails m
       WHERE m.address_key = $8 AND m.kind = $2 AND m.template = 'login_link'
         AND m.created_at > clock.now - $6::interval) < $7

-- name: insert_join_link
-- For an address, known or not, as `insert_login_link`.
INSERT INTO account_mails (id, kind, template, email, address_key, name, language, market, request_sha256, next_at,
                           created_at, expires_at)
SELECT $1, 'friend', 'join_link', $2, $3, $4, $5, $6, $7, clock.now, clock.now, clock.now + $8
FROM (SELECT moment() AS now) AS clock
WHERE (SELECT count(*) FROM account_mails m
       WHERE m.address_key = $3 AND m.kind = 'friend' AND m.template = 'join_link'
         AND m.created_at > clock.now - $9::interval) < $10

-- name: use_join_link
-- Works once, for the address that asked.
UPDATE account_mails SET used_at = moment()
WHERE request_sha256 = $1 AND address_key = $2 AND template = 'join_link' AND used_at IS NULL AND expires_at > moment()
RETURNING id

-- name: insert_guardian_asked
INSERT INTO account_mails (id, kind, template, email, address_key, name, language, market, guardianship_id, next_at,
                           created_at, expires_at)
SELECT $1, 'friend', 'guardian_asked', $2, $3, $4, $5, $6, $7, clock.now, clock.now, clock.now + $8
FROM (SELECT moment() AS now) AS clock

-- name: insert_email_changed
INSERT INTO account_mails (id, kind, template, email, address_key, language, market, next_at, created_at, expires_at)
SELECT i, 'friend', 'email_changed', e, k, l, m, clock.now, clock.now, clock.now + $5
FROM unnest($1::uuid[], $2::text[], $6::text[], $3::language[], $4::market[]) AS t (i, e, k, l, m), (SELECT moment() AS now) AS clock

-- name: claim
-- Under a lease, as `messages.claim`.
WITH due AS MATERIALIZED (
  SELECT id FROM account_mails WHERE state = 'pending' AND next_at <= (SELECT moment())
  ORDER BY next_at LIMIT $1 FOR UPDATE SKIP LOCKED)
UPDATE account_mails m
SET attempts = m.attempts + 1,
    next_at = moment() + make_interval(secs => $2) * (SELECT coalesce(max(greatest(speed, 1)), 1) FROM clock)
FROM due WHERE m.id = due.id
RETURNING m.id, m.kind, m.template, m.email, m.language, m.market, m.request_sha256, m.name, m.guardianship_id, m.attempts, moment() AS now,
          m.expires_at <= moment() AS late

-- name: renew_link
-- The link's life begins when its mail is handed over: a mail server that lets a mail wait costs it nothing.
INSERT INTO login_links (token_sha256, person_id, created_at, expires_at)
SELECT $1, $2, clock.now, clock.now + $3 FROM (SELECT moment() AS now) AS clock
ON CONFLICT (token_sha256) DO UPDATE SET expires_at = excluded.expires_at WHERE login_links.used_at IS NULL

-- name: settle
-- As `messages.settle`: success after the lease ran out counts, failure does not.
UPDATE account_mails m
SET state = t.s, problem = t.p, email = CASE WHEN t.s = 'pending' THEN m.email END,
    name = CASE WHEN t.s = 'pending' THEN m.name END,
    next_at = CASE WHEN t.s <> 'pending' THEN m.next_at
      ELSE least(moment() + make_interval(secs => t.w)
                   * (SELECT coalesce(max(greatest(speed, 1)), 1) FROM clock), m.expires_at) END
FROM unnest($1::uuid[], $2::int[], $3::message_state[], $4::text[], $5::float8[]) AS t (i, a, s, p, w)
WHERE m.id = t.i AND m.state = 'pending' AND (t.s = 'sent' OR m.attempts = t.a)

-- name: count_try
-- Counted before the code is compared. Wrong codes are limited by request, and for all requests of an address by day.
UPDATE account_mails m SET code_tries = m.code_tries + 1
WHERE m.request_sha256 = $1 AND m.code_tries < $2 AND m.expires_at > moment()
  AND (SELECT sum(o.code_tries) FROM account_mails o
       WHERE o.address_key = m.address_key AND o.kind = m.kind AND o.created_at > moment() - interval '1 day') < $3
RETURNING m.id

-- name: delete_old
-- Tries of codes count for a day. At most a thousand.
DELETE FROM account_mails WHERE id IN
  (SELECT id FROM account_mails WHERE expires_at < moment() - interval '1 day'
     OR (template NOT IN ('login_link', 'join_link') AND state IN ('sent', 'expired')) LIMIT 1000)
