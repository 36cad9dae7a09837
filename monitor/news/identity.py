"""Which entry is which headline, on a web that renames, edits, copies and moves everything.

takes  the headlines that one answer of a feed makes, and the names that stored headlines go by
gives  `Recognised`: what is new, what is known by another name, what was given another title
never  stores, and never takes one name alone for proof where feeds are known to reuse it

A headline goes by up to three names: its guid within the feed, its link (without scheme) and its title within the
publisher's house. A guid is believed as long as the feed's guids last; a link, where the titles are alike.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from monitor.feeds.feed import Entry, Guids
from monitor.news.headlines import Headline

# Fewer entries than these do not show that a feed renamed all its guids.
_CHURN_FROM = 5
_CHURN_UNKNOWN = 0.8
_CHURN_MATCHED = 0.6
_LASTING_KNOWN = 0.5
# Share of common words from which two titles at one address are one headline, edited.
_ALIKE = 0.4
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Named:
    """A headline that an entry makes, with the names that it goes by.

    Attributes:
        guid: None when the entry has none, or shares it with others of the same answer.
        link: None when there is none, or others of the same answer bear it under other titles.
    """

    headline: Headline
    guid: int | None
    link: int | None
    title: int

    @property
    def names(self) -> tuple[int, ...]:
        """All of them."""
        return tuple(name for name in (self.guid, self.link, self.title) if name is not None)


@dataclass(frozen=True, slots=True)
class Known:
    """Whom a name belongs to: the id of a stored headline, and its title."""

    headline: int
    title: str


@dataclass(frozen=True, slots=True)
class Revision:
    """Another title of a stored headline, as a feed gave it at `at`."""

    headline: int
    at: datetime
    feed: str
    title: str


@dataclass(slots=True)
class Recognised:
    """What the entries of some answers turned out to be.

    Attributes:
        new: headlines that are not stored yet.
        names: (name, id of the headline) that are not stored yet.
        revisions: titles that stored headlines were given since.
        guids: by feed, for the feeds whose answers allow to tell.
    """

    new: list[Headline] = field(default_factory=list)
    names: list[tuple[int, int]] = field(default_factory=list)
    revisions: list[Revision] = field(default_factory=list)
    guids: dict[str, Guids] = field(default_factory=dict)


def name_of(*parts: str) -> int:
    """64 bits of a name; names of different kinds or in different places cannot collide."""
    # NUL separates: it cannot be told from a part's own text otherwise ("a"+"bc" and "ab"+"c").
    text = "\0".join(part.replace("\0", "") for part in parts)
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).digest(), "big")


def link_name(publisher: str, link: str) -> int:
    """The name that a canonical link is within a publisher's house."""
    return name_of("house-link", publisher, _schemeless(link))


def title_name(publisher: str, title: str) -> int:
    """The name that a clean title is within a publisher's house."""
    return name_of("house-title", publisher, " ".join(_words(title)) or title)


def shared_guids(entries: Sequence[Entry]) -> frozenset[str]:
    """Guids that different entries of one answer bear: they identify none of them."""
    bearers: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for entry in entries:
        if entry.guid:
            bearers[entry.guid].add((entry.link, entry.title))
    return frozenset(guid for guid, different in bearers.items() if len(different) > 1)


def named(made: Sequence[tuple[Entry, Headline]], shared: frozenset[str]) -> list[Named]:
    """The headlines of one answer with their names.

    Args:
        shared: from `shared_guids`.
    """
    titles: dict[str, set[str]] = defaultdict(set)
    for _, one in made:
        titles[one.link].add(one.title)
    found = []
    for entry, one in made:
        tells = bool(one.link) and len(titles[one.link]) == 1
        found.append(
            Named(
                one,
                one.id if entry.guid and entry.guid not in shared else None,
                link_name(one.publisher, one.link) if tells else None,
                title_name(one.publisher, one.title),
            )
        )
    return found


def recognise(
    answers: Mapping[str, Sequence[Named]],
    stored: Iterable[int],
    known: Mapping[int, Known],
    before: Mapping[str, Guids],
) -> Recognised:
    """Tell what is new in the answers of some feeds.

    Args:
        answers: by feed id, in the order in which they came.
        stored: ids of those of their headlines that are stored already.
        known: by name, for those of their names that are known.
        before: by feed id: what was known of its guids.
    """
    result = Recognised()
    owners = dict(known)
    there = set(stored)
    for feed, answer in answers.items():
        guids = _judge(answer, there, owners, before.get(feed, Guids.LASTING))
        if guids is not None:
            result.guids[feed] = guids
        churning = (guids or before.get(feed)) is Guids.CHURNING
        for one in answer:
            _recognise(one, owners, there, result, churning=churning)
    return result


def _judge(answer: Sequence[Named], stored: set[int], owners: Mapping[int, Known], before: Guids) -> Guids | None:
    """Whether the guids of this answer last; None when it is too short, or too new, to tell."""
    bearing = [one for one in answer if one.guid is not None]
    if len(bearing) < _CHURN_FROM:
        return None
    unknown = [one for one in bearing if one.guid not in owners and one.headline.id not in stored]
    renamed = [one for one in unknown if one.title in owners or one.link in owners]
    if len(unknown) >= _CHURN_UNKNOWN * len(bearing) and len(renamed) >= _CHURN_MATCHED * len(unknown):
        return Guids.CHURNING
    if before is Guids.LASTING or len(bearing) - len(unknown) >= _LASTING_KNOWN * len(bearing):
        return Guids.LASTING
    return Guids.CHURNING


def _recognise(one: Named, owners: dict[int, Known], stored: set[int], result: Recognised, *, churning: bool) -> None:
    headline = one.headline
    owner = _owner(one, owners, stored, churning=churning)
    if owner is None:
        owner = Known(headline.id, headline.title)
        result.new.append(headline)
        stored.add(headline.id)
    elif one.title not in owners and owner.title and owner.title != headline.title:
        result.revisions.append(Revision(owner.headline, headline.fetched, headline.feed, headline.title))
    for name in one.names:
        if name not in owners:
            owners[name] = owner
            result.names.append((name, owner.headline))


def _owner(one: Named, owners: Mapping[int, Known], stored: set[int], *, churning: bool) -> Known | None:
    """The stored headline that this one is; None when it is none of them."""
    by_guid = owners.get(one.guid) if one.guid is not None else None
    if by_guid is not None:
        return by_guid
    by_title = owners.get(one.title)
    by_link = owners.get(one.link) if one.link is not None else None
    if one.headline.id in stored:
        return by_link or Known(one.headline.id, by_title.title if by_title else "")
    if by_link is not None and (one.guid is None or churning or alike(by_link.title, one.headline.title)):
        return by_link
    return by_title if churning else None


def alike(one: str, other: str) -> bool:
    """Whether two titles at one address may be one headline, edited."""
    mine, theirs = set(_words(one)), set(_words(other))
    return mine == theirs or len(mine & theirs) >= _ALIKE * len(mine | theirs)


def _words(title: str) -> list[str]:
    return _WORD.findall(title.lower())


def _schemeless(link: str) -> str:
    return link.partition("://")[2]
