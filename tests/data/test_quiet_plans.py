"""What the server plans after a quiet night, when its statistics know of no live offer."""

from uuid import UUID

from data import db
from tests.conftest import BEGINNING
from tests.data.test_plans import add_history, explain, nodes

SOME = [UUID(int=n) for n in range(1, 33)]
COUNTING = {
    ("friends", "fingerprint"): (SOME, BEGINNING),
    ("friends", "facts"): (SOME, BEGINNING),
    ("friend_changes", "fingerprints"): (UUID(int=0), 5000, BEGINNING),
    ("friend_changes", "live_offers_since"): ("1", BEGINNING),
}


async def test_a_friend_s_live_offers_are_never_looked_for_among_all_that_live(database):
    connection = await db.connect(database.owner_dsn, application="tests")
    try:
        await add_history(connection)
        await connection.execute("UPDATE offers SET state = 'expired' WHERE state = 'live'")
        await connection.execute("VACUUM ANALYZE offers")
        for (table, block), args in COUNTING.items():
            plan = await explain(connection, table, block, args)
            used = {node["Index Name"] for node in nodes(plan) if "Index Name" in node}
            assert "offers_four_live" not in used, block
            assert "offers_inbox" in used, block
    finally:
        await connection.close()
