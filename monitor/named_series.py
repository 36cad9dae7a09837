"""Which series have a name that somebody may write down.

takes  themes, and tickers of companies
gives  the names of all series, and what is wrong with a name that is none of them
never  knows settings: they ask it about the names that stand in them
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable

from alerts.telling.patterns import covers
from models.score import TOPICS
from models.themes import Theme, default_themes
from monitor.series import MARKET, Kind, sector_of


def themes_beside(own: tuple[Theme, ...], *, shipped: bool) -> tuple[Theme, ...]:
    """A user's themes, and, where `shipped` ones are wanted, those that they do not replace."""
    taken = {theme.id for theme in own}
    return (*own, *(theme for theme in (default_themes() if shipped else ()) if theme.id not in taken))


def series_of(themes: Iterable[Theme], tickers: Iterable[str]) -> list[str]:
    """The market, every topic and sector, these themes, and these companies."""
    return [
        MARKET,
        *(f"{Kind.TOPIC}:{topic}" for topic in TOPICS),
        *(f"{Kind.THEME}:{theme.id}" for theme in themes),
        *(f"{Kind.SECTOR}:{sector}" for sector in sorted(set(sector_of().values()))),
        *(f"{Kind.COMPANY}:{ticker}" for ticker in tickers),
    ]


def nameable_series(themes: Iterable[Theme], tickers: Iterable[str]) -> list[str]:
    """Every series that somebody may name ahead: the same, and one breaking story for all that are to come."""
    return [*series_of(themes, tickers), f"{Kind.STORY}:0123456789abcdef"]


def misnamed(name: str, there: Collection[str], *, alone: bool = False) -> str:
    """Why a name stands for none of these series, with the nearest that is there; empty when it stands for one.

    Args:
        name: of one series, or of several by `*` and `?` unless it must stand for one `alone`.
    """
    if name in there or (not alone and any(covers(name, series) for series in there)):
        return ""
    near = difflib.get_close_matches(name, there, n=1)
    kinds = "series are market, topic:NAME, theme:ID, sector:NAME and company:TICKER"
    hint = f"did you mean {near[0]!r}?" if near else kinds
    return f"{name!r} is no series that is watched; {hint}"
