-- Messages, timers and lines of the audit have a subject: a booking, a person or a partner. What happens to a person or a
-- partner is an entry of the journal, as what happens to a booking is one of its events. Rows of bookings stay as they
-- were, so that what an older tekkie inserts is still right; but its relay would take a message about a person for one
-- whose booking is gone.
-- works from 0018

CREATE TYPE subject_kind AS ENUM ('booking', 'person', 'partner');
ALTER TYPE timer_kind ADD VALUE 'certificate_ending';

-- Whatever is no booking and has a journal, timers or messages. The row is the lock of its journal: `seq` is the number
-- of the last entry. Each kind has its foreign key.
CREATE TABLE subjects (
  kind subject_kind NOT NULL,
  id uuid NOT NULL,
  seq integer NOT NULL DEFAULT 0 CHECK (seq >= 0),
  last_seq integer GENERATED ALWAYS AS (nullif(seq, 0)) STORED,
  person_id uuid GENERATED ALWAYS AS (CASE WHEN kind = 'person' THEN id END) STORED REFERENCES people,
  partner_id uuid GENERATED ALWAYS AS (CASE WHEN kind = 'partner' THEN id END) STORED REFERENCES partners,
  PRIMARY KEY (kind, id),
  CONSTRAINT subject_of_a_kind CHECK (num_nonnulls(person_id, partner_id) = 1)
) WITH (fillfactor = 80);

CREATE TABLE journal (
  subject_kind subject_kind NOT NULL,
  subject_id uuid NOT NULL,
  seq integer NOT NULL CHECK (seq >= 1),
  before integer GENERATED ALWAYS AS (nullif(seq - 1, 0)) STORED,
  kind text NOT NULL CHECK (kind ~ '^[a-z]+\.[a-z_]+$'),
  at timestamptz NOT NULL,
  actor text NOT NULL CHECK (actor ~ '^[a-z]+(:[0-9a-f-]{36})?$'),
  data jsonb NOT NULL CHECK (jsonb_typeof(data) = 'object'),
  PRIMARY KEY (subject_kind, subject_id, seq),
  CONSTRAINT journal_subject FOREIGN KEY (subject_kind, subject_id) REFERENCES subjects (kind, id),
  CONSTRAINT journal_without_gaps FOREIGN KEY (subject_kind, subject_id, before)
    REFERENCES journal (subject_kind, subject_id, seq)
);
ALTER TABLE subjects ADD CONSTRAINT subject_last_entry FOREIGN KEY (kind, id, last_seq)
  REFERENCES journal (subject_kind, subject_id, seq) DEFERRABLE INITIALLY DEFERRED;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON journal FOR EACH ROW EXECUTE FUNCTION append_only();
CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON journal FOR EACH STATEMENT EXECUTE FUNCTION append_only();
GRANT SELECT, INSERT, UPDATE ON subjects TO tekkie_service;
GRANT SELECT, INSERT ON journal TO tekkie_service;

-- The subject of a booking's row is `booking_id`. A message about anything else is called for by an entry of the journal,
-- whose number it has; the index messages_order finds those before it, where `booking_id` is null.
ALTER TABLE messages
  ALTER COLUMN booking_id DROP NOT NULL,
  ADD COLUMN subject_kind subject_kind NOT NULL DEFAULT 'booking',
  ADD COLUMN subject_id uuid,
  ADD CONSTRAINT message_subject CHECK (
    num_nonnulls(booking_id, subject_id) = 1 AND (subject_kind = 'booking') = (subject_id IS NULL)) NOT VALID,
  ADD CONSTRAINT message_of_entry FOREIGN KEY (subject_kind, subject_id, seq)
    REFERENCES journal (subject_kind, subject_id, seq) NOT VALID;

ALTER TABLE timers
  DROP CONSTRAINT timers_pkey,
  ADD CONSTRAINT timers_booking UNIQUE (booking_id, kind),
  ALTER COLUMN booking_id DROP NOT NULL,
  ADD COLUMN subject_kind subject_kind NOT NULL DEFAULT 'booking',
  ADD COLUMN subject_id uuid,
  ADD CONSTRAINT timer_subject CHECK (
    num_nonnulls(booking_id, subject_id) = 1 AND (subject_kind = 'booking') = (subject_id IS NULL)) NOT VALID,
  ADD CONSTRAINT timer_kind_of_subject CHECK ((kind::text = 'certificate_ending') = (subject_kind = 'person')) NOT VALID,
  ADD CONSTRAINT timer_of_subject FOREIGN KEY (subject_kind, subject_id) REFERENCES subjects (kind, id) NOT VALID;
CREATE UNIQUE INDEX timers_of_subjects ON timers (subject_kind, subject_id, kind) WHERE subject_id IS NOT NULL;

-- NULL: no subject of its own (all records, an import), or written by an older tekkie.
ALTER TABLE audit
  ADD COLUMN subject_kind subject_kind,
  ADD CONSTRAINT audit_subject_has_id CHECK (subject_kind IS NULL OR subject ~ '^[0-9a-f-]{36}$') NOT VALID;

-- When the friend was told that this certificate ends.
ALTER TABLE friend_certificates ADD COLUMN told_at timestamptz;
