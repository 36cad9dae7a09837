"""Which headlines tell one story.

takes  headlines, in any number of batches
gives  the same headlines, each with the id of its story
never  joins titles that differ in a number, a company or a direction, or that lie more than 48 hours apart

Titles are near-identical when their words, sorted, agree to a high degree (rapidfuzz); an index of words finds the
few remembered titles worth comparing. What was measured stands in docs/feeds.md.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from rapidfuzz import fuzz

from monitor.headlines import Headline, NamesCompanies

WINDOW = timedelta(hours=48)

# Percent of agreement of the sorted words. Of pairs read on the replay, all but a few at or above _ALIKE told one
# story; between _AKIN and _ALIKE that holds where half of all words are the same; below, most do not.
_ALIKE = 80.0
_AKIN = 75.0
_AKIN_SHARED = 0.5
# A short title is mostly template: "X shares fall" and "Y shares fall" agree to 80 percent.
_SHORT = 5
_ALIKE_SHORT = 88.0

# Bounds on the work for one title, whatever the titles before it were.
_SCANNED = 500
_COMPARED = 30

_WORD = re.compile(r"\w(?:[\w.'&-]*\w)?")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_PLAIN = _words(
    "a an the of in on at to for and or as is are was be by with from that this it its after over says "
    "say said amid new how why what will up out us u.s his her their has have but not into than more "
    "firstft live latest "
)
_PERIODS = _words(
    "first second third fourth january february march april june july august september october november "
    "december q1 q2 q3 q4 h1 h2 monday tuesday wednesday thursday friday saturday sunday "
)
# Central banks move alike in the same week: which one did is the story.
_CENTRAL_BANKS = _words("ecb boe boj fed federal england snb rba rbnz rbi pboc riksbank norges")
_UPWARD = _words(
    "rise rises rising jump jumps gain gains climb climbs soar soars surge surges rally rallies beat "
    "beats higher raise raises upgrade upgrades approve approves win wins "
)
_DOWNWARD = _words(
    "fall falls falling drop drops slide slides slip slips sink sinks tumble tumbles plunge plunges miss "
    "misses lower lowers cut cuts downgrade downgrades reject rejects lose loses "
)


@dataclass(frozen=True, slots=True)
class _Title:
    """What is remembered of one title."""

    story: int
    at: datetime
    sorted_words: str
    words: frozenset[str]
    numbers: frozenset[str]
    actors: frozenset[str]
    companies: frozenset[str]
    upward: bool
    downward: bool


class Stories:
    """Clusters near-identical titles, online: what was assigned stays assigned.

    Args:
        companies: names the companies of titles that come back from the store.
        most: titles remembered; past it, the oldest quarter is forgotten.
    """

    def __init__(self, companies: NamesCompanies, most: int = 100_000) -> None:
        if most < 1:
            raise ValueError(f"at least one title must be remembered, not {most}")
        self._companies = companies
        self._most = most
        self._titles: list[_Title] = []
        self._by_word: defaultdict[str, list[int]] = defaultdict(list)
        self._begun: dict[int, _Title] = {}

    def __len__(self) -> int:
        return len(self._titles)

    def assign(self, headlines: Sequence[Headline]) -> list[Headline]:
        """The same headlines in the order given, each with the story of the title that it is most alike to.

        Headlines are taken in order of `effective` (then id), so a batch in any order gives the same stories; the
        first of a story gives it its own id. A title without words is its own story.
        """
        stories: dict[int, int] = {}
        for headline in sorted(headlines, key=lambda h: (h.effective, h.id)):
            title = _title(headline.id, headline.title, headline.effective, headline.companies)
            alike = self._most_alike(title)
            if alike is not None:
                title = replace(title, story=alike.story)
            stories[headline.id] = title.story
            self._remember(title)
        return [replace(headline, story=stories[headline.id]) for headline in headlines]

    def restore(self, rows: Iterable[tuple[int, str, datetime]]) -> None:
        """Remember titles that were assigned before a restart: rows of (story, title, effective), aware UTC."""
        for story, text, at in sorted(rows, key=lambda row: (row[2], row[0], row[1])):
            self._remember(_title(story, text, at, self._companies.match(text)))

    def forget(self, before: datetime) -> None:
        """Forget titles older than `before` (aware UTC)."""
        self._keep([title for title in self._titles if title.at >= before])

    def _remember(self, title: _Title) -> None:
        if not title.words:
            return
        first = self._begun.get(title.story)
        if first is None or title.at < first.at:
            self._begun[title.story] = title
        number = len(self._titles)
        self._titles.append(title)
        for word in title.words:
            self._by_word[word].append(number)
        if len(self._titles) > self._most:
            newest = sorted(self._titles, key=lambda remembered: remembered.at)
            self._keep(newest[len(newest) // 4 + 1 :])

    def _keep(self, titles: list[_Title]) -> None:
        begun = self._begun
        self._titles, self._by_word, self._begun = [], defaultdict(list), {}
        for title in titles:
            self._remember(title)
        # The window of a story counts from its very first title, also when that one is forgotten.
        self._begun = {story: begun[story] for story in self._begun}

    def _most_alike(self, title: _Title) -> _Title | None:
        best: tuple[float, _Title] | None = None
        for number in self._candidates(title):
            other = self._titles[number]
            first = self._begun[other.story]
            if abs(title.at - first.at) > WINDOW or not (_agree(title, other) and _agree(title, first)):
                continue
            likeness = _likeness(title, other)
            if likeness and (best is None or likeness > best[0]):
                best = (likeness, other)
        return None if best is None else best[1]

    def _candidates(self, title: _Title) -> list[int]:
        """Numbers of the remembered titles that share most words, rare words looked up first."""
        shared: Counter[int] = Counter()
        scanned = 0
        for word in sorted(title.words, key=lambda w: (len(self._by_word.get(w, ())), w)):
            postings = self._by_word.get(word, [])[-_SCANNED:]
            shared.update(postings)
            scanned += len(postings)
            if scanned >= _SCANNED:
                break
        ranked = sorted(shared.items(), key=lambda item: (-item[1], item[0]))
        return [number for number, _ in ranked[:_COMPARED]]


def _title(story: int, text: str, at: datetime, companies: Iterable[str]) -> _Title:
    found = [w.lower().removesuffix("'s").strip(".'") for w in _WORD.findall(text.replace("\u2019", "'"))]
    words = frozenset(w for w in found if w and w not in _PLAIN)
    # "first-quarter" is one word, and says which quarter.
    parts = {part for word in words for part in word.split("-")}
    return _Title(
        story=story,
        at=at,
        sorted_words=" ".join(sorted(words)),
        words=words,
        numbers=frozenset(_NUMBER.findall(text)) | (parts & _PERIODS),
        actors=words & _CENTRAL_BANKS,
        companies=frozenset(companies),
        upward=not words.isdisjoint(_UPWARD),
        downward=not words.isdisjoint(_DOWNWARD),
    )


def _agree(one: _Title, other: _Title) -> bool:
    """Whether nothing that tells stories apart differs: where both say something, one says all that the other does."""
    pairs = ((one.numbers, other.numbers), (one.companies, other.companies), (one.actors, other.actors))
    if not all(mine <= theirs or theirs <= mine for mine, theirs in pairs):
        return False
    opposed = one.upward != other.upward and one.downward != other.downward and one.upward == other.downward
    return not opposed


def _likeness(one: _Title, other: _Title) -> float:
    """Percent of agreement when the titles tell one story; 0 when they do not."""
    short = min(len(one.words), len(other.words)) <= _SHORT
    score = float(fuzz.ratio(one.sorted_words, other.sorted_words, score_cutoff=_ALIKE_SHORT if short else _AKIN))
    if short or score >= _ALIKE:
        return score
    shared = len(one.words & other.words) / len(one.words | other.words)
    return score if shared >= _AKIN_SHARED else 0.0
