-- name: facts
-- `works_from`: see data/migrate.py; a database migrated by an earlier release has no such column.
SELECT coalesce((SELECT max(version) FROM migrations), 0) AS version,
  coalesce((SELECT max(coalesce((to_jsonb(m) ->> 'works_from')::integer, version - 1)) FROM migrations m), 0)
    AS works_from,
  EXISTS (SELECT FROM friends) AS has_friends,
  pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on' AS accepts_only_reads
