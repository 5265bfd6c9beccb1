-- A friend has a level, which a rule moves by one step a month at most and an operator sets or holds. Every move stays,
-- with the numbers it was made by. An older tekkie cannot read the outcome of a level that is too low.
-- works from 0039

ALTER TYPE outcome ADD VALUE 'LEVEL_TOO_LOW';
ALTER TABLE friends
  ADD COLUMN level smallint NOT NULL DEFAULT 1,
  ADD COLUMN level_held boolean NOT NULL DEFAULT false,
  ADD COLUMN level_due_at timestamptz NOT NULL DEFAULT '-infinity',
  ADD CONSTRAINT friend_level CHECK (level BETWEEN 1 AND 3) NOT VALID;

CREATE INDEX friends_level_due ON friends (level_due_at) WHERE NOT level_held;

CREATE TABLE level_moves (
  friend_id uuid NOT NULL REFERENCES friends,
  no integer NOT NULL CHECK (no >= 1),
  before_no integer GENERATED ALWAYS AS (nullif(no - 1, 0)) STORED,
  at timestamptz NOT NULL,
  before smallint NOT NULL CHECK (before BETWEEN 1 AND 3),
  after smallint NOT NULL CHECK (after BETWEEN 1 AND 3),
  held boolean NOT NULL,
  points smallint NOT NULL CHECK (points BETWEEN 0 AND 1000),
  record jsonb NOT NULL CHECK (jsonb_typeof(record) = 'object'),
  policy_id uuid NOT NULL REFERENCES policies,
  set_by uuid REFERENCES operators,
  PRIMARY KEY (friend_id, no),
  CONSTRAINT level_moves_without_gaps FOREIGN KEY (friend_id, before_no) REFERENCES level_moves (friend_id, no),
  CONSTRAINT level_moves_by_one_step CHECK (set_by IS NOT NULL OR abs(after - before) = 1 AND NOT held)
);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON level_moves FOR EACH ROW EXECUTE FUNCTION append_only();
CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON level_moves FOR EACH STATEMENT EXECUTE FUNCTION append_only();
GRANT SELECT, INSERT ON level_moves TO tekkie_service;
