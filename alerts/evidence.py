"""The stories behind an alert, as a person is shown them.

takes  facts about one story of a window
gives  `Evidence`
never  carries markup: titles are text
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Evidence:
    """One negative story: its first headline, and who carries it.

    Attributes:
        story: the story's id.
        title: clean text of its first headline in the series.
        publishers: publisher families that carry it: that of the headline first, the others in order of arrival.
        link: canonical link of that headline; empty when it has none.
        at: when it was published, aware UTC.
        negative: probability of negative sentiment, 0 to 1.
    """

    story: int
    title: str
    publishers: tuple[str, ...]
    link: str
    at: datetime
    negative: float

    def __post_init__(self) -> None:
        if self.at.tzinfo is None:
            raise ValueError("evidence needs an aware time")

    @property
    def publisher(self) -> str:
        """The publisher family of the headline."""
        return self.publishers[0] if self.publishers else ""
