-- name: facts
-- What `check_server` requires of a server.
SELECT current_setting('server_version_num')::int AS version,
       current_setting('server_version') AS version_text,
       current_setting('fsync') AS fsync,
       current_setting('full_page_writes') AS full_page_writes,
       current_setting('synchronous_commit') AS synchronous_commit,
       pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on' AS accepts_only_reads,
       -- Of a replica's connection an ordinary role sees that it is there, and nothing else of it.
       (SELECT count(*) FROM pg_stat_replication WHERE coalesce(state, 'streaming') = 'streaming') AS replicas,
       current_setting('synchronous_standby_names') AS synchronous_standby_names,
       current_setting('server_encoding') AS encoding,
       EXISTS (SELECT FROM pg_available_extensions WHERE name = 'btree_gist') AS btree_gist,
       EXISTS (SELECT FROM pg_roles WHERE rolname = $1 AND rolsuper) AS service_is_superuser,
       (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS is_superuser,
       current_user::text AS user_name,
       current_database()::text AS database

-- name: session
-- What a session must be to be used: `settings` has the values of these names, in the units of the server.
SELECT current_user::text AS role,
       current_database()::text AS database,
       pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on' AS accepts_only_reads,
       ARRAY(SELECT coalesce(s.setting, '')
             FROM unnest($1::text[]) WITH ORDINALITY AS wanted (name, place)
             LEFT JOIN pg_settings s ON lower(s.name) = wanted.name ORDER BY wanted.place) AS settings

-- name: role_statements
-- What an administrator runs, so that every session of a role in a database has these settings.
SELECT format('ALTER ROLE %I IN DATABASE %I SET %s = %L;', $1::text, $2::text, wanted.name, wanted.value) AS statement
FROM unnest($3::text[], $4::text[]) AS wanted (name, value)
