"""A schema as rows of the system catalogues: two databases with equal rows have equal schemas.

Times of migration, the order of grants, and the contents of tables are left out.
"""

from collections import Counter

import asyncpg

ALL = """
SELECT 'relation', c.relname, concat_ws(' ', c.relkind, c.relpersistence, c.relowner::regrole,
  c.reloptions::text)
FROM pg_class c WHERE c.relnamespace = 'tekkie'::regnamespace
UNION ALL
SELECT 'right', c.relname, concat_ws(' ', r.grantee::regrole, r.privilege_type, r.is_grantable)
FROM pg_class c, aclexplode(c.relacl) r WHERE c.relnamespace = 'tekkie'::regnamespace
UNION ALL
SELECT 'right', c.relname || '.' || a.attname,
  concat_ws(' ', r.grantee::regrole, r.privilege_type, r.is_grantable)
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid, aclexplode(a.attacl) r
WHERE c.relnamespace = 'tekkie'::regnamespace
UNION ALL
SELECT 'column', c.relname || '.' || a.attname, concat_ws(' ',
  row_number() OVER (PARTITION BY c.oid ORDER BY a.attnum), format_type(a.atttypid, a.atttypmod),
  a.attnotnull, a.attgenerated, a.attidentity, a.attcollation::regcollation,
  pg_get_expr(d.adbin, d.adrelid))
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
WHERE c.relnamespace = 'tekkie'::regnamespace AND c.relkind IN ('r', 'v', 'c')
AND a.attnum > 0 AND NOT a.attisdropped
UNION ALL
SELECT 'constraint', conrelid::regclass || '.' || conname,
  concat_ws(' ', pg_get_constraintdef(oid), convalidated)
FROM pg_constraint WHERE connamespace = 'tekkie'::regnamespace
UNION ALL
SELECT 'index', i.indexrelid::regclass::text,
  concat_ws(' ', pg_get_indexdef(i.indexrelid), i.indisvalid)
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
WHERE c.relnamespace = 'tekkie'::regnamespace
UNION ALL
SELECT 'trigger', t.tgrelid::regclass || '.' || t.tgname,
  concat_ws(' ', pg_get_triggerdef(t.oid), t.tgenabled)
FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
WHERE c.relnamespace = 'tekkie'::regnamespace AND NOT t.tgisinternal
UNION ALL
SELECT 'function', p.oid::regprocedure::text, pg_get_functiondef(p.oid)
FROM pg_proc p WHERE p.pronamespace = 'tekkie'::regnamespace AND p.prokind <> 'a'
UNION ALL
SELECT 'enum', e.enumtypid::regtype::text,
  concat_ws(' ', row_number() OVER (PARTITION BY e.enumtypid ORDER BY e.enumsortorder), e.enumlabel)
FROM pg_enum e JOIN pg_type t ON t.oid = e.enumtypid WHERE t.typnamespace = 'tekkie'::regnamespace
UNION ALL
SELECT 'file', m.name, concat_ws(' ', m.version, m.sha256,
  coalesce(m.works_from, m.version - 1)) FROM tekkie.migrations m"""


async def dump_schema(connection: asyncpg.Connection) -> list[str]:
    """One line for each object of the schema, sorted."""
    return sorted(f"{kind} {name}: {what}" for kind, name, what in await connection.fetch(ALL))


def diff_schemas(one: list[str], other: list[str]) -> list[str]:
    """The lines that only one of two schemas has, marked - or +."""
    left, right = Counter(one), Counter(other)
    return [f"- {line}" for line in (left - right).elements()] + [
        f"+ {line}" for line in (right - left).elements()
    ]
