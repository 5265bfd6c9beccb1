-- What customer and friend write to each other: a thread for each award, so that the next friend sees none of it. The texts
-- are personal data: nobody changes them, and they are emptied. An older tekkie has no letter about them.
-- works from 0031

CREATE TYPE note_author AS ENUM ('friend', 'customer');
CREATE TABLE threads (
  award_id uuid PRIMARY KEY,
  booking_id uuid NOT NULL,
  first_by_friend integer NOT NULL DEFAULT 0,
  by_friend integer NOT NULL DEFAULT 0,
  by_customer integer NOT NULL DEFAULT 0,
  read_by_friend integer NOT NULL DEFAULT 0,
  read_by_customer integer NOT NULL DEFAULT 0,
  letter_to_friend_at timestamptz,
  letter_to_customer_at timestamptz,
  CONSTRAINT thread_of_award FOREIGN KEY (award_id, booking_id) REFERENCES awards (id, booking_id),
  CONSTRAINT thread_numbers CHECK (
    first_by_friend BETWEEN 0 AND by_friend AND (first_by_friend = 0) = (by_friend = 0)
    AND least(by_customer, read_by_friend, read_by_customer) >= 0
    AND greatest(read_by_friend, read_by_customer) <= greatest(by_friend, by_customer)
    AND (by_friend <> by_customer OR by_friend = 0))
) WITH (fillfactor = 80);
CREATE INDEX threads_booking ON threads (booking_id);

CREATE TABLE thread_notes (
  award_id uuid NOT NULL REFERENCES threads,
  seq integer NOT NULL CHECK (seq >= 1),
  before integer GENERATED ALWAYS AS (nullif(seq - 1, 0)) STORED,
  by note_author NOT NULL,
  text text CONSTRAINT note_text CHECK (length(text) BETWEEN 1 AND 2000),
  at timestamptz NOT NULL,
  xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
  PRIMARY KEY (award_id, seq),
  CONSTRAINT notes_without_gaps FOREIGN KEY (award_id, before) REFERENCES thread_notes (award_id, seq)
);
CREATE INDEX thread_notes_xid ON thread_notes (xid);
CREATE INDEX thread_notes_kept ON thread_notes (at) WHERE text IS NOT NULL;
CREATE TRIGGER append_only_but_text BEFORE UPDATE ON thread_notes FOR EACH ROW
  WHEN (OLD.text IS NULL OR NEW.text IS NOT NULL
        OR (NEW.award_id, NEW.seq, NEW.by, NEW.at, NEW.xid) IS DISTINCT FROM (OLD.award_id, OLD.seq, OLD.by, OLD.at, OLD.xid))
  EXECUTE FUNCTION append_only();
CREATE TRIGGER append_only BEFORE DELETE ON thread_notes FOR EACH ROW EXECUTE FUNCTION append_only();
CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON thread_notes FOR EACH STATEMENT EXECUTE FUNCTION append_only();
GRANT SELECT, INSERT, UPDATE ON threads, thread_notes TO tekkie_service;
