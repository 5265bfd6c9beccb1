from api.demo import cast
from data.db import transaction
from data.seed import town
from data.store import sessions
from dispatch.flows.partners import accounts
from dispatch.flows.people import sessions as signing_in


def test_the_same_seed_gives_the_same_people_and_another_gives_others():
    assert cast.invented(40, 7) == cast.invented(40, 7)
    assert cast.invented(40, 7) != cast.invented(40, 8)


def test_friends_are_shared_out_among_the_towns_and_each_has_his_own_address():
    people = cast.invented(301, 1)
    assert len(people) == len({one.ref for one in people}) == 301
    assert len({one.email for one in people}) == 301
    for name in town.names():
        assert sum(one.ref.startswith(name) for one in people) >= 150


async def test_a_cast_is_assembled_twice_without_anybody_twice(rt):
    first = await cast.assemble(rt, 12, 1)
    again = await cast.assemble(rt, 12, 1)
    assert first.new
    assert not again.new
    assert len(rt.index) == 13
    assert first.names == again.names
    assert [one.id for one in first.players] == [one.id for one in again.players]


async def test_everybody_can_sign_in_and_only_the_newest_key_opens(rt):
    first = await cast.assemble(rt, 4, 1)
    again = await cast.assemble(rt, 4, 1)
    for token in (again.your_token, again.desk_token, again.players[0].token):
        assert await signing_in.who(rt, token) is not None
    for login, kind in ((again.your_login, "friend"), (again.desk_login, "operator")):
        assert (await signing_in.log_in(rt, login)).kind == kind
    assert await accounts.of_key(rt, first.partner_key) is None
    assert await accounts.of_key(rt, again.partner_key) is not None


async def test_quiet_hours_are_as_invented(rt):
    made = await cast.assemble(rt, 12, 3)
    for player in made.players:
        assert rt.index.get(player.id).quiet == player.person.quiet


def test_names_are_short():
    assert cast.short("Luca de Beispiel") == "Luca d."
    assert cast.short("Prince") == "Prince"


async def test_a_desk_is_added_once(rt):
    await cast.assemble(rt, 4, 1)
    await cast.assemble(rt, 4, 1)
    async with transaction(rt.pool) as tx:
        assert await sessions.find_login(tx, sessions.Login.OPERATOR, cast.DESK[1]) is not None
