"""The table of slots compared with a dict, with ids that collide."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.records.ids import FriendId
from data.records.people import Friend
from geo.index.slot_table import NO_FRIEND, NO_SLOT, Slots, hashes_of
from tests.geo.worlds import friend

# Python's hash of integers, and therefore of ids, has this period.
SAME_HASH = 2**61 - 1


def colliding_friend(number: int, *, same_hash: int = 5) -> Friend:
    """A friend whose id has the same hash as others."""
    member = friend(1)
    object.__setattr__(
        member, "id", FriendId(UUID(int=number // same_hash + number % same_hash * SAME_HASH))
    )
    return member


def slots_of(friends: list[Friend]) -> Slots:
    return Slots(friends, hashes_of(friends))


@given(st.integers(0, 60), st.lists(st.integers(0, 70), max_size=150))
def test_the_slots_are_those_of_a_dict_after_any_changes(loaded, numbers):
    friends = [colliding_friend(number) for number in range(loaded)]
    slots, known = slots_of(friends), {member.id: slot for slot, member in enumerate(friends)}
    for number in numbers:
        member = colliding_friend(number)
        if member.id in known:
            assert slots.pop(member.id) == known[member.id]
            friends[known.pop(member.id)] = NO_FRIEND
        else:
            known[member.id] = len(friends)
            friends.append(member)
            slots.add(member.id, known[member.id])
        assert len(slots) == len(known)
    for number in range(75):
        friend_id = colliding_friend(number).id
        assert slots.get(friend_id) == known.get(friend_id, NO_SLOT)


def test_an_unknown_friend_has_no_slot_and_removing_it_is_harmless():
    slots = slots_of([])
    assert (slots.get(friend(1).id), slots.pop(friend(1).id), len(slots)) == (NO_SLOT, NO_SLOT, 0)


@pytest.mark.parametrize("same_hash", [1, 1_000])
def test_thousands_are_found_whether_added_at_once_or_one_by_one(same_hash):
    friends = [colliding_friend(number, same_hash=same_hash) for number in range(1_500)]
    at_once, one_by_one = slots_of(friends), slots_of([])
    one_by_one._friends = friends
    for slot, member in enumerate(friends):
        one_by_one.add(member.id, slot)
    for slot, member in enumerate(friends):
        assert at_once.get(UUID(int=member.id.int)) == one_by_one.get(member.id) == slot
