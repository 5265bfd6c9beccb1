-- What a visit has shown, or the desk has said, stays with the job: only pros are asked about it. A tekkie without this file
-- asks friends again, as it did before. What a friend has earned is listed by friend.
-- works from 0022

ALTER TABLE bookings ADD COLUMN needs_pro boolean NOT NULL DEFAULT false;
CREATE INDEX charges_friend ON charges (friend_id, at, booking_id);
