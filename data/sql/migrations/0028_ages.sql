-- Who is not of age is asked for a package that allows it, and only with the consent of a guardian. A birth date and
-- whatever names the guardian stand in `people` alone. An older tekkie would ask a minor for anything.
-- works from 0028

ALTER TYPE outcome ADD VALUE 'TOO_YOUNG';
ALTER TABLE packages ADD COLUMN min_age smallint NOT NULL DEFAULT 18 CHECK (min_age BETWEEN 14 AND 18);
ALTER TABLE people
  ADD COLUMN birth_date date CHECK (birth_date >= '1900-01-01'),
  ADD COLUMN guardian_name text CHECK (length(guardian_name) BETWEEN 1 AND 200),
  ADD COLUMN guardian_email text CHECK (length(guardian_email) BETWEEN 3 AND 254),
  ADD COLUMN guardian_phone text CHECK (guardian_phone ~ '^\+[1-9][0-9]{6,14}$'),
  ADD CONSTRAINT guardian_is_another
    CHECK (lower(guardian_email) <> lower(email) AND guardian_phone <> phone) NOT VALID,
  ADD CONSTRAINT guardian_whole
    CHECK (num_nulls(guardian_name, guardian_email, guardian_phone) IN (0, 3)) NOT VALID;

-- Each time a guardian was asked: at most one stands, and a withdrawn one stays withdrawn.
CREATE TABLE guardianships (
  id uuid PRIMARY KEY,
  friend_id uuid NOT NULL REFERENCES friends,
  asked_at timestamptz NOT NULL,
  confirmed_at timestamptz CHECK (confirmed_at >= asked_at),
  ended_at timestamptz CHECK (ended_at >= asked_at)
);
CREATE UNIQUE INDEX guardianships_standing ON guardianships (friend_id) WHERE ended_at IS NULL;
CREATE INDEX guardianships_friend ON guardianships (friend_id, asked_at);
CREATE TRIGGER touch_new AFTER INSERT ON guardianships REFERENCING NEW TABLE AS changed_rows
  FOR EACH STATEMENT EXECUTE FUNCTION touch_friends('friend_id');
CREATE TRIGGER touch_changed AFTER UPDATE ON guardianships REFERENCING NEW TABLE AS changed_rows
  FOR EACH STATEMENT EXECUTE FUNCTION touch_friends('friend_id');
GRANT SELECT, INSERT, UPDATE, DELETE ON guardianships TO tekkie_service;
