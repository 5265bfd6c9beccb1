-- The policy may differ by tier and package: an award states within how many seconds contact is due, an offer states how
-- many offers may be live beside it. Rows of an older tekkie take the defaults, which are what it goes by.
-- `marks` holds what happened on the way to a visit and is not worth a column of its own.
-- works from 0004

ALTER TABLE awards
  ADD COLUMN contact_within_s integer NOT NULL DEFAULT 43200,
  ADD COLUMN marks jsonb NOT NULL DEFAULT '{}',
  ADD CONSTRAINT award_contact_within CHECK (
    contact_within_s BETWEEN 3600 AND 172800
    AND contact_due_at = awarded_at + contact_within_s * interval '1 second') NOT VALID,
  ADD CONSTRAINT award_marks CHECK (jsonb_typeof(marks) = 'object') NOT VALID,
  DROP CONSTRAINT award_twelve_hours;

ALTER TABLE offers
  ADD COLUMN slots smallint NOT NULL DEFAULT 4,
  ADD CONSTRAINT offer_slot_within CHECK (slot BETWEEN 1 AND slots AND slots <= 8) NOT VALID,
  DROP CONSTRAINT offers_slot_check;
