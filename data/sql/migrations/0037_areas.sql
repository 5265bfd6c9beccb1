-- Further areas in which a friend may be asked, beside the base and its radius, and since when there are any: from then on
-- another area is a move of the base.
-- works from 0004

ALTER TABLE friends
  ADD COLUMN areas jsonb,
  ADD COLUMN areas_since timestamptz,
  ADD CONSTRAINT friend_areas CHECK (jsonb_typeof(areas) = 'array' AND jsonb_array_length(areas) BETWEEN 1 AND 5
    AND length(areas::text) <= 65536) NOT VALID,
  ADD CONSTRAINT friend_areas_since CHECK (areas IS NULL OR areas_since IS NOT NULL) NOT VALID;
