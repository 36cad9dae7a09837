"""What of a headline's wording tells its story from others.

takes  a clean title and summary, when and by whom it was told, and the companies that it names
gives  `Told`: its telling words and those of the summary, its numbers, names and direction
never  compares two titles: `monitor.news.likeness` does
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

_WORD = re.compile(r"\w(?:[\w.'&-]*\w)?")
_NUMBER = re.compile(r"([$€£¥₹])?(\d+(?:[.,]\d+)*)\s?(%|per ?cent|percentage|basis|bps?\b)?", re.IGNORECASE)
# Chinese, Japanese and Korean are written without spaces: two characters are as telling as a word.
_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff]{2,}")
_APOSTROPHES = str.maketrans("\u2019\u02bc", "''")

# "FirstFT: ...", "Ukraine Latest: ...", "Live updates: ...": the column's name is not the story.
_LABEL = re.compile(
    r"^(?:FirstFT|Live(?: news| updates?| blog)?|Watch|Opinion|Exclusive|Breaking|Update \d|Analysis|Explainer|Factbox"
    r"|[\w ]{2,25} Latest|[\w ]{2,25} Daily Open|(?:The )?Lex newsletter|[\w ]{2,25} (?:briefing|series|update))"
    r"(?:: | - )(?=.{12})",
    re.IGNORECASE,
)
# A question, an explanation or an opinion is about an event; it does not report one.
_EXPLAINS = re.compile(
    r"\b(?:why|what|who|how|when|opinion|analysis|explain\w*|guide|need to know|takeaways|lessons|timeline|inside|could"
    r"|should|must|means?)\b|\?",
    re.IGNORECASE,
)


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_PLAIN = _words(
    "a an the of in on at to for and or as is are was be by with from that this it its after over says "
    "say said amid new how why what will up out us u.s his her their has have but not into than more latest live"
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

_STEM = 5
# The first lines of a summary tell the event; what follows is background, or the same in every item of a feed.
_SUMMARY = 400


@dataclass(frozen=True, slots=True)
class Told:
    """What is compared of one title.

    Attributes:
        text: the title without the name of its column; this is what is embedded.
        column: it bore such a name.
        line: its telling words, sorted.
        opening: the stem of its first telling word; "" where words are not spaced.
        stems: the beginnings of its telling words, sorted; pairs of characters where words are not spaced.
        body: those of title and summary together.
        amounts: (kind, number) of every number: percent, money or count.
        foreign: mostly in another script than Latin, which the base encoder cannot read.
    """

    text: str
    column: bool
    at: datetime
    publisher: str
    line: str
    opening: str
    stems: tuple[str, ...]
    body: tuple[str, ...]
    amounts: frozenset[tuple[str, str]]
    periods: frozenset[str]
    central_banks: frozenset[str]
    companies: frozenset[str]
    upward: bool
    downward: bool
    explains: bool
    foreign: bool


def told(title: str, summary: str, at: datetime, publisher: str, companies: Iterable[str]) -> Told:
    """Read a title; one without words has no stems and is like no other.

    Args:
        summary: what the feed says beside the title; "" when it says nothing.
        at: when it counts, aware UTC.
        publisher: the house that tells it.
        companies: tickers of the companies that it names.
    """
    text = _LABEL.sub("", title)
    words = _telling(text)
    # "first-quarter" is one word, and says which quarter.
    parts = {part for word in words for part in word.split("-")}
    beginnings = stems(text)
    letters = [character for character in text if character.isalpha()]
    return Told(
        text=text,
        column=text != title,
        at=at,
        publisher=publisher,
        line=" ".join(sorted(words)),
        opening=next((word[:_STEM] for word in _in_order(text) if not _UNSPACED.search(word)), ""),
        stems=_kept(beginnings),
        body=_kept(beginnings | stems(summary[:_SUMMARY])),
        amounts=frozenset((_kind(m), m.group(2)) for m in _NUMBER.finditer(text)),
        periods=frozenset(parts & _PERIODS),
        central_banks=words & _CENTRAL_BANKS,
        companies=frozenset(companies),
        upward=not words.isdisjoint(_UPWARD),
        downward=not words.isdisjoint(_DOWNWARD),
        explains=_EXPLAINS.search(text) is not None,
        foreign=2 * sum(letter > "\u024f" for letter in letters) > len(letters),
    )


def stems(text: str) -> frozenset[str]:
    """Beginnings of the telling words of a text, in small letters."""
    found: set[str] = set()
    for word in _telling(text):
        unspaced = _UNSPACED.findall(word)
        found.update(run[at : at + 2] for run in unspaced for at in range(len(run) - 1))
        if not unspaced:
            found.add(word[:_STEM])
    return frozenset(found)


def _kept(found: frozenset[str]) -> tuple[str, ...]:
    """Tuples of shared strings take a tenth of the memory of sets, and there is one for every remembered title."""
    return tuple(sys.intern(stem) for stem in sorted(found))


def _telling(text: str) -> frozenset[str]:
    return frozenset(_in_order(text))


def _in_order(text: str) -> list[str]:
    found = (w.lower().removesuffix("'s").strip(".'") for w in _WORD.findall(text.translate(_APOSTROPHES)))
    return [word for word in found if word and word not in _PLAIN]


def _kind(number: re.Match[str]) -> str:
    if number.group(3):
        return "percent"
    return "money" if number.group(1) else "count"
