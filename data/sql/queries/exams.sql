-- name: put_exam
INSERT INTO exams (certificate, minutes, pass_bp, attempts, cooldown_days, topics, names, active)
VALUES ($1, $2, $3, $4, $5, $6, $7, true)
ON CONFLICT (certificate) DO UPDATE SET minutes = excluded.minutes, pass_bp = excluded.pass_bp,
  attempts = excluded.attempts, cooldown_days = excluded.cooldown_days, topics = excluded.topics,
  names = excluded.names, active = true
WHERE exams IS DISTINCT FROM excluded

-- name: retire_exams
UPDATE exams SET active = false WHERE active AND certificate <> ALL($1::text[])

-- name: retire_questions
-- Those that are not in $1 as they are: changed, or taken out.
UPDATE questions q SET retired_at = moment()
WHERE retired_at IS NULL AND NOT EXISTS (
  SELECT FROM jsonb_to_recordset($1::jsonb)
    AS g (code text, certificate text, topic text, difficulty smallint, key text, texts jsonb)
  WHERE g.code = q.code
    AND (g.certificate, g.topic, g.difficulty, g.key, g.texts) = (q.certificate, q.topic, q.difficulty, q.key, q.texts))

-- name: add_questions
-- After `retire_questions`: those of which no version is current.
INSERT INTO questions (code, version, certificate, topic, difficulty, key, texts)
SELECT g.code, 1 + coalesce((SELECT max(version) FROM questions q WHERE q.code = g.code), 0),
       g.certificate, g.topic, g.difficulty, g.key, g.texts
FROM jsonb_to_recordset($1::jsonb)
  AS g (code text, certificate text, topic text, difficulty smallint, key text, texts jsonb)
WHERE NOT EXISTS (SELECT FROM questions q WHERE q.code = g.code AND q.retired_at IS NULL)
ORDER BY g.code

-- name: exams
-- All that can be sat, or $1.
SELECT e.*, c.texts AS certificate_names, c.practical FROM exams e JOIN certificates c ON c.code = e.certificate
WHERE e.active AND ($1::text IS NULL OR e.certificate = $1) ORDER BY e.certificate

-- name: exam_of
SELECT e.*, c.texts AS certificate_names, c.practical FROM exams e JOIN certificates c ON c.code = e.certificate
WHERE e.certificate = $1

-- name: held
SELECT certificate, CASE WHEN NOT bool_or(upper_inf(valid)) THEN max(upper(valid)) END AS until
FROM friend_certificates WHERE friend_id = $1 GROUP BY certificate

-- name: sittings_of
SELECT * FROM sittings WHERE friend_id = $1 ORDER BY started_at

-- name: bank
-- The questions of a certificate, with how often each was drawn in its last sittings and in those of one friend.
WITH recent AS (SELECT d.question_id, count(*) AS n FROM
                  (SELECT id FROM sittings WHERE certificate = $1 ORDER BY started_at DESC LIMIT $3) s
                JOIN sitting_questions d ON d.sitting_id = s.id GROUP BY d.question_id),
     own AS (SELECT d.question_id, count(*) AS n FROM sittings s JOIN sitting_questions d ON d.sitting_id = s.id
             WHERE s.friend_id = $2 AND s.certificate = $1 GROUP BY d.question_id)
SELECT q.id, q.topic, coalesce(r.n, 0) AS drawn, coalesce(o.n, 0) AS seen
FROM questions q LEFT JOIN recent r ON r.question_id = q.id LEFT JOIN own o ON o.question_id = q.id
WHERE q.certificate = $1 AND q.retired_at IS NULL ORDER BY q.id

-- name: start
INSERT INTO sittings (id, friend_id, certificate, seed, pass_bp, extra_minutes, started_at, due_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING *

-- name: insert_drawn
INSERT INTO sitting_questions (sitting_id, position, question_id, options)
SELECT $1, n, q, o FROM unnest($2::int[], $3::text[]) WITH ORDINALITY AS t (q, o, n)

-- name: set_timer
WITH s AS (INSERT INTO subjects (kind, id) VALUES ('person', $1) ON CONFLICT DO NOTHING)
INSERT INTO timers (subject_kind, subject_id, kind, due_at, not_before) VALUES ('person', $1, 'sitting_due', $2, $2)
ON CONFLICT (subject_kind, subject_id, kind) WHERE subject_id IS NOT NULL
DO UPDATE SET due_at = excluded.due_at, not_before = excluded.not_before, attempts = 0

-- name: due
SELECT subject_id FROM timers
WHERE not_before <= moment() AND subject_kind = 'person' AND kind = 'sitting_due' ORDER BY not_before LIMIT $1

-- name: delete_timer
DELETE FROM timers WHERE subject_kind = 'person' AND subject_id = $1 AND kind = 'sitting_due'

-- name: postpone_timer
-- As `jobs.postpone_timers`.
UPDATE timers SET attempts = attempts + 1,
  not_before = moment() + least(interval '1 hour', interval '5 seconds' * power(2, least(attempts, 10)))
WHERE subject_kind = 'person' AND subject_id = $1 AND kind = 'sitting_due'

-- name: answer
-- One statement: the row of the sitting is its lock, and its state and the clock are read again once the lock is had.
-- The same answer as the last one to a question is not written again.
WITH s AS (
  UPDATE sittings SET answered = answered + 1
  WHERE id = $1 AND friend_id = $2 AND state = 'open' AND answered < $5 AND moment() < due_at
    AND EXISTS (SELECT FROM sitting_questions d WHERE d.sitting_id = $1 AND d.position = $3)
    AND (SELECT substr(d.options, $4, 1) FROM sitting_questions d WHERE d.sitting_id = $1 AND d.position = $3)
      IS DISTINCT FROM (SELECT a.choice FROM exam_answers a WHERE a.sitting_id = $1 AND a.position = $3
                        ORDER BY a.no DESC LIMIT 1)
  RETURNING id, answered, due_at, moment() AS at)
INSERT INTO exam_answers (sitting_id, no, position, choice, at, due_at)
SELECT s.id, s.answered, d.position, substr(d.options, $4, 1), s.at, s.due_at
FROM s JOIN sitting_questions d ON d.sitting_id = s.id AND d.position = $3
WHERE s.at < s.due_at RETURNING at, due_at

-- name: find
SELECT *, moment() AS now FROM sittings WHERE id = $1 AND friend_id = $2

-- name: lock
SELECT * FROM sittings WHERE id = $1 FOR NO KEY UPDATE

-- name: friend_of
SELECT friend_id FROM sittings WHERE id = $1

-- name: lock_open
SELECT * FROM sittings WHERE friend_id = $1 AND state = 'open' FOR NO KEY UPDATE

-- name: paper
SELECT d.position, d.options, q.topic, q.key, q.texts, a.choice
FROM sitting_questions d JOIN questions q ON q.id = d.question_id
LEFT JOIN (SELECT DISTINCT ON (position) position, choice FROM exam_answers
           WHERE sitting_id = $1 ORDER BY position, no DESC) AS a ON a.position = d.position
WHERE d.sitting_id = $1 ORDER BY d.position

-- name: end
UPDATE sittings SET state = $2, correct = $3, ended_at = $4 WHERE id = $1 RETURNING *

-- name: decide
UPDATE sittings SET state = $2, reason = $3 WHERE id = $1 RETURNING *

-- name: practical_due
-- The sittings that wait for the desk, the longest first.
SELECT s.id, s.friend_id, p.name AS friend_name, f.ref, f.market, p.city, s.certificate, s.correct, s.ended_at,
       (SELECT count(*) FROM sitting_questions d WHERE d.sitting_id = s.id) AS asked
FROM sittings s JOIN friends f ON f.id = s.friend_id JOIN people p ON p.id = f.id
WHERE s.state = 'practical_due' ORDER BY s.ended_at, s.id LIMIT $1

-- name: counts
-- Of each exam: its current questions, and how its sittings ended.
SELECT e.certificate, e.active,
       (SELECT count(*) FROM questions q WHERE q.certificate = e.certificate AND q.retired_at IS NULL) AS questions,
       count(s.id) FILTER (WHERE s.state <> 'open') AS ended,
       count(s.id) FILTER (WHERE s.state IN ('passed', 'practical_due', 'declined')) AS passed
FROM exams e LEFT JOIN sittings s ON s.certificate = e.certificate
GROUP BY e.certificate ORDER BY e.certificate

-- name: questions
SELECT id, code, version, topic, difficulty, texts, retired_at FROM questions WHERE id = ANY($1::int[])

-- name: responses
-- The answers that count in the last sittings of an exam, each with the time since the answer before.
WITH s AS (SELECT id, started_at FROM sittings WHERE certificate = $1 AND state <> 'open'
           ORDER BY started_at DESC LIMIT $2),
     a AS (SELECT x.sitting_id, x.position, x.choice, x.no,
                  x.at - coalesce(lag(x.at) OVER (PARTITION BY x.sitting_id ORDER BY x.no), s.started_at) AS pause
           FROM exam_answers x JOIN s ON s.id = x.sitting_id),
     c AS (SELECT DISTINCT ON (sitting_id, position) * FROM a ORDER BY sitting_id, position, no DESC)
SELECT d.sitting_id, d.question_id, c.choice, coalesce(c.choice = q.key, false) AS is_right, c.pause
FROM s JOIN sitting_questions d ON d.sitting_id = s.id JOIN questions q ON q.id = d.question_id
LEFT JOIN c ON c.sitting_id = d.sitting_id AND c.position = d.position
ORDER BY s.started_at DESC, d.sitting_id, d.position

-- name: sitters
SELECT s.id, s.friend_id, p.name AS friend_name, s.started_at FROM sittings s JOIN people p ON p.id = s.friend_id
WHERE s.id = ANY($1::uuid[])
