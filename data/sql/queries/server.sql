-- name: facts
-- What `check_server` requires of a server.
SELECT current_setting('server_version_num')::int AS version,
       current_setting('server_version') AS version_text,
       current_setting('fsync') AS fsync,
       current_setting('full_page_writes') AS full_page_writes,
       current_setting('synchronous_commit') AS synchronous_commit,
       pg_is_in_recovery() AS in_recovery,
       current_setting('server_encoding') AS encoding,
       EXISTS (SELECT FROM pg_available_extensions WHERE name = 'btree_gist') AS btree_gist,
       EXISTS (SELECT FROM pg_roles WHERE rolname = $1 AND rolsuper) AS service_is_superuser,
       (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS is_superuser,
       current_user::text AS user_name,
       current_database()::text AS database
