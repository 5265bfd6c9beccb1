from dataclasses import FrozenInstanceError, dataclass
from dataclasses import replace as standard

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.replace import replace


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    number: int
    words: tuple[str, ...] = ()
    by: str | None = None


notes = st.builds(Note, number=st.integers(), words=st.tuples(st.text()), by=st.none() | st.text())
values = st.fixed_dictionaries({}, optional={"number": st.integers(), "by": st.none() | st.text()})


@given(notes, values)
def test_a_changed_copy_equals_that_of_the_standard_library(note, fields):
    before = replace(note)
    assert replace(note, **fields) == standard(note, **fields)
    assert note == before


def test_a_copy_is_as_frozen_as_its_record():
    with pytest.raises(FrozenInstanceError):
        replace(Note(number=1), number=2).number = 3


def test_an_unknown_field_is_refused():
    with pytest.raises(KeyError, match="nummer"):
        replace(Note(number=1), nummer=2)
