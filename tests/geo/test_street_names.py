import pytest

from geo.gazetteer.street_names import fold_street, is_same_number, split_street


@pytest.mark.parametrize(
    ("line", "street", "number"),
    [
        ("Langstrasse 12a", "Langstrasse", "12a"),
        ("Langstrasse 12 A", "Langstrasse", "12 A"),
        ("Hauptstr. Nr. 7", "Hauptstr.", "7"),
        ("12, rue de Lausanne", "rue de Lausanne", "12"),
        ("Straße des 17. Juni 135", "Straße des 17. Juni", "135"),
        ("ul. Marszałkowska 10/12 m. 5", "ul. Marszałkowska", "10/12"),
        ("Wola 12", "Wola", "12"),
        ("Am Markt", "Am Markt", ""),
    ],
)
def test_a_line_of_an_address_has_a_street_and_a_number(line, street, number):
    assert split_street(line) == (street, number)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Hauptstraße", "Hauptstr."),
        ("Hauptstrasse", "HAUPTSTRASSE"),
        ("Lange Straße", "Lange Str."),
        ("ul. Marszałkowska", "Marszalkowska"),
        ("Av. de la Gare", "Avenue de la Gare"),
        ("Ch. des Fleurs", "Chemin des Fleurs"),
    ],
)
def test_spellings_of_one_street_are_equal(one, other):
    assert fold_street(one) == fold_street(other)


def test_different_streets_stay_apart():
    names = ("Bahnhofstrasse", "Bahnhofplatz", "Bahnhofweg", "Alte Bahnhofstrasse")
    assert len({fold_street(name) for name in names}) == len(names)


@pytest.mark.parametrize(
    ("asked", "found", "same"),
    [
        ("12a", "12 A", True),
        ("10/12", "10", True),
        ("10-12", "10-12", True),
        ("12", "12a", False),
        ("23", "230", False),
        ("", "", False),
        ("12", "", False),
    ],
)
def test_a_number_is_the_one_asked_for_or_the_house_of_the_flat(asked, found, same):
    assert is_same_number(asked, found) is same
