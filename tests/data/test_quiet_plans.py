"""Query plans when the statistics contain no live offer, as after a quiet night."""

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


async def test_live_offers_of_a_friend_are_found_by_the_friend_and_not_among_all_live_offers(
    database,
):
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
