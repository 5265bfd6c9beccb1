-- Exams: banks of questions in versions, and sittings that keep what was drawn, asked and answered. An older tekkie lets
-- timers of the new kind lie until a newer one runs.
-- works from 0026

ALTER TYPE timer_kind ADD VALUE 'sitting_due';
CREATE TYPE sitting_state AS ENUM ('open', 'passed', 'failed', 'practical_due', 'declined');

-- Whether the desk looks at the work of who passed the exam before the certificate is given.
ALTER TABLE certificates ADD COLUMN practical boolean NOT NULL DEFAULT false;

CREATE TABLE exams (
  certificate text PRIMARY KEY REFERENCES certificates,
  minutes smallint NOT NULL CHECK (minutes BETWEEN 5 AND 180),
  pass_bp smallint NOT NULL CHECK (pass_bp BETWEEN 5000 AND 10000),
  attempts smallint NOT NULL CHECK (attempts BETWEEN 1 AND 10),
  cooldown_days smallint NOT NULL CHECK (cooldown_days BETWEEN 1 AND 365),
  topics jsonb NOT NULL CHECK (jsonb_typeof(topics) = 'object'),
  names jsonb NOT NULL CHECK (jsonb_typeof(names) = 'object'),
  active boolean NOT NULL DEFAULT true
);

-- A changed question is a new version; the one before is retired, as is a question that was taken out.
CREATE TABLE questions (
  id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  code text NOT NULL CHECK (code ~ '^[a-z0-9-]{2,60}$'),
  version smallint NOT NULL CHECK (version >= 1),
  certificate text NOT NULL REFERENCES exams,
  topic text NOT NULL CHECK (topic ~ '^[a-z0-9-]{2,60}$'),
  difficulty smallint NOT NULL CHECK (difficulty BETWEEN 1 AND 3),
  key text NOT NULL CHECK (key IN ('a', 'b', 'c', 'd')),
  texts jsonb NOT NULL CHECK (jsonb_typeof(texts) = 'object'),
  retired_at timestamptz,
  UNIQUE (code, version)
);
CREATE UNIQUE INDEX questions_current ON questions (code) WHERE retired_at IS NULL;
CREATE INDEX questions_bank ON questions (certificate) WHERE retired_at IS NULL;

CREATE TABLE sittings (
  id uuid PRIMARY KEY,
  friend_id uuid NOT NULL REFERENCES friends,
  certificate text NOT NULL REFERENCES exams,
  seed bigint NOT NULL,
  pass_bp smallint NOT NULL CHECK (pass_bp BETWEEN 5000 AND 10000),
  extra_minutes smallint NOT NULL CHECK (extra_minutes >= 0),
  started_at timestamptz NOT NULL,
  due_at timestamptz NOT NULL,
  state sitting_state NOT NULL DEFAULT 'open',
  answered smallint NOT NULL DEFAULT 0 CHECK (answered BETWEEN 0 AND 400),
  correct smallint CHECK (correct >= 0),
  ended_at timestamptz,
  reason text CHECK (length(reason) BETWEEN 1 AND 500),
  UNIQUE (id, due_at),
  CONSTRAINT sitting_lasts CHECK (due_at > started_at),
  CONSTRAINT sitting_ended CHECK (
    (state = 'open') = (ended_at IS NULL) AND (ended_at IS NULL) = (correct IS NULL) AND ended_at >= started_at),
  CONSTRAINT sitting_reason CHECK ((state = 'declined') = (reason IS NOT NULL))
) WITH (fillfactor = 80);
CREATE UNIQUE INDEX sittings_one_open ON sittings (friend_id) WHERE state = 'open';
CREATE INDEX sittings_of_friend ON sittings (friend_id, certificate);
CREATE INDEX sittings_of_exam ON sittings (certificate, started_at);
CREATE INDEX sittings_practical ON sittings (ended_at) WHERE state = 'practical_due';

CREATE FUNCTION guard_sitting() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'a sitting cannot become "%" now', NEW.state
    USING ERRCODE = 'check_violation', CONSTRAINT = 'sitting_transition', TABLE = TG_TABLE_NAME;
END $$;
CREATE TRIGGER guard_insert BEFORE INSERT ON sittings FOR EACH ROW
  WHEN (NEW.state <> 'open') EXECUTE FUNCTION guard_sitting();
CREATE TRIGGER guard_update BEFORE UPDATE OF state ON sittings FOR EACH ROW
  WHEN (OLD.state <> NEW.state AND NOT (
    OLD.state = 'open' AND NEW.state IN ('passed', 'failed', 'practical_due')
    OR OLD.state = 'practical_due' AND NEW.state IN ('passed', 'declined')))
  EXECUTE FUNCTION guard_sitting();

-- What a sitting drew, in the order asked; `options` is the order of the options shown.
CREATE TABLE sitting_questions (
  sitting_id uuid NOT NULL REFERENCES sittings,
  position smallint NOT NULL CHECK (position BETWEEN 1 AND 20),
  question_id integer NOT NULL REFERENCES questions,
  options text NOT NULL CHECK (options ~ '^[a-d]{4}$' AND options ~ 'a' AND options ~ 'b' AND options ~ 'c' AND options ~ 'd'),
  PRIMARY KEY (sitting_id, position),
  UNIQUE (sitting_id, question_id)
);

-- Every answer is kept; the last one to a question counts. None is later than its sitting is due.
CREATE TABLE exam_answers (
  sitting_id uuid NOT NULL,
  no smallint NOT NULL CHECK (no >= 1),
  position smallint NOT NULL,
  choice text NOT NULL CHECK (choice IN ('a', 'b', 'c', 'd')),
  at timestamptz NOT NULL,
  due_at timestamptz NOT NULL,
  PRIMARY KEY (sitting_id, no),
  CONSTRAINT exam_answer_in_time CHECK (at < due_at),
  CONSTRAINT exam_answer_of_sitting FOREIGN KEY (sitting_id, due_at) REFERENCES sittings (id, due_at),
  CONSTRAINT exam_answer_to_drawn FOREIGN KEY (sitting_id, position) REFERENCES sitting_questions
);

DO $$
DECLARE
  name text;
BEGIN
  FOREACH name IN ARRAY ARRAY['sitting_questions', 'exam_answers'] LOOP
    EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON %I FOR EACH ROW EXECUTE FUNCTION append_only()', name);
    EXECUTE format('CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON %I FOR EACH STATEMENT EXECUTE FUNCTION append_only()', name);
  END LOOP;
END $$;
GRANT SELECT, INSERT, UPDATE ON exams TO tekkie_service;
GRANT SELECT, INSERT, UPDATE (retired_at) ON questions TO tekkie_service;
GRANT SELECT, INSERT, UPDATE (state, answered, correct, ended_at, reason) ON sittings TO tekkie_service;
GRANT SELECT, INSERT ON sitting_questions, exam_answers TO tekkie_service;

ALTER TABLE timers DROP CONSTRAINT timer_kind_of_subject, ADD CONSTRAINT timer_kind_of_subject CHECK (
  (kind::text IN ('certificate_ending', 'sitting_due')) = (subject_kind = 'person')) NOT VALID;
