"""Copies finished jobs many times, each copy under other ids.

The columns are read from the database, so that it works on the schema of any release.
"""

import asyncpg

MARK_MESSAGES_SENT = """
UPDATE messages m SET state = 'sent', sent_at = moment(), attempts = 1
FROM bookings b WHERE b.id = m.booking_id AND m.state = 'pending'
AND b.state IN ('completed', 'cancelled')"""
# As superuser: triggers and foreign keys do not run for copied rows. Ends with the connection.
DISABLE_TRIGGERS = "SET session_replication_role = replica"
FINISHED = """
CREATE TEMPORARY TABLE finished AS
SELECT id, customer_id FROM bookings WHERE state IN ('completed', 'cancelled')"""
COLUMNS = """
SELECT attname FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped
AND attgenerated = '' ORDER BY attnum"""
COPIED_ID = "md5(x.{name}::text || n)::uuid"
AWARD = """CASE WHEN x.data ? 'award' THEN x.data || jsonb_build_object('award',
md5((x.data ->> 'award') || n)::uuid) ELSE x.data END"""
RECIPIENT = """CASE WHEN x.recipient_id = f.customer_id
THEN md5(x.recipient_id::text || n)::uuid ELSE x.recipient_id END"""
# The join of each table with a finished booking, and which ids get new values in a copy.
TABLES = {
    "people": ("customer_id = x.id", ("id",)),
    "bookings": ("id = x.id", ("id", "customer_id", "award_id")),
    "offers": ("id = x.booking_id", ("id", "booking_id")),
    "awards": ("id = x.booking_id", ("id", "booking_id", "offer_id")),
    "events": ("id = x.booking_id", ("booking_id",)),
    "decisions": ("id = x.booking_id", ("booking_id",)),
    "messages": ("id = x.booking_id", ("id", "booking_id")),
    "charges": ("id = x.booking_id", ("booking_id",)),
}


async def copy_jobs(admin: asyncpg.Connection, times: int) -> int:
    """Copy every finished job so many times; returns the number of bookings."""
    await admin.execute("SET search_path = tekkie")
    await admin.execute(DISABLE_TRIGGERS)
    await admin.execute(MARK_MESSAGES_SENT)
    await admin.execute(FINISHED)
    for table, (join, ids) in TABLES.items():
        columns = [row[0] for row in await admin.fetch(COLUMNS, f"tekkie.{table}")]
        values = ", ".join(_value(table, name, ids) for name in columns)
        await admin.execute(
            f"INSERT INTO {table} ({', '.join(columns)}) SELECT {values} "
            f"FROM finished f JOIN {table} x ON f.{join}, generate_series(1, {times}) AS n"
        )
    await admin.execute("ANALYZE")
    count: int = await admin.fetchval("SELECT count(*) FROM bookings")
    return count


def _value(table: str, name: str, ids: tuple[str, ...]) -> str:
    if name in ids:
        return COPIED_ID.format(name=name)
    special = {("events", "data"): AWARD, ("messages", "recipient_id"): RECIPIENT}
    return special.get((table, name), f"x.{name}")
