-- Every row is checked once, without keeping anybody from writing.
-- works from 0004

ALTER TABLE awards VALIDATE CONSTRAINT award_contact_within, VALIDATE CONSTRAINT award_marks;
ALTER TABLE offers VALIDATE CONSTRAINT offer_slot_within;
