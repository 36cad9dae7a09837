"""Which entry is which headline, on a web that renames, edits, copies and moves everything.

takes  the headlines that one answer of a feed makes, and the names that stored headlines go by
gives  `Recognised`: what is new, what is known by another name, what was given another title
never  stores, and never takes one name alone for proof where feeds are known to reuse it

The same title at the same link is the same headline, whatever else the feed says. A guid is believed as long as it
stays with a link or with a title that is alike; a link, where the titles are alike, or where no guid says otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from monitor.feeds.feed import Guids
from monitor.news.headlines import Headline
from monitor.news.names import Named, alike, crowd_name, schemeless

# Fewer entries than these do not show that a feed renamed all its guids.
_CHURN_FROM = 5
_CHURN_STRANGE = 0.8
_CHURN_MATCHED = 0.6
_LASTING_KNOWN = 0.5
_LAST = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Known:
    """Whom a name belongs to: the id of a stored headline, its title, and its link ("" without one)."""

    headline: int
    title: str
    link: str = ""


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
        renamed: feeds that have just given new guids to what they published before. What of theirs matches nothing
            is as likely an old headline as a new one.
    """

    new: list[Headline] = field(default_factory=list)
    names: list[tuple[int, int]] = field(default_factory=list)
    revisions: list[Revision] = field(default_factory=list)
    guids: dict[str, Guids] = field(default_factory=dict)
    renamed: set[str] = field(default_factory=set)


@dataclass(slots=True)
class _Memory:
    """What is stored, and what the entries before this one added to it."""

    owners: dict[int, Known]
    stored: set[int]

    def owner(self, name: int | None) -> Known | None:
        return None if name is None else self.owners.get(name)

    def crowded(self, name: int) -> bool:
        return crowd_name(name) in self.owners


@dataclass(frozen=True, slots=True)
class _Weighed:
    """What the names of an entry are worth, by all that is remembered.

    Attributes:
        guid: None when the entry has none, or one that names several headlines.
        address: its link; of a page that tells of several headlines, the place on it, if that is told.
        alone: whether the address names this headline only, so that its title may have become any other.
    """

    guid: int | None
    address: int | None
    alone: bool


def recognise(
    answers: Mapping[str, Sequence[Named]],
    stored: Iterable[int],
    known: Mapping[int, Known],
    before: Mapping[str, Guids],
) -> Recognised:
    """Tell what is new in the answers of some feeds.

    Args:
        answers: by feed id, in the order in which they came.
        stored: ids of those of their headlines that are stored already, by `id` or by `exact`.
        known: by name, for those of their names that are known.
        before: by feed id: what was known of its guids.
    """
    result = Recognised()
    memory = _Memory(dict(known), set(stored))
    for feed, answer in answers.items():
        was = before.get(feed, Guids.LASTING)
        guids, renamed = _judge(answer, memory, was)
        if guids is not None:
            result.guids[feed] = guids
        if renamed and was is not Guids.CHURNING:
            result.renamed.add(feed)
        churning = (guids or was) is Guids.CHURNING
        # Of two versions in one answer the first published is the headline, the other its revision.
        for one in sorted(answer, key=lambda one: one.headline.published or _LAST):
            _recognise(one, memory, result, churning=churning)
    return result


def _judge(answer: Sequence[Named], memory: _Memory, before: Guids) -> tuple[Guids | None, bool]:
    """Whether the guids of this answer last, and whether it gives new ones to what was published before.

    The first is None when the answer is too short, or too new, to tell.
    """
    weighed = [(one, _weighed(one, memory)) for one in answer]
    bearing = [(one, worth) for one, worth in weighed if worth.guid is not None]
    if len(bearing) < _CHURN_FROM:
        return None, False
    nearly_all = _CHURN_STRANGE * len(bearing)
    known = [(one, worth, memory.owner(worth.guid)) for one, worth in bearing]
    unknown = [(one, worth) for one, worth, owner in known if owner is None and one.headline.id not in memory.stored]
    others = [(one, worth, owner) for one, worth, owner in known if owner is not None]
    doubted = [(one, worth) for one, worth, owner in others if not _is(owner, one, worth, memory, strict=True)]
    reused = [one for one, worth, owner in others if not _is(owner, one, worth, memory, strict=False)]
    strange = unknown + doubted
    matched = [
        one for one, worth in strange if one.title in memory.owners or (worth.alone and one.link in memory.owners)
    ]
    if len(strange) >= nearly_all and len(matched) >= _CHURN_MATCHED * len(strange):
        return Guids.CHURNING, len(unknown) >= nearly_all
    # Guids that all go over to other headlines are of no use either, but what comes under them is news.
    if len(reused) >= nearly_all:
        return Guids.CHURNING, False
    if before is Guids.LASTING or len(bearing) - len(strange) >= _LASTING_KNOWN * len(bearing):
        return Guids.LASTING, False
    return Guids.CHURNING, False


def _recognise(one: Named, memory: _Memory, result: Recognised, *, churning: bool) -> None:
    worth = _weighed(one, memory)
    named = memory.owner(worth.guid)
    # A guid that went over to another headline, as places in a list do, is worth nothing from now on.
    if named is not None and not _is(named, one, worth, memory, strict=churning):
        worth = replace(worth, guid=None)
    headline = one.headline
    owner = _owner(one, worth, memory, churning=churning)
    if owner is None:
        own = _own_id(one, worth)
        headline = headline if own == headline.id else replace(headline, id=own, story=own)
        owner = Known(own, headline.title, headline.link)
        result.new.append(headline)
        memory.stored.add(own)
    elif one.title not in memory.owners and owner.title and owner.title != headline.title:
        result.revisions.append(Revision(owner.headline, headline.fetched, headline.feed, headline.title))
    _learn(_told(one, worth), owner, memory, result)
    if _there(one, memory) is None:
        _learn([one.page], owner, memory, result)


def _learn(names: Iterable[int], owner: Known, memory: _Memory, result: Recognised) -> None:
    for name in names:
        if name not in memory.owners:
            memory.owners[name] = owner
            result.names.append((name, owner.headline))


def _told(one: Named, worth: _Weighed) -> list[int]:
    """The names to remember it by, and those to distrust."""
    names = [one.title]
    if one.guid is not None:
        names.append(crowd_name(one.guid) if worth.guid is None else one.guid)
    if one.link is not None and worth.alone:
        names.append(one.link)
    if one.link is not None and one.link in one.crowded:
        names.append(crowd_name(one.link))
    return names if one.anchor is None else [*names, one.anchor]


def _weighed(one: Named, memory: _Memory) -> _Weighed:
    guid = one.guid if one.guid is not None and one.guid not in one.shared and not memory.crowded(one.guid) else None
    if one.link is None:
        return _Weighed(guid, None, alone=False)
    if one.link in one.crowded or memory.crowded(one.link):
        return _Weighed(guid, one.anchor, alone=False)
    return _Weighed(guid, one.link, alone=one.link not in one.shared)


def _own_id(one: Named, worth: _Weighed) -> int:
    tells = worth.guid is not None if one.guid is not None else one.link is None or worth.alone
    return one.headline.id if tells else one.exact


def _owner(one: Named, worth: _Weighed, memory: _Memory, *, churning: bool) -> Known | None:
    """The stored headline that this one is; None when it is none of them.

    Args:
        worth: without the guid where that is another headline's.
    """
    there = _there(one, memory) or memory.owner(worth.guid)
    if there is not None:
        return there
    by_title, by_address = memory.owner(one.title), memory.owner(worth.address)
    own = _own_id(one, worth)
    if own in memory.stored:
        return by_address or Known(own, by_title.title if by_title else "")
    if by_address is not None:
        same = alike(by_address.title, one.headline.title)
        if (same or churning or worth.guid is None) if worth.alone else (same and worth.guid is None):
            return by_address
    # Where neither guid nor link tells, or where the guid is known to lie, the title is all there is to go by.
    lying = worth.guid is None and (one.guid is not None or (one.link is not None and not worth.alone))
    return by_title if churning or lying else None


def _there(one: Named, memory: _Memory) -> Known | None:
    """The headline that bore this very title at this very link."""
    page = memory.owner(one.page)
    by_title = memory.owner(one.title)
    if page is not None or by_title is None or one.link is None:
        return page
    by_link = memory.owner(one.link)
    linked = by_link is not None and by_link.headline == by_title.headline
    return by_title if linked or schemeless(by_title.link) == schemeless(one.headline.link) else None


def _is(known: Known, one: Named, worth: _Weighed, memory: _Memory, *, strict: bool) -> bool:
    """Whether an entry that bears the guid of a known headline is that headline: by its title, or else by its link.

    Args:
        strict: whether a link that other headlines bear as well, or none at all, counts as another one.
    """
    there = _there(one, memory)
    if there is not None:
        return there.headline == known.headline
    if alike(known.title, one.headline.title):
        return True
    others = (memory.owner(one.title), memory.owner(worth.address))
    if any(other is not None and other.headline == known.headline for other in others):
        return True
    return schemeless(known.link) == schemeless(one.headline.link) and (worth.alone or not strict)
