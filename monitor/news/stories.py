"""Which headlines tell one story.

takes  headlines, in any number of batches, and a model that says how near meanings are, where there is one
gives  the same headlines, each with the id of its story
never  joins titles that differ in a number, a company or a direction, or that lie more than 48 hours apart

An index of words finds the few remembered titles worth comparing. Only those that could reach the threshold if they
meant the very same are embedded, once each. What was measured stands in docs/stories.md.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from monitor.news.headlines import Headline, NamesCompanies
from monitor.news.likeness import Difference, Likeness, belonging, difference, likeness
from monitor.news.rarity import Memo, Rarities
from monitor.news.wording import Told, told

WINDOW = timedelta(hours=48)

# Log-odds from which on a title belongs to a story: by meaning, and by words alone. Chosen on the tuning half of the
# judgements, cross-validated over weeks.
_ENOUGH_BY_MEANING = 0.5
_ENOUGH_BY_WORDS = 0.75

# Bounds on the work for one title, whatever the titles before it were.
_SCANNED = 1_000
_COMPARED = 12
# Titles whose meanings are asked for at once.
_PORTION = 1_000


class Embeds(Protocol):
    """What stories ask of a model."""

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32] | None:
        """Unit vectors [texts, width] of their meanings; None while there is no model."""
        ...


@dataclass(slots=True)
class _Remembered:
    """A title with its story, and its meaning once that was asked for."""

    told: Told
    story: int
    meaning: NDArray[np.float16] | None = None


@dataclass(slots=True)
class _Begun:
    """The first title of a story, and how many of its titles are remembered."""

    first: Told
    titles: int


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A remembered title that may tell the story of a new one."""

    other: _Remembered
    alike: Likeness


class Stories:
    """Clusters titles of one event, online: what was assigned stays assigned.

    Args:
        companies: names the companies of titles that come back from the store.
        meanings: says how near two titles are where their words differ; without one, words alone decide.
        most: titles remembered; past it, the oldest quarter is forgotten.
    """

    def __init__(self, companies: NamesCompanies, meanings: Embeds | None = None, most: int = 100_000) -> None:
        if most < 1:
            raise ValueError(f"at least one title must be remembered, not {most}")
        self._companies = companies
        self._meanings = meanings
        self._most = most
        self._titles: dict[int, _Remembered] = {}
        self._last = 0
        self._by_stem: defaultdict[str, list[int]] = defaultdict(list)
        self._rarity = Rarities()
        self._begun: dict[int, _Begun] = {}

    def __len__(self) -> int:
        return len(self._titles)

    def assign(self, headlines: Sequence[Headline]) -> list[Headline]:
        """The same headlines in the order given, each with the story of the title that it is most alike to.

        Headlines are taken in order of `effective` (then id), so a batch in any order gives the same stories; the
        first of a story gives it its own id. A title without words is its own story.
        """
        stories: dict[int, int] = {}
        ordered = sorted(headlines, key=lambda h: (h.effective, h.id))
        for start in range(0, len(ordered), _PORTION):
            portion = ordered[start : start + _PORTION]
            candidates: list[tuple[_Remembered, list[_Candidate]]] = []
            for h in portion:
                new = _Remembered(told(h.title, h.summary, h.effective, h.publisher, h.companies), h.id)
                candidates.append((new, self._candidates(new.told)))
                self._remember(new)
            known = self._embed(candidates)
            for headline, (new, others) in zip(portion, candidates, strict=True):
                new.story = stories[headline.id] = self._story(new, others, known=known)
                self._begin(new)
            self._make_room()
        return [replace(headline, story=stories[headline.id]) for headline in headlines]

    def restore(self, rows: Iterable[tuple[int, str, str, datetime, str]]) -> None:
        """Remember what was assigned before a restart: rows of (story, title, summary, effective, publisher)."""
        for story, text, summary, at, publisher in sorted(rows, key=lambda row: (row[3], row[0], row[1])):
            words = told(text, summary, at, publisher, self._companies.match(text))
            title = _Remembered(words, story)
            self._remember(title)
            self._begin(title)
        self._make_room()

    def forget(self, before: datetime) -> None:
        """Forget titles older than `before` (aware UTC)."""
        self._drop([number for number, title in self._titles.items() if title.told.at < before])

    def _remember(self, title: _Remembered) -> None:
        if not title.told.stems:
            return
        self._last += 1
        self._titles[self._last] = title
        for stem in title.told.stems:
            self._by_stem[stem].append(self._last)
        self._rarity.add(title.told.body)

    def _begin(self, title: _Remembered) -> None:
        if not title.told.stems:
            return
        begun = self._begun.setdefault(title.story, _Begun(title.told, 0))
        begun.titles += 1
        if title.told.at < begun.first.at:
            begun.first = title.told

    def _make_room(self) -> None:
        if len(self._titles) > self._most:
            oldest = sorted(self._titles, key=lambda number: (self._titles[number].told.at, number))
            self._drop(oldest[: len(oldest) - self._most * 3 // 4])

    def _drop(self, numbers: Iterable[int]) -> None:
        for number in numbers:
            title = self._titles.pop(number)
            for stem in title.told.stems:
                postings = self._by_stem[stem]
                postings.remove(number)
                if not postings:
                    del self._by_stem[stem]
            self._rarity.drop(title.told.body)
            # The window of a story counts from its very first title, also when that one is forgotten.
            begun = self._begun[title.story]
            begun.titles -= 1
            if not begun.titles:
                del self._begun[title.story]

    def _candidates(self, title: Told) -> list[_Candidate]:
        """Remembered titles that could tell the same story, by what their words say."""
        found: list[_Candidate] = []
        rarity = Memo(self._rarity)
        for number in self._sharing(title, rarity):
            other = self._titles[number]
            if abs(title.at - other.told.at) > WINDOW or difference(title, other.told) is not Difference.NONE:
                continue
            alike = likeness(title, other.told, rarity)
            hopeful = self._meanings is not None and alike.at_best >= _ENOUGH_BY_MEANING
            if hopeful or alike.by_words >= _ENOUGH_BY_WORDS:
                found.append(_Candidate(other, alike))
        return found

    def _sharing(self, title: Told, rarity: Mapping[str, float]) -> list[int]:
        """Numbers of the remembered titles that share most of the rare words."""
        shared: defaultdict[int, float] = defaultdict(float)
        scanned = 0
        for stem in sorted(title.stems, key=lambda one: (len(self._by_stem.get(one, ())), one)):
            postings = self._by_stem.get(stem, [])[-_SCANNED:]
            for number in postings:
                shared[number] += rarity[stem]
            scanned += len(postings)
            if scanned >= _SCANNED:
                break
        least = heapq.nlargest(_COMPARED, shared.values())[-1] if shared else 0.0
        # Ties are broken by what the titles say, not by when they came: a restart must not change the order.
        foremost = (number for number, weight in shared.items() if weight >= least)
        return sorted(foremost, key=lambda number: (-shared[number], self._titles[number].told.line))[:_COMPARED]

    def _embed(self, candidates: Sequence[tuple[_Remembered, list[_Candidate]]]) -> bool:
        """Ask for the meanings that are still missing; whether all are known now."""
        if self._meanings is None:
            return False
        asked = [
            one for new, others in candidates for each in others for one in (new, each.other) if each.alike.per_nearness
        ]
        missing = list({id(one): one for one in asked if one.meaning is None}.values())
        if not missing:
            return True
        vectors = self._meanings.embed([one.told.text for one in missing])
        if vectors is None:
            return False
        for one, vector in zip(missing, vectors, strict=True):
            one.meaning = vector.astype(np.float16)
        return True

    def _story(self, new: _Remembered, candidates: Sequence[_Candidate], *, known: bool) -> int:
        """The story whose titles are most alike, or the title's own."""
        told_by: defaultdict[int, list[float]] = defaultdict(list)
        for each in candidates:
            first = self._begun[each.other.story].first
            if abs(new.told.at - first.at) <= WINDOW and difference(new.told, first) is Difference.NONE:
                near = _nearness(new, each.other) if known else None
                told_by[each.other.story].append(each.alike.given(near))
        best, story = (_ENOUGH_BY_MEANING if known else _ENOUGH_BY_WORDS), new.story
        for number, odds in told_by.items():
            belongs = belonging(odds, min(self._begun[number].titles, _COMPARED))
            if belongs > best or (belongs == best and story == new.story):
                best, story = belongs, number
        return story


def _nearness(one: _Remembered, other: _Remembered) -> float | None:
    if one.meaning is None or other.meaning is None:
        return None
    return float(one.meaning.astype(np.float32) @ other.meaning.astype(np.float32))
