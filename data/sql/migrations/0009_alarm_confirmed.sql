-- When a friend confirmed that this phone rang. NULL: never; an older tekkie leaves it alone.
-- works from 0004

ALTER TABLE push_subscriptions ADD COLUMN confirmed_at timestamptz;
