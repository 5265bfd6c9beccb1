-- name: number
-- Locks the subjects, in one order, and returns the number of each one's last entry. The first entry makes the subject.
INSERT INTO subjects AS s (kind, id, seq)
SELECT k, i, n FROM unnest($1::subject_kind[], $2::uuid[], $3::int[]) AS t (k, i, n) ORDER BY k, i
ON CONFLICT (kind, id) DO UPDATE SET seq = s.seq + excluded.seq
RETURNING s.kind, s.id, s.seq

-- name: insert
INSERT INTO journal (subject_kind, subject_id, seq, kind, at, actor, data)
SELECT s, i, n, k, moment(), $6, d
FROM unnest($1::subject_kind[], $2::uuid[], $3::int[], $4::text[], $5::jsonb[]) AS t (s, i, n, k, d)

-- name: insert_messages
INSERT INTO messages (id, subject_kind, subject_id, seq, channel, audience, recipient_id, template, data, next_at)
SELECT i, sk, si, s, c, a, r, t, d, moment()
FROM unnest($1::uuid[], $2::subject_kind[], $3::uuid[], $4::int[], $5::channel[], $6::audience[], $7::uuid[], $8::text[],
            $9::jsonb[]) AS u (i, sk, si, s, c, a, r, t, d)

-- name: page
-- The newest first, from the entry before $3 on.
SELECT seq, kind, at, actor, data FROM journal
WHERE subject_kind = $1 AND subject_id = $2 AND seq < $3 ORDER BY seq DESC LIMIT $4

-- name: exists
SELECT CASE $1::subject_kind WHEN 'person' THEN EXISTS (SELECT FROM people WHERE id = $2)
                             WHEN 'partner' THEN EXISTS (SELECT FROM partners WHERE id = $2) END
