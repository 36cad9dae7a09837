"""What the models say, as columns of an archive and back.

takes  `Scored`s, or rows of a scored archive
gives  frames in the columns of `OPINIONS`, and `Scored`s
never  loads a model

Figures are kept in single precision, as the store keeps them, and not rounded further.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from models.score import Abstention, CompanyScore, Score
from monitor.series import Scored

_FIGURE = pl.Float32()
# A company that was named and not asked about, since the model has not learned companies, has no figures.
_COMPANY = pl.Struct(
    {"ticker": pl.String, "name": pl.String, "negative": _FIGURE, "neutral": _FIGURE, "positive": _FIGURE}
)

# One row each: of a row that failed all of them are null.
OPINIONS: Mapping[str, pl.DataType] = {
    "sentiment": pl.String(),
    "negative": _FIGURE,
    "neutral": _FIGURE,
    "positive": _FIGURE,
    "topics": pl.List(pl.String),
    "topic_probabilities": pl.List(pl.Float32),
    "themes": pl.List(pl.String),
    "companies": pl.List(_COMPANY),
    "abstention": pl.String(),
    "model": pl.String(),
}


def opinion_frame(scored: Sequence[Scored | None], named: Sequence[Mapping[str, str]]) -> pl.DataFrame:
    """The columns of `OPINIONS`; a row of None has none.

    Args:
        named: for each row the companies that it names: by ticker, the words that it names them by.
    """
    rows = [_row(one, names) for one, names in zip(scored, named, strict=True)]
    return pl.DataFrame(
        {name: [row[place] for row in rows] for place, name in enumerate(OPINIONS)}, schema=dict(OPINIONS), strict=False
    )


_NOTHING: tuple[Any, ...] = (None,) * len(OPINIONS)


def _row(scored: Scored | None, named: Mapping[str, str]) -> tuple[Any, ...]:
    if scored is None:
        return _NOTHING
    score, towards = scored.score, dict(scored.towards)
    return (
        score.sentiment.value,
        score.negative,
        score.neutral,
        score.positive,
        [topic for topic, _ in score.topics],
        [probability for _, probability in score.topics],
        list(scored.themes),
        [_company(ticker, name, towards.get(ticker)) for ticker, name in named.items()],
        score.abstention.value,
        score.model,
    )


def _company(ticker: str, name: str, opinion: CompanyScore | None) -> dict[str, Any]:
    figures = (opinion.negative, opinion.neutral, opinion.positive) if opinion else (None, None, None)
    return dict(zip(("ticker", "name", "negative", "neutral", "positive"), (ticker, name, *figures), strict=True))


def scored_of(row: Mapping[str, Any]) -> Scored:
    """What the models said, from one row of `OPINIONS` that did not fail."""
    asked = [one for one in row["companies"] or () if one["negative"] is not None]
    towards = [
        (one["ticker"], CompanyScore(one["name"], one["negative"], one["neutral"], one["positive"])) for one in asked
    ]
    score = Score(
        row["negative"],
        row["neutral"],
        row["positive"],
        tuple(zip(row["topics"], row["topic_probabilities"], strict=True)),
        row["model"],
        Abstention(row["abstention"]),
        tuple(opinion for _, opinion in towards),
    )
    return Scored(score, tuple(row["themes"] or ()), tuple(towards))
