-- A friend, or who applied to be one, asks that a person looks again at a decision about them, or that a fact is corrected
-- (not to be confused with reviews, which are stars). Another operator than the one who decided answers. An older tekkie
-- lets timers of the new kind lie until a newer one runs.
-- works from 0040

ALTER TYPE timer_kind ADD VALUE 'review_due';

CREATE TABLE review_requests (
  id uuid PRIMARY KEY,
  friend_id uuid NOT NULL REFERENCES friends,
  about text NOT NULL CHECK (about IN ('suspension', 'block', 'application', 'limits', 'certificate', 'level', 'correction')),
  text text NOT NULL CHECK (length(text) BETWEEN 1 AND 1000),
  asked_at timestamptz NOT NULL,
  due_at timestamptz NOT NULL,
  reminded_at timestamptz,
  decided_by uuid REFERENCES operators,
  answered_at timestamptz,
  answered_by uuid REFERENCES operators,
  outcome text CHECK (outcome IN ('changed', 'kept', 'withdrawn')),
  reasons text CHECK (length(reasons) BETWEEN 1 AND 500),
  CONSTRAINT review_request_due_after CHECK (due_at > asked_at),
  CONSTRAINT review_request_reminded_after CHECK (reminded_at >= asked_at),
  CONSTRAINT review_request_answered_after CHECK (answered_at >= asked_at),
  CONSTRAINT review_request_ended CHECK ((answered_at IS NULL) = (outcome IS NULL)),
  CONSTRAINT review_request_by_person CHECK ((coalesce(outcome, 'withdrawn') = 'withdrawn') = (answered_by IS NULL)),
  CONSTRAINT review_request_with_reasons CHECK ((answered_by IS NULL) = (reasons IS NULL)),
  CONSTRAINT review_request_by_another CHECK (answered_by <> decided_by)
);
CREATE UNIQUE INDEX review_requests_open ON review_requests (friend_id, about) WHERE answered_at IS NULL;
CREATE INDEX review_requests_due ON review_requests (due_at, id) WHERE answered_at IS NULL;
CREATE INDEX review_requests_friend ON review_requests (friend_id, asked_at);
GRANT SELECT, INSERT, UPDATE ON review_requests TO tekkie_service;

ALTER TABLE timers DROP CONSTRAINT timer_kind_of_subject, ADD CONSTRAINT timer_kind_of_subject CHECK (
  (kind::text IN ('certificate_ending', 'sitting_due', 'review_due')) = (subject_kind = 'person')) NOT VALID;
