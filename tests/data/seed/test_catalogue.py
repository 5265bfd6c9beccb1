from collections.abc import Callable
from dataclasses import FrozenInstanceError
from importlib.resources import files
from pathlib import Path

import pytest

from data.enums import PackageTier
from data.markets import HOME, Currency, Language, Market
from data.records.money import Money
from data.seed.catalogue import CODE, CatalogueInvalid, load, read

CATEGORIES = {
    "wifi_network",
    "computer_mac",
    "phone_tablet",
    "tv_audio",
    "smart_home",
    "printer",
    "data_backup",
    "training",
    "security",
    "business",
}

CERTIFICATES = """
[wifi]
valid_months = 36
names = { de = "a", en = "b", fr = "c", it = "d", pl = "e" }
"""

PRICES = ", ".join(f"{market} = {6900 if market is HOME else 19900}" for market in Market)
HEAD = f"""
[wifi-setup]
tier = "friend"
minutes = 60
certificates = ["wifi"]
prices = {{ {PRICES} }}
"""

TEXTS = "".join(
    f'[wifi-setup.{language}]\nname = "Wi-Fi"\ndescription = "It works."\n' for language in Language
)

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(package: str = HEAD + TEXTS, certificates: str = CERTIFICATES) -> Path:
        (tmp_path / "packages").mkdir(exist_ok=True)
        (tmp_path / "packages" / "wifi_network.toml").write_text(package, encoding="utf-8")
        (tmp_path / "certificates.toml").write_text(certificates, encoding="utf-8")
        return tmp_path

    return write


def test_the_catalogue_covers_every_category_with_at_least_24_packages() -> None:
    packages = load().packages
    assert len(packages) >= 24
    assert {package.category for package in packages.values()} == CATEGORIES


def test_wifi_setup_costs_69_francs_and_needs_the_wifi_certificate() -> None:
    package = load().packages["wifi-setup"]
    assert package.prices[Market.CH] == Money(amount=6900, currency=Currency.CHF)
    assert package.certificates == {"wifi"}
    assert package.tier is PackageTier.FRIEND_THEN_PRO


@pytest.mark.parametrize(
    ("code", "certificates", "tier"),
    [
        ("new-mac", {"mac"}, None),
        ("new-pc", {"windows"}, None),
        ("printer-setup", {"printer"}, None),
        ("smart-home-start", {"smart-home"}, None),
        ("data-rescue", {"data"}, PackageTier.PRO),
        ("office-network", {"business", "wifi"}, PackageTier.PRO),
    ],
)
def test_the_packages_others_rely_on_exist(
    code: str, certificates: set[str], tier: PackageTier | None
) -> None:
    package = load().packages[code]
    assert package.certificates == certificates
    assert tier in {None, package.tier}


def test_packages_of_every_tier_and_with_none_one_and_two_certificates_exist() -> None:
    packages = load().packages.values()
    escalating = [package for package in packages if package.tier is PackageTier.FRIEND_THEN_PRO]
    needs = [len(package.certificates) for package in packages]
    assert len(escalating) >= 6
    assert {package.tier for package in packages} == set(PackageTier)
    assert min(needs.count(0), needs.count(2)) >= 3


def test_every_package_has_its_own_name_and_real_sentences_in_every_language() -> None:
    packages = load().packages.values()
    for language in Language:
        texts = [package.texts[language] for package in packages]
        assert len({text.name for text in texts}) == len(texts)
        assert all(60 <= len(text.description) <= 300 for text in texts)
        assert all(text.description.endswith(".") and len(text.name) <= 50 for text in texts)


def test_prices_start_at_25_euros() -> None:
    euros = [package.prices[Market.DE].amount for package in load().packages.values()]
    assert min(euros) == 2500


def test_every_certificate_is_needed_by_a_package() -> None:
    catalogue = load()
    needed = frozenset[str]().union(*(p.certificates for p in catalogue.packages.values()))
    assert needed == catalogue.certificates.keys()


def test_smart_home_certificates_last_24_months_and_some_do_not_expire() -> None:
    certificates = load().certificates
    assert certificates["smart-home"].valid_months == 24
    assert certificates["wifi"].valid_months == 36
    assert certificates["training"].valid_months is None


def test_codes_are_short_kebab_words() -> None:
    catalogue = load()
    codes = [*catalogue.packages, *catalogue.certificates]
    assert all(CODE.fullmatch(code) and len(code) <= 24 for code in codes)


def test_the_catalogue_cannot_be_changed() -> None:
    catalogue = load()
    with pytest.raises(FrozenInstanceError):
        catalogue.packages["wifi-setup"].minutes = 5  # type: ignore[misc]
    with pytest.raises(TypeError):
        catalogue.packages["x"] = catalogue.packages["wifi-setup"]  # type: ignore[index]


def test_a_correct_folder_is_read(write: Write) -> None:
    package = read(write()).packages["wifi-setup"]
    assert package.category == "wifi_network"
    assert package.texts[Language.PL].name == "Wi-Fi"


@pytest.mark.parametrize(
    ("package", "message"),
    [
        (HEAD + TEXTS.replace("[wifi-setup.pl]", "[other.pl]"), "has no pl"),
        (HEAD + TEXTS.replace('"It works."', '" "'), r"has no de\.description; write the text"),
        (HEAD.replace(", PL = 19900", "") + TEXTS, r"prices\.PL is None; write an amount in minor"),
        (HEAD.replace("6900", "0") + TEXTS, r"prices\.CH is 0; .* at least 2500"),
        (HEAD.replace("6900", "69.0") + TEXTS, r"prices\.CH is 69\.0"),
        (HEAD.replace('["wifi"]', '["wiffi"]') + TEXTS, "unknown certificate wiffi"),
        (HEAD.replace('"friend"', '"expert"') + TEXTS, "unknown tier expert; known: friend, "),
        (
            HEAD.replace("60", "60\nmin_age = 17") + TEXTS,
            "min_age is 17; it must be one of 14, 16, 18",
        ),
        (HEAD.replace("60", "0") + TEXTS, "minutes is 0; it must be from 1 to 480"),
        (HEAD.replace("60", "true") + TEXTS, "minutes must be int, not True"),
        (HEAD.replace("minutes = 60", "") + TEXTS, "has no minutes; add it"),
        (HEAD + "colour = 1\n" + TEXTS, "unknown key colour; known: certificates, de, en"),
        (HEAD.replace("wifi-setup", "WiFi_setup"), "lower-case words joined by hyphens"),
        ("wifi-setup = 1", r"wifi-setup must be a table; write \[wifi-setup\]"),
        ("[wifi-setup", "cannot be read"),
    ],
)
def test_an_error_names_the_file_the_entry_and_the_cure(
    write: Write, package: str, message: str
) -> None:
    folder = write(package)
    with pytest.raises(CatalogueInvalid, match=message) as caught:
        read(folder)
    assert str(caught.value).startswith("packages/wifi_network.toml: ")


def test_a_package_in_two_categories_is_refused(write: Write) -> None:
    folder = write()
    (folder / "packages" / "zzz.toml").write_text(HEAD + TEXTS, encoding="utf-8")
    with pytest.raises(CatalogueInvalid, match=r"zzz\.toml: \[wifi-setup\] is listed twice"):
        read(folder)


def test_a_certificate_without_a_name_in_one_language_is_refused(write: Write) -> None:
    folder = write(certificates=CERTIFICATES.replace(', pl = "e"', ""))
    with pytest.raises(CatalogueInvalid, match=r"\[wifi\] has no names\.pl"):
        read(folder)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CatalogueInvalid, match=r"certificates\.toml: cannot be read"):
        read(tmp_path)


def test_the_content_is_part_of_the_package() -> None:
    assert (files("data.seed") / "certificates.toml").is_file()
