-- name: create_owner
-- Owns the database and its schema, is no superuser, and may set the role of the service.
CREATE ROLE tekkie_owner LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE

-- name: create_service
CREATE ROLE tekkie_service LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE

-- name: grant_service
GRANT tekkie_service TO tekkie_owner

-- name: create_database
CREATE DATABASE tekkie OWNER tekkie_owner
