-- An errand is a call to a provider whose answer decides. Its id is the idempotency key that is sent, so that a call
-- which may have been made before is made again without harm. A notice is an event of a provider, stored once: a hint to
-- read the present state of what it is about. Neither holds personal data: a request says what is meant, and the number
-- or address is read when it is sent.
-- works from 0004

CREATE TYPE errand_state AS ENUM ('pending', 'done', 'refused', 'parked');
CREATE TABLE errands (
  id uuid PRIMARY KEY,
  kind text NOT NULL CHECK (kind ~ '^[a-z]+\.[a-z_]+$'),
  booking_id uuid REFERENCES bookings,
  subject_kind subject_kind NOT NULL DEFAULT 'booking',
  subject_id uuid,
  request jsonb NOT NULL CHECK (jsonb_typeof(request) = 'object'),
  state errand_state NOT NULL DEFAULT 'pending',
  attempts smallint NOT NULL DEFAULT 0 CHECK (attempts >= 0),
  next_at timestamptz NOT NULL,
  created_at timestamptz NOT NULL,
  expires_at timestamptz,
  ended_at timestamptz,
  answer jsonb CHECK (jsonb_typeof(answer) = 'object'),
  problem text CHECK (length(problem) <= 500),
  CONSTRAINT errand_subject CHECK (
    num_nonnulls(booking_id, subject_id) = 1 AND (subject_kind = 'booking') = (subject_id IS NULL)),
  CONSTRAINT errand_of_subject FOREIGN KEY (subject_kind, subject_id) REFERENCES subjects (kind, id),
  CONSTRAINT errand_has_a_life CHECK (expires_at > created_at),
  CONSTRAINT errand_ended CHECK ((state IN ('done', 'refused')) = (ended_at IS NOT NULL)),
  CONSTRAINT errand_answered CHECK (state <> 'done' OR answer IS NOT NULL),
  CONSTRAINT errand_problem CHECK (state NOT IN ('refused', 'parked') OR problem IS NOT NULL)
) WITH (fillfactor = 80);
CREATE INDEX errands_due ON errands (next_at) WHERE state = 'pending';
CREATE INDEX errands_parked ON errands (next_at) WHERE state = 'parked';
CREATE INDEX errands_ended ON errands (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX errands_subject ON errands (subject_id) WHERE subject_id IS NOT NULL;
CREATE INDEX errands_booking ON errands (booking_id) WHERE booking_id IS NOT NULL;
-- By what the provider calls it.
CREATE INDEX errands_reference ON errands ((answer ->> 'reference')) WHERE answer ? 'reference';

CREATE TABLE notices (
  id uuid NOT NULL UNIQUE,
  provider text NOT NULL CHECK (provider ~ '^[a-z]{1,40}$'),
  event_id text NOT NULL CHECK (length(event_id) BETWEEN 1 AND 200),
  reference text NOT NULL CHECK (length(reference) BETWEEN 1 AND 200),
  received_at timestamptz NOT NULL,
  state errand_state NOT NULL DEFAULT 'pending',
  attempts smallint NOT NULL DEFAULT 0 CHECK (attempts >= 0),
  next_at timestamptz NOT NULL,
  handled_at timestamptz,
  problem text CHECK (length(problem) <= 500),
  PRIMARY KEY (provider, event_id),
  CONSTRAINT notice_handled CHECK ((state = 'pending') = (handled_at IS NULL))
) WITH (fillfactor = 80);
CREATE INDEX notices_due ON notices (next_at) WHERE state = 'pending';
CREATE INDEX notices_handled ON notices (handled_at) WHERE handled_at IS NOT NULL;
GRANT SELECT, INSERT, UPDATE, DELETE ON errands, notices TO tekkie_service;

-- The telephone number that a person is confirming, beside the present one, and when the present one was confirmed. A
-- number changed in any other way is no longer confirmed, whichever release changes it.
ALTER TABLE people
  ADD COLUMN pending_phone text,
  ADD COLUMN phone_confirmed_at timestamptz,
  ADD CONSTRAINT people_pending_phone_check CHECK (pending_phone ~ '^\+[1-9][0-9]{6,14}$') NOT VALID,
  ADD CONSTRAINT people_confirmed_phone CHECK (phone_confirmed_at IS NULL OR phone IS NOT NULL) NOT VALID;
CREATE FUNCTION phone_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.erased_at IS NOT NULL OR NEW.pending_phone IS NOT NULL OR NEW.phone IS DISTINCT FROM OLD.pending_phone THEN
    NEW.phone_confirmed_at := NULL;
    NEW.pending_phone := NULL;
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER phone_changed BEFORE UPDATE ON people FOR EACH ROW
  WHEN (NEW.phone IS DISTINCT FROM OLD.phone OR NEW.erased_at IS DISTINCT FROM OLD.erased_at)
  EXECUTE FUNCTION phone_changed();

-- The code that was sent last to a person; it is derived from the errand that sent it and the key of the service.
CREATE TABLE phone_codes (
  person_id uuid PRIMARY KEY REFERENCES people,
  errand_id uuid NOT NULL UNIQUE REFERENCES errands,
  expires_at timestamptz NOT NULL,
  tries smallint NOT NULL DEFAULT 0 CHECK (tries >= 0),
  delivery text NOT NULL DEFAULT 'sending' CHECK (delivery IN ('sending', 'sent', 'delivered', 'undeliverable'))
);
GRANT SELECT, INSERT, UPDATE, DELETE ON phone_codes TO tekkie_service;
