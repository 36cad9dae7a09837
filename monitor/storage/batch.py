"""What goes into the store at once, and how much it holds.

takes  checks of feeds, headlines, and what the models say about them
gives  `Batch`, which becomes rows in one transaction; `Counts`
never  stores anything itself
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from monitor.feeds.feed import Check
from monitor.news.headlines import Headline
from monitor.news.identity import Revision
from monitor.series import Scored


@dataclass(frozen=True, slots=True)
class Batch:
    """What one cycle brings.

    Attributes:
        checks: of feeds; the states in them are remembered, of one feed the last.
        headlines: each with its story; those that are stored already are passed over.
        scores: by id of the headline; a headline without one is stored, and counted when `Store.add_scores` brings it.
        names: (name, id of a headline), as `monitor.news.identity` gives them; those that are stored are passed over.
        revisions: titles that stored headlines were given since.

    Raises:
        ValueError: on a score of a headline that is not in the batch.
    """

    checks: Sequence[Check] = ()
    headlines: Sequence[Headline] = ()
    scores: Mapping[int, Scored] = field(default_factory=dict)
    names: Sequence[tuple[int, int]] = ()
    revisions: Sequence[Revision] = ()

    def __post_init__(self) -> None:
        if strangers := self.scores.keys() - {headline.id for headline in self.headlines}:
            raise ValueError(f"scores of headlines that are not in the batch: {sorted(strangers)[:3]}")


@dataclass(frozen=True, slots=True)
class Counts:
    """How much the store holds."""

    headlines: int
    awaiting_score: int
    sightings: int
    rollups: int
    feeds: int
    open_alerts: int
    pending_deliveries: int
    dead_deliveries: int
