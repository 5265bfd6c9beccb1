-- Every row is checked once, without keeping anybody from writing.
-- works from 0018

ALTER TABLE messages VALIDATE CONSTRAINT message_subject, VALIDATE CONSTRAINT message_of_entry;
ALTER TABLE timers
  VALIDATE CONSTRAINT timer_subject, VALIDATE CONSTRAINT timer_kind_of_subject, VALIDATE CONSTRAINT timer_of_subject;
ALTER TABLE audit VALIDATE CONSTRAINT audit_subject_has_id;
