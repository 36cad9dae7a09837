"""In what manner a title speaks: of what came after an event, of markets, or about an event.

takes  a clean title
gives  `Manner`: three bare facts about its wording, remembered for the titles of the last while
never  says what the title is about: `monitor.news.wording` does
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

# The next step, an answer, a dispute: these name the event before, and are stories of their own.
_FOLLOWS = re.compile(
    r"\b(?:after|amid|as|despite|following|over|response|reacts?|responds?|condemns?|slams?|critici[sz]\w*|welcomes?"
    r"|warns?|urges?|calls?|denies|rejects?|blasts?|hits back|defends?|accuses?|backs|opposes?|backlash|fallout|doubts?"
    r"|questions?)\b",
    re.IGNORECASE,
)
_MARKETS = re.compile(
    r"\b(?:shares?|stocks?|markets?|yields?|bonds?|futures|investors?|traders?|rally|rallies|sell-?off|yen|dollar|euro"
    r"|pound|sterling|bitcoin|crude|oil prices?|slump\w*|tumbl\w*|plung\w*|surg\w*|soar\w*|jump\w*|sinks?|slid\w*"
    r"|slips?|rout)\b",
    re.IGNORECASE,
)
# Wider than `Told.explains`, which also takes "could" and "should": columns in sentence case begin with an article.
_ABOUT = re.compile(
    r"\b(?:why|what|who|how|when|opinion|analysis|explain\w*|guide|need to know|takeaways|lessons|timeline|inside"
    r"|means?|meet|key moments|everything|photos|pictures|charts|graphics|a year of|is a|the case for|here['\u2019]s)\b"
    r"|\?|^(?:the|a) ",
    re.IGNORECASE,
)
# Each compared title is asked for a dozen times within an hour or so.
_REMEMBERED = 8_192


@dataclass(frozen=True, slots=True)
class Manner:
    """How a title is worded.

    Attributes:
        follows: it speaks of an answer or a next step, or names what came before.
        markets: it speaks of prices and those who trade.
        about: it asks, explains or shows rather than reports.
    """

    follows: bool
    markets: bool
    about: bool


@lru_cache(maxsize=_REMEMBERED)
def manner(text: str) -> Manner:
    """Read the manner of a title; the last few thousand are remembered."""
    return Manner(*(pattern.search(text) is not None for pattern in (_FOLLOWS, _MARKETS, _ABOUT)))
