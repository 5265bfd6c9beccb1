"""Cantons, Länder and voivodeships under the three codes in which the sources name them."""

from dataclasses import dataclass

from data.markets import Market
from geo.point import Point


@dataclass(frozen=True, slots=True)
class Region:
    """A canton, Land or voivodeship: its code in postal lists, its code in GeoNames, its name.

    Postal lists may divide a country more finely: then several codes share one of GeoNames.
    """

    code: str
    geonames: str
    name: str


def _regions(table: str) -> tuple[Region, ...]:
    """A line has the codes of postal lists between commas, the code of GeoNames and the name."""
    lines = (line.split(maxsplit=2) for line in table.strip().splitlines())
    return tuple(
        Region(code, geonames, name) for codes, geonames, name in lines for code in codes.split(",")
    )


REGIONS: dict[Market, tuple[Region, ...]] = {
    Market.CH: _regions("""
        AG AG Aargau
        AI AI Appenzell Innerrhoden
        AR AR Appenzell Ausserrhoden
        BE BE Bern
        BL BL Basel-Landschaft
        BS BS Basel-Stadt
        FR FR Fribourg
        GE GE Genève
        GL GL Glarus
        GR GR Graubünden
        JU JU Jura
        LU LU Luzern
        NE NE Neuchâtel
        NW NW Nidwalden
        OW OW Obwalden
        SG SG St. Gallen
        SH SH Schaffhausen
        SO SO Solothurn
        SZ SZ Schwyz
        TG TG Thurgau
        TI TI Ticino
        UR UR Uri
        VD VD Vaud
        VS VS Valais
        ZG ZG Zug
        ZH ZH Zürich
    """),
    Market.DE: _regions("""
        BW 01 Baden-Württemberg
        BY 02 Bayern
        HB 03 Bremen
        HH 04 Hamburg
        HE 05 Hessen
        NI 06 Niedersachsen
        NW 07 Nordrhein-Westfalen
        RP 08 Rheinland-Pfalz
        SL 09 Saarland
        SH 10 Schleswig-Holstein
        BB 11 Brandenburg
        MV 12 Mecklenburg-Vorpommern
        SN 13 Sachsen
        ST 14 Sachsen-Anhalt
        TH 15 Thüringen
        BE 16 Berlin
    """),
    Market.AT: _regions("""
        1 01 Burgenland
        2 02 Kärnten
        3 03 Niederösterreich
        4 04 Oberösterreich
        5 05 Salzburg
        6 06 Steiermark
        7 07 Tirol
        8 08 Vorarlberg
        9 09 Wien
    """),
    Market.PL: _regions("""
        02 72 Dolnośląskie
        04 73 Kujawsko-Pomorskie
        06 75 Lubelskie
        08 76 Lubuskie
        10 74 Łódzkie
        12 77 Małopolskie
        14 78 Mazowieckie
        16 79 Opolskie
        18 80 Podkarpackie
        20 81 Podlaskie
        22 82 Pomorskie
        24 83 Śląskie
        26 84 Świętokrzyskie
        28 85 Warmińsko-Mazurskie
        30 86 Wielkopolskie
        32 87 Zachodniopomorskie
    """),
}

# Postal lists name the city alone here, though GeoNames knows the quarter behind the code.
_ZURICH = """
    8001 Zürich (Kreis 1)
    8002 Zürich (Kreis 2) / Enge
    8003 Zürich (Kreis 3) / Sihlfeld
    8004 Zürich (Kreis 4) / Aussersihl
    8005 Zürich (Kreis 5)
    8006 Zürich (Kreis 6)
    8008 Zürich (Kreis 8)
    8032 Zürich (Kreis 7) / Hottingen
    8037 Zürich (Kreis 10) / Wipkingen
    8038 Zürich (Kreis 2) / Wollishofen
    8041 Zürich (Kreis 2) / Unter-Leimbach
    8044 Zürich (Kreis 7) / Fluntern
    8045 Zürich (Kreis 3) / Alt-Wiedikon
    8046 Zürich (Kreis 11) / Affoltern
    8047 Zürich (Kreis 9) / Albisrieden
    8048 Zürich (Kreis 9) / Altstetten
    8049 Zürich (Kreis 10) / Höngg
    8050 Zürich (Kreis 11) / Oerlikon
    8051 Zürich (Kreis 12) / Schwamendingen-Mitte
    8052 Zürich (Kreis 11) / Seebach
    8053 Zürich (Kreis 7) / Witikon
    8055 Zürich (Kreis 3) / Friesenberg
    8057 Zürich (Kreis 6) / Unterstrass
    8064 Zürich (Kreis 9) / Altstetten
"""
_VIENNA = """
    1010 Innere Stadt
    1030 Landstraße
    1050 Margareten
    1060 Mariahilf
    1070 Neubau
    1080 Josefstadt
    1090 Alsergrund
    1100 Favoriten
    1110 Simmering
    1120 Meidling
    1130 Hietzing
    1140 Penzing
    1150 Fünfhaus
    1160 Ottakring
    1170 Hernals
    1180 Währing
    1190 Döbling
    1200 Brigittenau
    1210 Floridsdorf
    1220 Donaustadt
"""


def _quarters(table: str) -> dict[str, str]:
    return dict(line.split(maxsplit=1) for line in table.strip().splitlines())


# Districts of Vienna that GeoNames' list lacks, entered by hand to about 500 m.
QUARTER_POINTS: dict[Market, dict[str, Point]] = {
    Market.AT: {
        "1020": Point(48.2167, 16.3950),
        "1040": Point(48.1925, 16.3690),
        "1230": Point(48.1436, 16.2936),
    }
}
QUARTERS: dict[Market, dict[str, str]] = {
    Market.CH: _quarters(_ZURICH),
    Market.AT: _quarters(_VIENNA),
}
