"""What is watched, and what it is called.

takes  a headline and its score
gives  the names of the series it counts in: `market`, `topic:Macro`, `theme:bank-stress`, `company:JPM`
never  counts anything

The name is the key: in rollups, alerts, settings and messages.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from models.score import Score
from monitor.headlines import Headline, Standing

MARKET = "market"


class Kind(StrEnum):
    """What a series is about."""

    MARKET = "market"
    TOPIC = "topic"
    THEME = "theme"
    COMPANY = "company"


@dataclass(frozen=True, slots=True)
class Scored:
    """What the models say about one headline: its score, and the ids of the risk themes that it touches."""

    score: Score
    themes: tuple[str, ...] = ()


def series_of(headline: Headline, scored: Scored) -> tuple[str, ...]:
    """Every series that this headline belongs to, each once, the market first."""
    names = [MARKET]
    names += [f"{Kind.TOPIC}:{topic}" for topic, _ in scored.score.topics]
    names += [f"{Kind.THEME}:{theme}" for theme in scored.themes]
    names += [f"{Kind.COMPANY}:{ticker}" for ticker in headline.companies]
    return tuple(dict.fromkeys(names))


def counts(standing: Standing) -> bool:
    """Whether a headline of this standing is counted: without a trustworthy date it belongs to no hour."""
    return standing not in UNCOUNTED


UNCOUNTED = frozenset({Standing.UNDATED, Standing.FUTURE})


def parted(series: str) -> tuple[Kind, str]:
    """The kind of a series and what it names; the market names nothing.

    Raises:
        ValueError: when the text is no name of a series.
    """
    kind, colon, name = series.partition(":")
    if kind not in set(Kind) or bool(colon) == (kind == MARKET) or bool(name) != bool(colon):
        raise ValueError(f"{series!r} is no series: market, topic:NAME, theme:ID or company:TICKER")
    return Kind(kind), name


def title_of(series: str, themes: Mapping[str, str], companies: Mapping[str, str]) -> str:
    """The series as a person reads it: "Market", "Topic: Macro", "Bank stress", "JPMorgan Chase (JPM)".

    Args:
        series: a name of a series.
        themes: name of each theme by id; a theme that is gone from the settings is called by its id.
        companies: name of each company by ticker; likewise.

    Raises:
        ValueError: when the text is no name of a series.
    """
    kind, name = parted(series)
    match kind:
        case Kind.MARKET:
            return "Market"
        case Kind.TOPIC:
            return f"Topic: {name}"
        case Kind.THEME:
            return themes.get(name, name)
        case Kind.COMPANY:
            known = companies.get(name)
            return f"{known} ({name})" if known else name
