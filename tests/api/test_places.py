"""Suggestions for places: by postcode or town, with typing errors, within one country."""

import pytest


async def found(api, **query):
    answer = await api.client().get("/v1/places", **query)
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


async def test_a_postcode_is_completed_in_its_order(shared_api):
    items = await found(shared_api, country="CH", q="800", limit=5)
    assert [place["postcode"] for place in items] == ["8001", "8002", "8003", "8004", "8005"]
    assert items[0]["town"] == "Zürich"
    assert set(items[0]) == {
        *("postcode", "town", "region", "lat", "lon", "precision", "radius_m"),
    }


@pytest.mark.parametrize(
    ("country", "text", "town"),
    [
        ("CH", "Zür", "Zürich"),
        ("CH", "zurich", "Zürich"),
        ("CH", "Zuerich", "Zürich"),
        ("CH", "Winterhtur", "Winterthur"),
        ("CH", "Geneva", "Genève"),
        ("PL", "lodz", "Łódź"),
        ("DE", "Berl", "Berlin"),
    ],
)
async def test_a_town_is_found_by_prefix_without_accents_and_misspelt(
    shared_api, country, text, town
):
    assert (await found(shared_api, country=country, q=text))[0]["town"] == town


@pytest.mark.parametrize("text", ["00-95", "0095", "PL-00-95"])
async def test_a_polish_postcode_is_found_with_and_without_its_dash(shared_api, text):
    items = await found(shared_api, country="PL", q=text)
    assert items
    assert all(place["postcode"].startswith("00-95") for place in items)


@pytest.mark.parametrize("text", ["0", "99999999", "8x", "%", "\u202e", "zzzzqqqq"])
async def test_an_unknown_place_is_not_found(shared_api, text):
    assert await found(shared_api, country="CH", q=text) == []


async def test_another_country_and_an_empty_text_are_refused(shared_api, problem):
    nobody = shared_api.client()
    for query in ({"country": "FR", "q": "75"}, {"country": "CH", "q": " "}, {"country": "CH"}):
        problem(await nobody.get("/v1/places", **query), 422, "validation-failed")
