-- A count of one friend's live offers could be read from this index too, end to end, and was whenever the statistics
-- knew of no live offer: by thousands of them, for every friend of every booking. It says of itself that it is narrower
-- than that question (slots begin at 1), so that only `offers_inbox` can answer it.

DROP INDEX offers_four_live;
CREATE UNIQUE INDEX offers_four_live ON offers (booking_id, slot) WHERE state = 'live' AND slot >= 1;
