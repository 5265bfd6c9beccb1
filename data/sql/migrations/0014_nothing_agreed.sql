-- When a friend has reached the customer and no appointment follows, both are reminded.
-- works from 0014
ALTER TYPE timer_kind ADD VALUE 'agreement_due';
