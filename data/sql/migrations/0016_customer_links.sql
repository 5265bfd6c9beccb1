-- The links of a customer are signed with this number; raising it makes those sent before invalid.
-- works from 0004
ALTER TABLE bookings ADD COLUMN link_generation smallint NOT NULL DEFAULT 0;
