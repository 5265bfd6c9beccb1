from api.demo import people as demo_people
from data.db import transaction
from data.seed import town
from data.store import sessions
from dispatch.flows.partners import accounts
from dispatch.flows.people import sessions as session_flows


def test_the_same_seed_gives_the_same_people_and_another_gives_others():
    assert demo_people.invent_friends(40, 7) == demo_people.invent_friends(40, 7)
    assert demo_people.invent_friends(40, 7) != demo_people.invent_friends(40, 8)


def test_friends_are_distributed_over_the_towns_with_unique_addresses():
    people = demo_people.invent_friends(301, 1)
    assert len(people) == len({one.ref for one in people}) == 301
    assert len({one.email for one in people}) == 301
    for name in town.town_names():
        assert sum(one.ref.startswith(name) for one in people) >= 150


async def test_people_created_twice_are_not_duplicated(rt):
    first = await demo_people.create_people(rt, 12, 1)
    again = await demo_people.create_people(rt, 12, 1)
    assert first.new
    assert not again.new
    assert len(rt.index) == 13
    assert first.names == again.names
    assert [one.id for one in first.friends] == [one.id for one in again.friends]


async def test_everybody_can_sign_in_and_only_the_newest_key_is_valid(rt):
    first = await demo_people.create_people(rt, 4, 1)
    again = await demo_people.create_people(rt, 4, 1)
    for token in (again.your_token, again.desk_token, again.friends[0].token):
        assert await session_flows.find_session(rt, token) is not None
    for login, kind in ((again.your_login, "friend"), (again.desk_login, "operator")):
        assert (await session_flows.log_in(rt, login)).kind == kind
    assert await accounts.find_by_key(rt, first.partner_key) is None
    assert await accounts.find_by_key(rt, again.partner_key) is not None


async def test_quiet_hours_are_as_invented(rt):
    created = await demo_people.create_people(rt, 12, 3)
    for friend in created.friends:
        assert rt.index.get(friend.id).quiet == friend.person.quiet


def test_names_are_short():
    assert demo_people.short_name("Luca de Beispiel") == "Luca d."
    assert demo_people.short_name("Prince") == "Prince"


async def test_a_desk_is_added_once(rt):
    await demo_people.create_people(rt, 4, 1)
    await demo_people.create_people(rt, 4, 1)
    async with transaction(rt.pool) as tx:
        assert (
            await sessions.find_login(tx, sessions.Login.OPERATOR, demo_people.DESK[1]) is not None
        )
