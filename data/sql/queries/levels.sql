-- name: lock_due
-- Friends whose level is to be looked at; applicants have none, and one that an operator holds stays.
SELECT id, level FROM friends WHERE level_due_at <= moment() AND NOT level_held AND state <> 'applicant'
ORDER BY level_due_at LIMIT $1 FOR NO KEY UPDATE SKIP LOCKED

-- name: lock
SELECT level, level_held, CASE WHEN isfinite(level_due_at) THEN level_due_at END AS due_at FROM friends WHERE id = $1 AND state <> 'applicant' FOR NO KEY UPDATE

-- name: standing
SELECT level, level_held, CASE WHEN isfinite(level_due_at) THEN level_due_at END AS due_at FROM friends WHERE id = $1

-- name: records
-- What ended since $2 counts: jobs done, handed back, forfeited, or released because an objection of the customer was right.
-- A contact is prompt within $3; the desk sees the same ratings, the hidden left out.
SELECT f.friend_id, a.*, r.*
FROM unnest($1::uuid[]) AS f (friend_id)
CROSS JOIN LATERAL (
  SELECT count(*) AS jobs, count(w.contacted_at) AS contacted,
         count(*) FILTER (WHERE w.contacted_at <= w.awarded_at + $3::interval) AS prompt,
         count(*) FILTER (WHERE w.state = 'handed_back') AS handed_back,
         count(*) FILTER (WHERE w.state = 'forfeited') AS forfeited,
         count(*) FILTER (WHERE w.marks ->> 'contest' = 'reopened') AS contested
  FROM awards w WHERE w.friend_id = f.friend_id AND w.ended_at > $2
    AND (w.state IN ('done', 'handed_back', 'forfeited') OR w.marks ->> 'contest' = 'reopened')) AS a
CROSS JOIN LATERAL (
  SELECT coalesce(sum(v.stars), 0) AS stars, count(*) AS ratings
  FROM reviews v WHERE v.friend_id = f.friend_id AND NOT v.by_friend AND v.hidden IS NULL AND v.at > $2) AS r

-- name: moves
SELECT at, before, after, held, points, set_by IS NULL AS by_rule FROM level_moves
WHERE friend_id = $1 ORDER BY no DESC LIMIT 24

-- name: put
-- Only those who move get another level.
UPDATE friends f SET level = n.level, level_due_at = $3
FROM unnest($1::uuid[], $2::smallint[]) AS n (id, level) WHERE f.id = n.id

-- name: set
UPDATE friends SET level = $2, level_held = $3, level_due_at = $4 WHERE id = $1

-- name: append
INSERT INTO level_moves (friend_id, no, at, before, after, held, points, record, policy_id, set_by)
SELECT $1, coalesce(max(m.no), 0) + 1, moment(), $2, $3, $4, $5, $6, $7, $8 FROM level_moves m WHERE m.friend_id = $1
