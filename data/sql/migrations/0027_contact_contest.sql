-- A contact that the customer contests has a deadline. An older tekkie cannot read the timer.
-- works from 0027

ALTER TYPE timer_kind ADD VALUE 'contact_contested';
