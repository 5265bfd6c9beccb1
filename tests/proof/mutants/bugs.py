"""The planted bugs: plausible mistakes, each with the tests that must notice it."""

from tests.proof.mutants.leaks import LEAKS
from tests.proof.mutants.sandbox import Mutant, Patch, mutant

JOB = "dispatch/rules/jobs/job.py"
RULES = "tests/rules/test_job.py"
FAN_OUT = "tests/rules/test_fan_out.py"
FLOWS = "tests/flows/test_jobs.py"
RELAY = "tests/scheduler/test_relay.py"
LIFE = "tests/api/test_lifecycle.py"
LOCKS = "tests/flows/test_locks.py"
SCAN = "tests/proof/privacy/test_scan.py::test_no_reader_gets_what_they_may_not_see"

BUGS: tuple[Mutant, ...] = (
    *LEAKS,
    mutant(
        "no lock on the booking",
        "two decisions are made on the same facts",
        "data/sql/queries/jobs.sql",
        "ORDER BY id FOR UPDATE",
        "ORDER BY id",
        LOCKS,
    ),
    mutant(
        "the moment is read before the lock",
        "an offer is accepted after it expired",
        "data/store/jobs.py",
        "    locked = await tx.fetch(sql.lock, *named) if any(named) else []\n"
        '    return await _load(tx, [row["id"] for row in locked], packages)',
        "    now = await moment(tx)\n"
        "    locked = await tx.fetch(sql.lock, *named) if any(named) else []\n"
        '    loaded, _ = await _load(tx, [row["id"] for row in locked], packages)\n'
        "    return loaded, now",
        LOCKS,
    ),
    Mutant(
        "an answer is accepted after the time of its exam",
        "a request that is kept back wins time",
        (
            Patch(
                "data/sql/queries/exams.sql",
                "answered < $5 AND moment() < due_at",
                "answered < $5",
            ),
            Patch(
                "data/sql/queries/exams.sql",
                "RETURNING id, answered, due_at, moment() AS at)",
                "RETURNING id, answered, due_at, started_at AS at)",
            ),
        ),
        ("tests/flows/test_exams.py",),
    ),
    mutant(
        "another's booking is read before it is refused",
        "response times tell a friend what exists",
        "dispatch/flows/execute.py",
        "if c.booking_id is not None and not c.holder_only}",
        "if c.booking_id is not None}",
        "tests/api/test_indistinguishable.py",
    ),
    mutant(
        "no lock on the friend",
        "two awards at once exceed a capacity, and one caller gets an error",
        "dispatch/flows/execute.py",
        "await friends.lock_current(tx, wanted, now, rt.index.get)",
        "await friends.current(tx, wanted, now, rt.index.get)",
        LOCKS,
    ),
    mutant(
        "an expired offer can be accepted",
        "the expiry of an offer has no effect",
        JOB,
        "    over = offer.state is OfferState.LIVE and now >= offer.expires_at\n",
        "    over = False\n",
        RULES,
    ),
    mutant(
        "an offer is live a moment too long",
        "the moment of expiry is undefined",
        JOB,
        " and now >= offer.expires_at\n",
        " and now > offer.expires_at\n",
        RULES,
    ),
    mutant(
        "the rule forgets the capacity",
        "a friend gets a constraint error instead of what to do",
        JOB,
        "    if friend.open_jobs >= friend.capacity:\n"
        '        raise AtCapacity(f"you have {friend.open_jobs} open jobs; finish or hand back one '
        'first")\n',
        "",
        RULES,
    ),
    mutant(
        "a friend who refused is asked again",
        "a friend is notified of what they declined, missed or lost",
        "dispatch/rules/jobs/matching.py",
        "excluded=frozenset(offer.friend_id for offer in refused) | job.former.keys(),",
        "excluded=frozenset(),",
        FAN_OUT,
    ),
    mutant(
        "forfeit ignores the state",
        "a deadline that fires late takes a job from a friend who made contact",
        JOB,
        "    if draft.booking.state is not BookingState.AWARDED:\n"
        "        draft.set_timer(TimerKind.CONTACT_DEADLINE, None)\n"
        "        return draft.changes()\n",
        "",
        RULES,
    ),
    mutant(
        "forfeit ignores the clock",
        "a timer that fires early takes the job",
        JOB,
        "    if case.now < draft.held.contact_due_at:\n"
        "        draft.set_timer(TimerKind.CONTACT_DEADLINE, draft.held.contact_due_at)\n"
        "        return draft.changes()\n",
        "",
        RULES,
    ),
    mutant(
        "reminders come early",
        "eight hours before the deadline a friend is told that four are left",
        JOB,
        "    ahead = (due - before for before in draft.policy.contact_reminders)",
        "    ahead = (due - 2 * before for before in draft.policy.contact_reminders)",
        RULES,
    ),
    mutant(
        "twelve hours of the wall clock",
        "in a night of daylight saving the deadline is an hour off",
        JOB,
        "    due = draft.now + within\n",
        "    from zoneinfo import ZoneInfo\n"
        '    due = draft.now.astimezone(ZoneInfo("Europe/Zurich")) + within\n',
        LOCKS,
    ),
    mutant(
        "standard time all year",
        "quiet hours are an hour off all summer",
        "dispatch/rules/people/quiet_hours.py",
        "    local = now.astimezone(zone(market))\n",
        "    from datetime import timedelta, timezone\n"
        "    local = now.astimezone(timezone(timedelta(hours=1)))\n",
        "tests/rules/test_quiet_hours.py",
    ),
    mutant(
        "events are numbered anew",
        "two events of one booking have the same number",
        "dispatch/rules/jobs/draft.py",
        "        self.seq = case.job.booking.event_seq\n",
        "        self.seq = 0\n",
        RULES,
        FLOWS,
    ),
    Mutant(
        "messages in a second transaction",
        "after a kill in between nobody is notified",
        (
            Patch(
                "data/store/jobs.py",
                "        insert_messages=[\n"
                "            _message_row(m, now) for m in messages "
                "if m.audience is not Audience.COMPANY\n"
                "        ],\n",
                "",
            ),
            Patch(
                "dispatch/flows/group_commit.py",
                "        publish_changes(self.rt, changes)\n        return results\n",
                "        from data.db import moment, transaction\n"
                "        from data.store import jobs\n\n"
                "        async with transaction(self.rt.pool) as tx:\n"
                "            now = await moment(tx)\n"
                "            rows = [jobs._message_row(m, now) "
                "for c in changes for m in c.messages]\n"
                "            await jobs._at_once(tx, insert_messages=rows)\n"
                "        publish_changes(self.rt, changes)\n        return results\n",
            ),
        ),
        (LOCKS,),
    ),
    Mutant(
        "the idempotency key is committed before the work",
        "after a kill the repeat has no answer",
        (
            Patch(
                "dispatch/flows/execute.py",
                "    replies = await idempotency_keys.claim(tx, "
                "[c.claim for c in first if c.claim is not None])\n",
                "    from data.db import transaction\n\n"
                "    async with transaction(rt.pool) as own:\n"
                "        replies = await idempotency_keys.claim(\n"
                "            own, [c.claim for c in first if c.claim is not None]\n"
                "        )\n",
            ),
        ),
        (LOCKS, "tests/flows/test_group_commit.py"),
    ),
    mutant(
        "a command is answered from the job as of the end of its batch",
        "a repeated accept is answered 500 when the job is cancelled at the same moment",
        "dispatch/flows/execute.py",
        "    results.update(_build_results(facts.now, before, decided))\n",
        "    last = {c: facts.jobs[job.booking.id] for c, job in before.items()}\n"
        "    results.update(_build_results(facts.now, last, decided))\n",
        "tests/races/test_pairs.py",
    ),
    mutant(
        "keys are shared by all callers",
        "one caller gets another's answer",
        "api/routes/bookings.py",
        '        claim=claim(key, principal(caller), "POST /v1/bookings", body),\n',
        '        claim=claim(key, "anybody", "POST /v1/bookings", body),\n',
        "tests/api/test_idempotency.py",
    ),
    mutant(
        "a broken constraint counts as success",
        "a refused write is answered as done",
        "data/db_errors.py",
        "        raise ConstraintViolation(str(error.constraint_name)) from error\n",
        "        return\n",
        "tests/data/test_db.py",
        "tests/flows/test_group_commit.py",
    ),
    mutant(
        "403 for what is another's",
        "an unauthorized caller learns what exists",
        "api/http/auth.py",
        "    if not _is_owner(caller, booking_id, partner_id):\n        raise NotFound\n",
        "    if not _is_owner(caller, booking_id, partner_id):\n        raise Forbidden\n",
        "tests/api/test_access.py",
    ),
    mutant(
        "a name in an event",
        "streams, lists and backups of events name the customer",
        JOB,
        '    draft.add_event("booking.created", package=draft.booking.package)\n',
        '    name = case.customer.name if case.customer else ""\n'
        '    draft.add_event("booking.created", package=draft.booking.package, name=name)\n',
        "tests/api/test_privacy.py",
    ),
    mutant(
        "distances are measured to the address",
        "four friends can locate the address",
        "dispatch/rules/jobs/matching.py",
        "    centre = Point(lat=booking.cell_lat, lon=booking.cell_lon)\n",
        "    centre = Point(lat=booking.lat, lon=booking.lon)\n",
        "tests/rules/test_matching.py",
    ),
    mutant(
        "the cell is labelled after the address",
        "two addresses in one cell differ in its label",
        "geo/cells.py",
        "        label=_label(middle, gazetteer),\n",
        "        label=_label(point, gazetteer),\n",
        "tests/geo/test_cells.py",
    ),
    mutant(
        "money in floats",
        "a cent more or less",
        "dispatch/rules/money/prices.py",
        "        amount=price.amount * (100 - policy.commission_percent) // 100, "
        "currency=price.currency\n",
        "        amount=round(price.amount * (1 - policy.commission_percent / 100)), "
        "currency=price.currency\n",
        "tests/rules/test_prices.py",
    ),
    mutant(
        "one bad booking blocks the sweep",
        "no deadline behind it ever fires",
        "dispatch/flows/jobs/commands.py",
        "                await jobs.postpone(tx, booking_id)\n",
        "                pass\n",
        LOCKS,
    ),
    mutant(
        "sweepers wait for each other",
        "one held booking holds up all that are due",
        "data/sql/queries/jobs.sql",
        "FOR UPDATE OF b SKIP LOCKED\n\n-- name: load",
        "FOR UPDATE OF b\n\n-- name: load",
        "tests/scheduler/test_deadlines.py",
        LOCKS,
    ),
    mutant(
        "relays wait for each other",
        "one slow relay stops all mail",
        "data/sql/queries/messages.sql",
        "  ORDER BY m.next_at LIMIT $1 FOR UPDATE SKIP LOCKED)",
        "  ORDER BY m.next_at LIMIT $1 FOR UPDATE)",
        RELAY,
        LOCKS,
    ),
    mutant(
        "a message is tried for ever",
        "a mail that cannot be sent is never reported",
        "scheduler/relay.py",
        "    has_end = False\n",
        "    has_end = True\n",
        RELAY,
    ),
    mutant(
        "a failed message is tried at once",
        "a failing mail server is overloaded",
        "scheduler/deliveries.py",
        "        return min(max(own_s, requested_s), result.within_s)\n",
        "        return 0.0\n",
        RELAY,
    ),
    mutant(
        "marked as sent before sending",
        "a mail that failed counts as sent",
        "scheduler/deliveries.py",
        "            task = asyncio.create_task(self._deliver(one))\n",
        "            self._settle(one, Sent())\n"
        "            task = asyncio.create_task(self._deliver(one))\n",
        RELAY,
    ),
    mutant(
        "messages overtake each other",
        "“cancelled” arrives before “found”",
        "data/sql/queries/messages.sql",
        "                      AND (e.seq, e.id) < (m.seq, m.id))\n",
        "                      AND (e.seq, e.id) < (m.seq, m.id) AND false)\n",
        RELAY,
    ),
    Mutant(
        "a second connection inside a transaction",
        "under load the pool waits for itself, and reads what is not yet decided",
        (
            Patch(
                "dispatch/flows/execute.py",
                "        facts.appointments = await jobs.appointments(tx, calendars)\n",
                "        from data.db import transaction\n\n"
                "        async with transaction(rt.pool) as own:\n"
                "            facts.appointments = await jobs.appointments(own, calendars)\n",
            ),
        ),
        (LOCKS,),
    ),
    mutant(
        "expired offers are listed",
        "friends try to accept expired offers until the sweep",
        "data/sql/queries/read_models.sql",
        "WHERE o.friend_id = $1 AND o.company_id IS NULL AND o.state = 'live' "
        "AND o.expires_at > clock.now\n",
        "WHERE o.friend_id = $1 AND o.company_id IS NULL AND o.state = 'live'\n",
        LIFE,
    ),
    mutant(
        "the losers' offers stay live",
        "three more friends win",
        JOB,
        "    lost = draft.close_live_offers(OfferState.LOST)\n",
        "    lost: list[str] = []\n",
        RULES,
    ),
    mutant(
        "a decline asks nobody else",
        "three offers are left, then two",
        JOB,
        "offer=str(offer.id), **asked)\n    return fan_out.begin(draft)\n",
        "offer=str(offer.id), **asked)\n    return draft.changes()\n",
        FAN_OUT,
    ),
    mutant(
        "a cancelled booking keeps its timers",
        "timers of a finished booking fire",
        JOB,
        "    draft.stop_timers()\n    draft.move(BookingState.CANCELLED)\n",
        "    draft.move(BookingState.CANCELLED)\n",
        RULES,
        FLOWS,
    ),
    mutant(
        "an ended job is never subtracted",
        "a friend is at capacity with jobs they do not hold",
        "dispatch/rules/jobs/draft.py",
        "            self._count(award.friend_id, -1)\n",
        "            self._count(award.friend_id, 0)\n",
        RULES,
    ),
    mutant(
        "the radius is forgotten",
        "friends are asked to places outside their radius",
        "dispatch/rules/jobs/matching.py",
        "    if distance_m > friend.radius_m and distance_m > reach_m(",
        "    if distance_m > 10 * friend.radius_m and distance_m > reach_m(",
        "tests/rules/test_matching.py",
    ),
    Mutant(
        "anybody's offer can be accepted",
        "a stranger wins a job with somebody else's offer",
        (
            Patch(
                "data/sql/queries/jobs.sql", "ON o.id = t.i AND o.friend_id = t.f", "ON o.id = t.i"
            ),
            Patch(
                "dispatch/flows/execute.py",
                "        if command.offer is not None and command.offer in self.bookings:\n"
                "            return self.bookings[command.offer]\n",
                "        for (offer_id, _), booking_id in self.bookings.items():\n"
                "            if command.offer is not None and command.offer[0] == offer_id:\n"
                "                return booking_id\n",
            ),
        ),
        (FLOWS,),
    ),
    mutant(
        "a link is compared by its beginning",
        "a guess of a few characters opens a booking",
        "dispatch/rules/jobs/customer_links.py",
        "    return hmac.compare_digest(issued.encode(), token.encode())\n",
        "    return token[:26] == issued[:26]\n",
        "tests/rules/test_customer_links.py",
    ),
    mutant(
        "a revoked key is remembered",
        "a revoked partner keeps access",
        "dispatch/flows/partners/accounts.py",
        "    return await lookups(rt).partners.get(_hash(key))\n",
        '    known = rt.__dict__.setdefault("known", {})\n'
        "    if key not in known:\n"
        "        known[key] = await lookups(rt).partners.get(_hash(key))\n"
        "    found: Partner | None = known[key]\n"
        "    return found\n",
        "tests/api/test_access.py",
        "tests/api/test_sessions.py",
        LOCKS,
    ),
    mutant(
        "a login link works twice",
        "anybody who finds the mail later can sign in too",
        "data/sql/queries/sessions.sql",
        "WHERE l.token_sha256 = $1 AND l.used_at IS NULL AND l.expires_at > clock.now",
        "WHERE l.token_sha256 = $1 AND l.expires_at > clock.now",
        "tests/api/test_sessions.py",
    ),
    mutant(
        "a login link never ends",
        "a mail of last year signs in",
        "data/sql/queries/sessions.sql",
        "WHERE l.token_sha256 = $1 AND l.used_at IS NULL AND l.expires_at > clock.now",
        "WHERE l.token_sha256 = $1 AND l.used_at IS NULL",
        "tests/api/test_sessions.py",
    ),
    mutant(
        "a friend sees the customer's data for ever",
        "names and streets stay on every phone",
        "dispatch/rules/trust/disclosure.py",
        "    return ended_at is None or now < ended_at + policy.privacy_after\n",
        "    return True\n",
        LIFE,
    ),
    mutant(
        "a partner sees everybody's bookings",
        "one retailer reads another's list",
        "api/routes/bookings.py",
        "            partner_id=caller.partner_id if isinstance(caller, Partner) else None,\n"
        "            state=state,\n",
        "            partner_id=None,\n            state=state,\n",
        "tests/api/test_lists.py",
        "tests/api/test_access.py",
    ),
    mutant(
        "what PostgreSQL quotes is logged",
        "a row with name and street stands in the log",
        "api/server/logging.py",
        '        entry["exception"] = entry["exception"].replace(detail, "…")\n',
        "        pass\n",
        "tests/api/test_logging.py",
    ),
    Mutant(
        "the street is mailed to the friend",
        "what a friend may see for a time stays in their mail for ever",
        (
            Patch(
                "scheduler/senders/mail.py",
                "            location=about.address if customer else about.area,\n",
                "            location=about.address,\n",
            ),
            Patch(
                "data/sql/queries/mail_context.sql",
                "       CASE WHEN m.audience = 'customer' "
                "THEN concat_ws(', ', nullif(r.street, ''),\n"
                "         nullif(concat_ws(' ', r.postcode, r.city), '')) END AS address,\n",
                "       (SELECT p.street FROM people p WHERE p.id = b.customer_id) AS address,\n",
            ),
        ),
        (SCAN,),
    ),
    mutant(
        "the schema lets two win",
        "a bug in the rule sends two friends to one address",
        "data/sql/migrations/0001_init.sql",
        "CREATE UNIQUE INDEX offers_one_winner ON offers (booking_id) WHERE state = 'accepted';\n",
        "CREATE INDEX offers_one_winner ON offers (booking_id) WHERE state = 'accepted';\n",
        "tests/data/test_constraints.py",
    ),
    mutant(
        "history can be rewritten",
        "an event changes after it was published",
        "data/sql/migrations/0001_init.sql",
        "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON %I",
        "CREATE TRIGGER append_only BEFORE DELETE ON %I",
        "tests/data/test_constraints.py",
    ),
    mutant(
        "a restore keeps foreign transaction ids",
        "on the new server every old event is published as new",
        "data/sql/queries/backup.sql",
        "UPDATE tekkie.events SET xid = pg_current_xact_id() WHERE xid > pg_current_xact_id();\n",
        "",
        "tests/proof/backup/test_drill.py::test_a_copy_holds_every_promise_and_the_service_works_on_it",
    ),
)
