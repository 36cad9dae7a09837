"""The names that a headline goes by, and which of them several headlines of one answer bear.

takes  the entries of one answer, and the headlines that they make
gives  `Named`: guid within the feed; link, title and both together within the publisher's house
never  asks what is stored: `monitor.news.identity` does

Feeds put one guid, or the address of one page, on all that they publish. Such a name tells nothing of its bearers, in
this answer or in a later one in which it happens to stand alone.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from monitor.feeds.feed import Entry
from monitor.news.headlines import Headline, name_of

# Share of common words from which two titles at one address are one headline, edited.
_ALIKE = 0.4
# An edit leaves two titles side by side for a while; so many without likeness are headlines of their own, in a feed
# whose guids and links are all the address of its home page.
_TOO_MANY_VERSIONS = 3
_WORD = re.compile(r"\w+")
# Half of all bits, at random: a name and what is remembered of it must not meet.
_CROWD = 0x9E3779B97F4A7C15
_NOBODY: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Named:
    """A headline that an entry makes, with the names that it goes by.

    Attributes:
        guid: None when the entry has none.
        link: None when there is none.
        anchor: the link with its fragment; None without one, or when other titles of the answer bear it too.
        page: title and link together; title and day where there is no link.
        exact: the id that it has where guid or link name several headlines: of that name, and the title.
        shared: those of guid and link that other headlines of the answer bear too.
        crowded: those of them whose bearers have so little in common that they tell nothing later either.
    """

    headline: Headline
    guid: int | None
    link: int | None
    anchor: int | None
    title: int
    page: int
    exact: int
    shared: frozenset[int]
    crowded: frozenset[int]

    @property
    def names(self) -> tuple[int, ...]:
        """All that may be remembered of it."""
        told = [name for name in (self.guid, self.link, self.anchor) if name is not None]
        reused = [crowd_name(name) for name in (self.guid, self.link) if name is not None]
        return (*told, self.title, self.page, *reused)

    @property
    def id(self) -> int:
        """Its id, as far as the answer alone tells."""
        name = self.link if self.guid is None else self.guid
        return self.exact if name in self.shared else self.headline.id


def link_name(publisher: str, link: str) -> int:
    """The name that a canonical link is within a publisher's house."""
    return name_of("house-link", publisher, schemeless(link))


def title_name(publisher: str, title: str) -> int:
    """The name that a clean title is within a publisher's house."""
    return _title_name(publisher, _worded(title))


def _title_name(publisher: str, worded: str) -> int:
    return name_of("house-title", publisher, worded)


def crowd_name(name: int) -> int:
    """The name under which it is remembered that several headlines bore this guid or link."""
    return name ^ _CROWD


def schemeless(link: str) -> str:
    """A canonical link without http or https: a site that moves from one to the other publishes nothing new."""
    return link.partition("://")[2]


def alike(one: str, other: str) -> bool:
    """Whether two titles at one address may be one headline, edited."""
    mine, theirs = set(_words(one)), set(_words(other))
    return mine == theirs or len(mine & theirs) >= _ALIKE * len(mine | theirs)


def named(made: Sequence[tuple[Entry, Headline]]) -> list[Named]:
    """The headlines of one answer with their names, in the same order."""
    guids = _shared_guids(made)
    links = _shared_links(made, guids)
    anchors: dict[str, set[str]] = defaultdict(set)
    for entry, one in made:
        if anchor := _anchor(entry, one):
            anchors[anchor].add(one.title)
    told = {anchor for anchor, titles in anchors.items() if len(titles) == 1}
    return [_named(entry, one, guids, links, told) for entry, one in made]


def _named(
    entry: Entry, one: Headline, guids: Collection[str], links: Mapping[str, bool], anchors: Collection[str]
) -> Named:
    at, worded = schemeless(one.link), _worded(one.title)
    guid = one.id if entry.guid else None
    link = link_name(one.publisher, one.link) if one.link else None
    anchor = _anchor(entry, one)
    shared = [guid] if guid is not None and entry.guid in guids else []
    crowded = list(shared)
    if link is not None and at in links:
        shared.append(link)
        crowded += [link] if links[at] else []
    exact = one.id
    if guid is not None:
        exact = name_of("guid", one.feed, entry.guid, one.link, one.title)
    elif link is not None:
        exact = name_of("link", at, one.title)
    return Named(
        headline=one,
        guid=guid,
        link=link,
        anchor=link_name(one.publisher, anchor) if anchor in anchors else None,
        title=_title_name(one.publisher, worded),
        # A column may bear the same title every day: without a link, only the day tells them apart.
        page=name_of("house-page", one.publisher, at or _day(one), worded),
        exact=exact,
        shared=frozenset(shared) if shared else _NOBODY,
        crowded=frozenset(crowded) if crowded else _NOBODY,
    )


def _shared_guids(made: Sequence[tuple[Entry, Headline]]) -> frozenset[str]:
    """Guids of different headlines: one title at two links is one, and so are two titles at one link, after an edit."""
    reused = _several([entry.guid for entry, _ in made])
    bearers: dict[str, list[Headline]] = defaultdict(list)
    for entry, one in made if reused else ():
        if entry.guid in reused:
            bearers[entry.guid].append(one)
    return frozenset(guid for guid, each in bearers.items() if _are_several(each))


def _several(names: Sequence[str]) -> set[str]:
    """Those of these names that are there more than once; mostly none is."""
    if len(set(names)) == len(names):
        return set()
    return {name for name, times in Counter(names).items() if times > 1 and name}


def _are_several(bearers: Sequence[Headline]) -> bool:
    titles = dict.fromkeys(one.title for one in bearers)
    # Without a link, nothing says that two titles are one headline.
    links = {schemeless(one.link) or one.title for one in bearers}
    return len(titles) > 1 and (len(links) > 1 or _apart(titles, _TOO_MANY_VERSIONS))


def _shared_links(made: Sequence[tuple[Entry, Headline]], shared_guids: Collection[str]) -> dict[str, bool]:
    """Links, without scheme, of different headlines, and whether those have little in common."""
    links = [schemeless(one.link) for _, one in made]
    reused = _several(links)
    bearers: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for link, (entry, one) in zip(links, made, strict=True) if reused else ():
        if link in reused:
            bearers[link].append((entry.guid, one.title))
    found = {}
    for link, each in bearers.items():
        titles = dict.fromkeys(title for _, title in each)
        guids = {guid for guid, _ in each}
        versions = len(guids) == 1 and guids.isdisjoint({"", *shared_guids})
        if len(titles) > 1 and not versions:
            found[link] = _apart(titles, 2)
    return found


def _apart(titles: Iterable[str], number: int) -> bool:
    """Whether there are so many titles without likeness among these."""
    found: list[str] = []
    for title in titles:
        if not any(alike(title, other) for other in found):
            found.append(title)
        if len(found) >= number:
            return True
    return False


def _anchor(entry: Entry, one: Headline) -> str:
    if "#" not in entry.link or not one.link:
        return ""
    fragment = entry.link.strip().partition("#")[2]
    return f"{one.link}#{fragment}" if fragment else ""


def _day(one: Headline) -> str:
    day: datetime = one.published or one.fetched
    return day.date().isoformat()


def _worded(title: str) -> str:
    return " ".join(_words(title)) or title


def _words(title: str) -> list[str]:
    return _WORD.findall(title.lower())
