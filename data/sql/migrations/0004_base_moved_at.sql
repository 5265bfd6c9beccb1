-- When a friend last moved his own base. NULL: never, or only by an import; an older tekkie leaves it alone.
ALTER TABLE friends ADD COLUMN base_moved_at timestamptz;
