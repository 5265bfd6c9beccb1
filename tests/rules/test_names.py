import pytest

from dispatch.rules.people.names import NAMELESS, NameRefused, checked_name, first_name


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("Anna Muster", "Anna"),
        ("Anna", "Anna"),
        ("Dr. Anna Muster", "Anna"),
        ("Dr Anna Muster", "Anna"),
        ("Prof. Dr. med. Eva Probe", "Eva"),
        ("Prof. Dr.med. Eva Probe", "Eva"),
        ("Dipl.-Ing. Eva Probe", "Eva"),
        ("Muster, Beat", "Beat"),
        ("Muster,Beat", "Beat"),
        ("Muster, Dr. Beat", "Beat"),
        ("von Muster, Anna Maria", "Anna"),
        ("Anna Muster, PhD", "Anna"),
        ("Anna Muster,", "Anna"),
        ("Frau Dr. Anna Muster", "Anna"),
        ("Herr Beat Muster", "Beat"),
        ("Madame Anne Dupont", "Anne"),
        ("Pani Anna Kowalska", "Anna"),
        ("J. Peter Muster", "Peter"),
        ("ANNA MUSTER", "Anna"),
        ("JEAN-LUC MUSTER", "Jean-Luc"),
        ("ŁUKASZ MUSTER", "Łukasz"),
        ("JP Muster", "JP"),
        ("Jean-Luc Muster", "Jean-Luc"),
        ("👩‍💻 Ada", "Ada"),
        ("علی‌رضا Muster", "علی‌رضا"),
    ],
)
def test_a_friend_is_called_by_the_first_name(name, first):
    assert first_name(name) == first


@pytest.mark.parametrize("name", ["Herr Keller", "Frau Dr. Keller", "Dr. Keller", "M. Keller"])
def test_a_family_name_keeps_its_form_of_address(name):
    assert first_name(name) == name
    assert first_name(f" {name}, ") == name


@pytest.mark.parametrize(
    "name", ["", " ", "\u200b", "\u2800", "\u3164", "\uffa0", ",", "- .", "👍"]
)
def test_a_name_without_a_letter_is_replaced(name):
    assert first_name(name) == NAMELESS


INVISIBLE = {
    "\u200b": None,
    "\u3164": None,
    "\u202e": None,
    "\u2060\ufeff\u00ad": None,
    "12 - 3": None,
    "\u202eKarl": "Karl",
    "A\u200bn\u00adna": "Anna",
    "\u2066Anna\u2069 Muster\u200f": "Anna Muster",
    "An\u200dna": "Anna",
    "علی\u200cرضا Test": "علی\u200cرضا Test",
    "👩\u200d💻 Ada": "👩\u200d💻 Ada",
    "Zoë Łukasz-Çelik": "Zoë Łukasz-Çelik",
}


@pytest.mark.parametrize(("written", "name"), INVISIBLE.items(), ids=map(ascii, INVISIBLE))
def test_invisible_characters_are_stripped_and_a_name_has_a_letter(written, name):
    if name is None:
        with pytest.raises(NameRefused):
            checked_name(written)
    else:
        assert checked_name(written) == name
