"""When breaking stories must be looked at between two full hours, lest they be missed.

takes  headlines of a history with their stories and scores, rules, and when the next look of an hour is
gives  the moments at which a story came to enough publisher families, and is no longer young at that look
never  knows whether chance explains it: a look at these moments says so
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from alerts.rules import Detector, Rules
from monitor.news.headlines import Headline
from monitor.series import Scored


def missed(
    told: Iterable[tuple[Headline, Scored]], rules: Rules, look_after: Callable[[datetime], datetime]
) -> list[datetime]:
    """These moments, in order, each once.

    Args:
        told: each headline known when it was published.
        look_after: of a moment, the next look that is made anyway.
    """
    if Detector.BREAKING not in rules.detectors:
        return []
    by_story: dict[int, list[tuple[Headline, Scored]]] = defaultdict(list)
    for one, scored in told:
        by_story[one.story].append((one, scored))
    young = timedelta(hours=rules.breaking_hours)
    found: set[datetime] = set()
    for copies in by_story.values():
        negative = min((one.effective for one, scored in copies if scored.score.counts_as_negative), default=None)
        if negative is not None:
            joined = _joined([one for one, _ in copies], negative, rules.breaking_publishers)
            found.update(at for at in joined if at < negative + young <= look_after(at))
    return sorted(found)


def _joined(copies: list[Headline], negative: datetime, need: int) -> list[datetime]:
    """When a negative story was carried by so many families, and by each further one."""
    first: dict[str, datetime] = {}
    for one in sorted(copies, key=lambda one: one.effective):
        first.setdefault(one.publisher, one.effective)
    return [max(at, negative) for at in list(first.values())[need - 1 :]]
