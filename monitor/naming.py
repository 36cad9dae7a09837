"""What people call a series.

takes  the themes and companies that are watched
gives  "Bank stress", "JPMorgan Chase (JPM)", "Topic: Macro"
never  looks anything up elsewhere
"""

from __future__ import annotations

from collections.abc import Iterable

from models.themes import Theme
from monitor.news.companies import Company, gazetteer
from monitor.series import title_of


class Naming:
    """Names for series of every kind."""

    def __init__(self, themes: Iterable[Theme], companies: Iterable[Company] | None = None) -> None:
        """Names by the themes and companies that are watched; the shipped gazetteer when None."""
        self._themes = {theme.id: theme.name for theme in themes}
        self._companies = {one.ticker: one.name for one in (gazetteer() if companies is None else companies)}

    def title(self, series: str) -> str:
        """The series as a person reads it."""
        return title_of(series, self._themes, self._companies)
