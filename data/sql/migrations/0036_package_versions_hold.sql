-- Every booking is checked once, without keeping anybody from writing.
-- works from 0004

ALTER TABLE bookings VALIDATE CONSTRAINT bookings_package_version;
