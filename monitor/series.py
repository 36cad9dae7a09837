"""What is watched, and what it is called.

takes  a headline and its score
gives  the names of the series it counts in: `market`, `topic:Macro`, `theme:bank-stress`, `sector:Energy`, `company:X`
never  counts anything

A breaking story is a series of its own, `story:0123456789abcdef`: no headline counts in it, and nobody watches it
ahead.
The name is the key: in rollups, alerts, settings and messages.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

from models.score import Abstention, CompanyScore, Score, Sentiment
from monitor.news.companies import gazetteer
from monitor.news.headlines import Headline, Standing

MARKET = "market"


class Kind(StrEnum):
    """What a series is about."""

    MARKET = "market"
    TOPIC = "topic"
    THEME = "theme"
    SECTOR = "sector"
    COMPANY = "company"
    STORY = "story"


@dataclass(frozen=True, slots=True)
class Scored:
    """What the models say about one headline.

    Attributes:
        score: of the headline as a whole.
        themes: ids of the risk themes that it touches.
        towards: (ticker, opinion) of each company that was asked about, each once.
    """

    score: Score
    themes: tuple[str, ...] = ()
    towards: tuple[tuple[str, CompanyScore], ...] = ()

    def counts_as_negative_in(self, series: str) -> bool:
        """Whether windows of this series count the headline as negative: for a company, if it is so towards it."""
        if (opinion := self._opinion(series)) is None:
            return self.score.counts_as_negative
        return opinion.sentiment is Sentiment.NEGATIVE

    def tone_in(self, series: str) -> float:
        """Tone of the headline in this series, from -1 to 1; 0 where the model abstains."""
        if (opinion := self._opinion(series)) is None:
            return self.score.tone if self.score.abstention is Abstention.NONE else 0.0
        return opinion.tone

    def _opinion(self, series: str) -> CompanyScore | None:
        return next((one for ticker, one in self.towards if series == f"{Kind.COMPANY}:{ticker}"), None)


def series_of(headline: Headline, scored: Scored) -> tuple[str, ...]:
    """Every series that this headline belongs to, each once, the market first."""
    names = [MARKET]
    names += [f"{Kind.TOPIC}:{topic}" for topic, _ in scored.score.topics]
    names += [f"{Kind.THEME}:{theme}" for theme in scored.themes]
    sectors = sector_of()
    names += [f"{Kind.SECTOR}:{sectors[ticker]}" for ticker in headline.companies if ticker in sectors]
    names += [f"{Kind.COMPANY}:{ticker}" for ticker in headline.companies]
    return tuple(dict.fromkeys(names))


@cache
def sector_of() -> Mapping[str, str]:
    """The sector of each company that Squall knows, by ticker; a company whose sector is not known is not there."""
    return {company.ticker: company.sector for company in gazetteer() if company.sector}


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
        raise ValueError(
            f"{series!r} is no series: market, topic:NAME, theme:ID, sector:NAME, company:TICKER or story:ID"
        )
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
        case Kind.SECTOR:
            return f"Sector: {name}"
        case Kind.STORY:
            return "Breaking story"
        case Kind.THEME:
            return themes.get(name, name)
        case Kind.COMPANY:
            known = companies.get(name)
            return f"{known} ({name})" if known else name
