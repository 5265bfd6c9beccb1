-- When a friend has reached the customer and no appointment follows, both are reminded.
-- works from 0004
ALTER TYPE timer_kind ADD VALUE 'agreement_due';
