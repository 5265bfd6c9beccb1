"""The table of slots beside a dict, with ids made to collide."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.records.ids import FriendId
from data.records.people import Friend
from geo.index.slot_table import NO_FRIEND, NO_SLOT, Slots, hashes_of
from tests.geo.worlds import friend

# Python's hash of whole numbers, and with it of ids, repeats itself after this many.
SAME_HASH = 2**61 - 1


def somebody(number: int, *, crowd: int = 5) -> Friend:
    """A friend whose id has the hash of four others."""
    who = friend(1)
    object.__setattr__(who, "id", FriendId(UUID(int=number // crowd + number % crowd * SAME_HASH)))
    return who


def slots_of(friends: list[Friend]) -> Slots:
    return Slots(friends, hashes_of(friends))


@given(st.integers(0, 60), st.lists(st.integers(0, 70), max_size=150))
def test_whoever_comes_and_goes_the_slots_are_those_of_a_dict(loaded, numbers):
    friends = [somebody(number) for number in range(loaded)]
    slots, known = slots_of(friends), {who.id: slot for slot, who in enumerate(friends)}
    for number in numbers:
        who = somebody(number)
        if who.id in known:
            assert slots.pop(who.id) == known[who.id]
            friends[known.pop(who.id)] = NO_FRIEND
        else:
            known[who.id] = len(friends)
            friends.append(who)
            slots.add(who.id, known[who.id])
        assert len(slots) == len(known)
    for number in range(75):
        friend_id = somebody(number).id
        assert slots.get(friend_id) == known.get(friend_id, NO_SLOT)


def test_a_stranger_has_no_slot_and_is_forgotten_without_harm():
    slots = slots_of([])
    assert (slots.get(friend(1).id), slots.pop(friend(1).id), len(slots)) == (NO_SLOT, NO_SLOT, 0)


@pytest.mark.parametrize("crowd", [1, 1_000])
def test_thousands_are_found_however_they_came(crowd):
    friends = [somebody(number, crowd=crowd) for number in range(1_500)]
    at_once, one_by_one = slots_of(friends), slots_of([])
    one_by_one._friends = friends
    for slot, who in enumerate(friends):
        one_by_one.add(who.id, slot)
    for slot, who in enumerate(friends):
        assert at_once.get(UUID(int=who.id.int)) == one_by_one.get(who.id) == slot
