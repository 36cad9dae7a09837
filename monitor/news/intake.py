"""What checks of feeds brought, told apart from what is stored already.

takes  checks, a memory of stored headlines and their names, `now`
gives  `Intake`: new headlines, the names that headlines go by, new titles of old ones, and the checks as they are kept
never  stores, scores or assigns stories
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from monitor.feeds.feed import Check, Guids
from monitor.news.headlines import Headline, NamesCompanies, Standing, headline
from monitor.news.identity import Known, Revision, recognise
from monitor.news.names import Named, named


class RemembersHeadlines(Protocol):
    """What an intake asks of the store."""

    def known(self, ids: Sequence[int]) -> set[int]:
        """Which of these headlines are stored."""

    def named(self, names: Collection[int]) -> Mapping[int, Known]:
        """Whom these names belong to, for those that are stored."""


@dataclass(frozen=True, slots=True)
class Intake:
    """What is to be stored.

    Attributes:
        headlines: that are not stored yet, in order of time.
        names: (name, id of a headline) that are not stored yet.
        revisions: titles that stored headlines were given since.
        checks: as they came, with what was learned of the feeds' guids.
    """

    headlines: tuple[Headline, ...]
    names: tuple[tuple[int, int], ...]
    revisions: tuple[Revision, ...]
    checks: tuple[Check, ...]


def intake(checks: Sequence[Check], memory: RemembersHeadlines, companies: NamesCompanies, now: datetime) -> Intake:
    """Sort out what these checks brought.

    Args:
        now: aware UTC.
    """
    answers: dict[str, list[Named]] = defaultdict(list)
    before: dict[str, Guids] = {}
    for check in checks:
        if check.entries:
            answers[check.feed] += _named(check, companies, now)
            before[check.feed] = Guids(check.state.guids or Guids.LASTING)
    if not answers:
        return Intake((), (), (), tuple(checks))
    everything = [one for answer in answers.values() for one in answer]
    stored = memory.known([id_ for one in everything for id_ in (one.headline.id, one.exact)])
    known = memory.named({name for one in everything for name in one.names})
    found = recognise(answers, stored, known, before)
    new = sorted((_quarantined(one, found.renamed) for one in found.new), key=lambda one: (one.effective, one.id))
    return Intake(
        tuple(new),
        tuple(found.names),
        tuple(found.revisions),
        tuple(_with_guids(check, found.guids.get(check.feed)) for check in checks),
    )


def _named(check: Check, companies: NamesCompanies, now: datetime) -> list[Named]:
    made = (
        (entry, headline(entry, now, first_fetch=check.first_fetch, companies=companies)) for entry in check.entries
    )
    return named([(entry, one) for entry, one in made if one.title])


def _quarantined(one: Headline, suspect: Collection[str]) -> Headline:
    fresh = one.standing is Standing.FRESH and one.feed in suspect
    return replace(one, standing=Standing.FIRST_FETCH) if fresh else one


def _with_guids(check: Check, guids: Guids | None) -> Check:
    if guids is None or check.state.guids == guids.value:
        return check
    return replace(check, state=replace(check.state, guids=guids.value))
