-- A customer may have the friend of an earlier job asked first, and alone. An older tekkie cannot read the outcome of the
-- others.
-- works from 0024

ALTER TYPE outcome ADD VALUE 'FAVOURITE_FIRST';
ALTER TABLE bookings ADD COLUMN favourite_id uuid REFERENCES friends;
