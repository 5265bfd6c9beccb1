-- Of a GeoPackage, which is a SQLite database, not of PostgreSQL.

-- name: real_tables
-- Views and virtual tables are left out: they compute, and may read elsewhere.
SELECT name FROM sqlite_master WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%'

-- name: layers
SELECT table_name FROM gpkg_contents WHERE data_type = 'features' LIMIT 100

-- name: geometry
-- The column of the geometry and its reference system.
SELECT g.column_name, s.organization, s.organization_coordsys_id, s.definition
FROM gpkg_geometry_columns g JOIN gpkg_spatial_ref_sys s ON s.srs_id = g.srs_id
WHERE g.table_name = ? LIMIT 1

-- name: features
SELECT * FROM {table}
