"""The towns of one country: found by name, or proposed for a beginning or a typing error.

A name is looked for as it is spelled, then with umlauts as two letters, then without diacritics.
What is found first is returned, all towns of it: those that have the name in full or before what
tells them from namesakes, as Halle (Saale). Names in other languages count too where none has it in
full, and where diacritics differ: which of them is meant nobody can tell. Likeness finds nothing:
it only proposes.

Proposals cost the same however long the list is: names that share most pairs of letters with the
text are taken from an inverted index, and only these few are compared.
"""

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from functools import cached_property
from heapq import nsmallest

import numpy as np
from numpy.typing import NDArray
from rapidfuzz import fuzz, process

from data.markets import Market
from geo.gazetteer.regions import REGIONS
from geo.gazetteer.town_names import SPELLINGS, fold, full_names, halves_of, short_names

SIMILAR_SCORE = 75
FIRST_WORD_WORTH = 0.95
COMPARED_MAX = 100


class Kind(Enum):
    """What a name is to a town."""

    FULL = "full"
    SHORT = "short"
    OTHER = "other"


Town = tuple[str, str]
"""The region and the name of a town."""
Names = Mapping[str, Sequence[Town]]
Spelling = Callable[[str], str]


class TownIndex:
    """Lines of the gazetteer by the names of their towns.

    `other_names` are a name, and the region and town it belongs to.
    """

    def __init__(
        self, market: Market, lines: Iterable[str], other_names: Iterable[tuple[str, str, str]]
    ) -> None:
        self._lines: dict[Town, list[str]] = defaultdict(list)
        for line in lines:
            _, _, town, region, _ = line.split("\t", 4)
            self._lines[region, town].append(line)
        self._names: dict[Kind, dict[str, list[Town]]] = {kind: defaultdict(list) for kind in Kind}
        for region, town in self._lines:
            for kind, names in (
                (Kind.FULL, full_names(town, market)),
                (Kind.SHORT, short_names(town, market)),
                (Kind.OTHER, halves_of(town)),
            ):
                for name in names:
                    self._names[kind][name].append((region, town))
        for name, region, town in other_names:
            if (region, town) in self._lines:
                self._names[Kind.OTHER][name].append((region, town))
        self._in_region = _region_pattern(market)
        self._by_spelling: dict[tuple[Spelling, Kind], Names] = {}

    def find(self, text: str) -> tuple[Town, ...]:
        """Return all towns of this name; a region may follow it: Wil SG."""
        towns = self._find(text)
        split = None if towns else self._in_region[0].fullmatch(text.strip())
        if split:
            named = self._in_region[1][split["region"].casefold()]
            towns = [town for town in self._find(split["name"]) if town[0] == named]
        return tuple(towns)

    def lines_of(self, towns: Iterable[Town]) -> list[str]:
        """Return the lines of towns."""
        return [line for town in towns for line in self._lines[town]]

    def named(self, folded: str) -> tuple[Town, ...]:
        """Return the towns of a known folded name."""
        return tuple(self._known[folded])

    def beginning_with(self, folded: str, limit: int) -> list[str]:
        """Return names with this beginning: this very name first, then towns of most postcodes."""
        names = self._sorted_names
        begin, end = bisect_left(names, folded), bisect_left(names, f"{folded}\x7f")
        return nsmallest(
            limit, names[begin:end], key=lambda name: (name != folded, -self._sizes[name], name)
        )

    def similar_to(self, folded: str, limit: int) -> list[str]:
        """Return names like the text, in full or in their first word, most similar first."""
        scores: dict[str, float] = {}
        words = {name: name.split()[0] for name in self._pairs.sharing(folded)}
        for choices, worth in (({name: name for name in words}, 1.0), (words, FIRST_WORD_WORTH)):
            hits = process.extract(
                folded, choices, scorer=fuzz.ratio, limit=limit, score_cutoff=SIMILAR_SCORE
            )
            for _, score, name in hits:
                scores[name] = max(scores.get(name, 0), score * worth)
        return sorted(scores, key=lambda name: (-scores[name], name))

    @cached_property
    def _known(self) -> Names:
        known: dict[str, dict[Town, None]] = defaultdict(dict)
        for kind in Kind:
            for name, towns in self._keyed(fold, kind).items():
                if kind is not Kind.OTHER or name not in known:
                    known[name].update(dict.fromkeys(towns))
        return {name: list(towns) for name, towns in known.items()}

    @cached_property
    def _sizes(self) -> Mapping[str, int]:
        """The number of postcodes by folded name."""
        return {
            name: sum(len(self._lines[town]) for town in towns)
            for name, towns in self._known.items()
        }

    @cached_property
    def _sorted_names(self) -> list[str]:
        return sorted(self._known)

    @cached_property
    def _pairs(self) -> "_LetterPairs":
        return _LetterPairs(self._sorted_names)

    def _find(self, text: str) -> list[Town]:
        for spelling in SPELLINGS:
            full, short, other = (
                self._keyed(spelling, kind).get(spelling(text), ()) for kind in Kind
            )
            if full and spelling is not fold:
                return list(dict.fromkeys((*full, *short)))
            if full or short:
                other = self._find_other(text) if spelling is fold else other
                return list(dict.fromkeys((*full, *short, *other)))
        return list(self._find_other(text))

    def _find_other(self, text: str) -> Sequence[Town]:
        for spelling in SPELLINGS:
            if found := self._keyed(spelling, Kind.OTHER).get(spelling(text)):
                return found
        return ()

    def _keyed(self, spelling: Spelling, kind: Kind) -> Names:
        known = self._by_spelling.get((spelling, kind))
        if known is None:
            keyed: dict[str, dict[Town, None]] = defaultdict(dict)
            for name, towns in self._names[kind].items():
                if key := spelling(name):
                    keyed[key].update(dict.fromkeys(towns))
            known = {key: list(towns) for key, towns in keyed.items()}
            self._by_spelling[spelling, kind] = known
        return known


class _LetterPairs:
    """Names by the pairs of letters in them, as an inverted index."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._lengths = np.array([len(name) for name in names], dtype=np.float64)
        places: dict[str, list[int]] = defaultdict(list)
        for place, name in enumerate(names):
            for pair in _pairs_of(name):
                places[pair].append(place)
        self._places: dict[str, NDArray[np.int32]] = {
            pair: np.array(found, dtype=np.int32) for pair, found in places.items()
        }

    def sharing(self, text: str) -> list[str]:
        """Return the names that share most pairs with the text, of these the shorter ones."""
        found = [self._places[pair] for pair in _pairs_of(text) if pair in self._places]
        if not found:
            return []
        shared = np.bincount(np.concatenate(found), minlength=len(self._names))
        rank = shared - self._lengths / 1_000
        count = min(COMPARED_MAX, len(self._names))
        best = np.argpartition(-rank, count - 1)[:count]
        return [self._names[place] for place in best.tolist() if shared[place]]


def _pairs_of(text: str) -> set[str]:
    padded = f"^{text}"
    return {padded[at : at + 2] for at in range(len(padded) - 1)}


def _region_pattern(market: Market) -> tuple[re.Pattern[str], Mapping[str, str]]:
    """Return a pattern of a name with its region, and the regions by code and name."""
    regions: dict[str, str] = {}
    for region in REGIONS[market]:
        regions[region.name.casefold()] = region.name
        if region.code.isalpha():
            regions[region.code.casefold()] = region.name
    choices = "|".join(re.escape(region) for region in regions)
    return re.compile(rf"(?P<name>.+?)[\s,(]+(?P<region>{choices})\)?", re.IGNORECASE), regions
