"""What a model says about one headline.

takes  probabilities, as a forward pass gives them
gives  `Score`: sentiment, topics and the model that said so
never  loads a model, and never hears where a text came from
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum


class Sentiment(StrEnum):
    """The tone of a headline, in the order of the sentiment head's outputs."""

    NEGATIVE = "negative"
    NEUTRAL = "neutral"
    POSITIVE = "positive"


SENTIMENTS: tuple[Sentiment, ...] = tuple(Sentiment)

# The classes of the Twitter Financial News Topic data (MIT), in the order of the topic head's outputs.
TOPICS: tuple[str, ...] = (
    "Analyst Update",
    "Company | Product News",
    "Currencies",
    "Dividend",
    "Earnings",
    "Energy | Oil",
    "Fed | Central Banks",
    "Financials",
    "General News | Opinion",
    "Gold | Metals | Materials",
    "IPO",
    "Legal | Regulation",
    "M&A | Investments",
    "Macro",
    "Markets",
    "Personnel Change",
    "Politics",
    "Stock Commentary",
    "Stock Movement",
    "Treasuries | Corporate Debt",
)
# Classes per task. `company` is the sentiment towards one named company: its input is the pair of headline and name.
TASKS: dict[str, int] = {"sentiment": len(SENTIMENTS), "topic": len(TOPICS), "company": len(SENTIMENTS)}

_SUM_TOLERANCE = 1e-3


class Abstention(StrEnum):
    """Why a score should not be counted as an opinion."""

    NONE = "none"
    EMPTY_TEXT = "empty_text"
    UNSURE = "unsure"


@dataclass(frozen=True, slots=True)
class CompanyScore:
    """The model's opinion of how a headline speaks of one company that it names.

    Attributes:
        name: the company, as it was asked about.
        negative, neutral, positive: probabilities that sum to one.

    Raises:
        ValueError: when probabilities are not finite, lie outside [0, 1] or do not sum to one.
    """

    name: str
    negative: float
    neutral: float
    positive: float

    def __post_init__(self) -> None:
        _check((self.negative, self.neutral, self.positive))

    @property
    def sentiment(self) -> Sentiment:
        """The most probable sentiment towards the company."""
        return _most_probable((self.negative, self.neutral, self.positive))

    @property
    def tone(self) -> float:
        """Probability of positive less that of negative: from -1 to 1."""
        return self.positive - self.negative


@dataclass(frozen=True, slots=True)
class Score:
    """The model's opinion of one headline.

    Attributes:
        negative, neutral, positive: probabilities that sum to one.
        topics: (name, probability) of every topic at or above the topic threshold, most probable first; the
            most probable topic is always among them, unless the text is empty.
        model: id of the model that gave the score (hash of encoder, adapter and settings).
        abstention: why the sentiment should not be counted; `Abstention.NONE` when it should.
        companies: one opinion per company that was asked about, in that order; empty when none was, when the text
            is empty, and when the adapter has no head for companies.

    Raises:
        ValueError: when probabilities are not finite, lie outside [0, 1] or do not sum to one.
    """

    negative: float
    neutral: float
    positive: float
    topics: tuple[tuple[str, float], ...]
    model: str
    abstention: Abstention = Abstention.NONE
    companies: tuple[CompanyScore, ...] = ()

    def __post_init__(self) -> None:
        _check((self.negative, self.neutral, self.positive))

    @property
    def sentiment(self) -> Sentiment:
        """The most probable sentiment."""
        return _most_probable((self.negative, self.neutral, self.positive))

    @property
    def confidence(self) -> float:
        """Probability of `sentiment`."""
        return max(self.negative, self.neutral, self.positive)

    @property
    def tone(self) -> float:
        """Probability of positive less that of negative: from -1 to 1."""
        return self.positive - self.negative

    @property
    def counts_as_negative(self) -> bool:
        """Whether windows count this headline as a negative story."""
        return self.sentiment is Sentiment.NEGATIVE and self.abstention is Abstention.NONE


def _check(probabilities: tuple[float, float, float]) -> None:
    if not all(math.isfinite(p) and -_SUM_TOLERANCE <= p <= 1 + _SUM_TOLERANCE for p in probabilities):
        raise ValueError(f"sentiment probabilities must be finite and within [0, 1], not {probabilities}")
    if abs(sum(probabilities) - 1) > _SUM_TOLERANCE:
        raise ValueError(f"sentiment probabilities must sum to one, not {sum(probabilities):.4f}")


def _most_probable(probabilities: tuple[float, float, float]) -> Sentiment:
    return SENTIMENTS[probabilities.index(max(probabilities))]
