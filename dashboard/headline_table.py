"""Headlines as a table.

takes  headlines (query `latest`), the zone of times, the series that they are shown for
gives  the table
never  shows a title as anything but text
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import polars as pl
import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from dashboard import narrow, texts
from dashboard.zones import Zone

_COLOURS = {**{look.word: look.colour for look in texts.TONES.values()}, "Unknown": "gray"}
_SENTIMENTS = {name: look.word for name, look in texts.TONES.items() if name != "unsure"}


def draw(found: pl.DataFrame, zone: Zone, series: str = "market") -> None:
    """Draw the table."""
    with narrow.wide("headlines", many=True):
        st.dataframe(
            table(found, series),
            hide_index=True,
            column_config=_columns(zone, found["effective"], series),
            height="content" if found.height <= 12 else 520,
            placeholder="",
            alt="Headlines",
        )
    rows = [_line(row, zone) for row in found.head(narrow.MOST).iter_rows(named=True)]
    narrow.lines("headlines", rows, found.height - narrow.MOST, many=True)


def _line(row: dict[str, Any], zone: Zone) -> str:
    """One headline for narrow windows, in Markdown."""
    look = texts.look(texts.TONES, "unsure" if row["abstention"] == "unsure" else str(row["sentiment"]))
    title = texts.linked(row["title"], row["link"]) or texts.literal(row["title"])
    about = [texts.series_name(f"theme:{one}") for one in row["themes"]] + list(row["companies"])
    told = [row["publisher"], zone.clock(row["effective"]), f"{row['negative']:.0%} negative", *about]
    return f"{look.badge} {title}  \n:small[{' · '.join(texts.literal(one) for one in told)}]"


def table(found: pl.DataFrame, series: str = "market") -> pl.DataFrame:
    """Query `latest` as people read it: words for codes, percent for probabilities, only web links.

    Args:
        series: of a company, the sentiment towards it is shown in a column of its own.
    """
    shown = found.select(
        pl.col("effective"),
        pl.when(pl.col("abstention") == "unsure")
        .then(pl.lit("Unsure"))
        .otherwise(pl.col("sentiment").replace_strict(_SENTIMENTS, default="Unknown"))
        .alias("sentiment")
        .pipe(lambda word: pl.concat_list(word).alias("sentiment")),
        pl.col("title").map_elements(texts.cell, return_dtype=pl.String),
        pl.col("link").map_elements(texts.web_link, return_dtype=pl.String),
        pl.col("publisher").map_elements(texts.cell, return_dtype=pl.String),
        (pl.col("negative") * 100).alias("negative"),
        _towards().alias("towards"),
        pl.col("themes").list.eval(pl.element().map_elements(texts.sentence_case, return_dtype=pl.String)),
        pl.col("topics").list.eval(
            pl.element().map_elements(lambda one: texts.series_name(f"topic:{one}"), return_dtype=pl.String)
        ),
        pl.col("companies"),
        toned=pl.col("tone_in"),
    )
    left_out = [] if series.startswith("company:") else ["toned"]
    # A column that says nothing takes the room of those that do.
    left_out += [one for one in ("towards", "companies") if not shown[one].list.len().sum()]
    return shown.drop(left_out)


def _towards() -> pl.Expr:
    """What the model says towards each company that it was asked about: `JPM 91 % negative`, the stronger side."""

    def words(row: dict[str, list[object]]) -> list[str]:
        told = zip(row["towards"] or (), row["towards_negative"] or (), row["towards_positive"] or (), strict=False)
        return [
            _opinion(str(ticker), float(str(negative)), float(str(positive))) for ticker, negative, positive in told
        ]

    return pl.struct("towards", "towards_negative", "towards_positive").map_elements(
        words, return_dtype=pl.List(pl.String)
    )


def _opinion(ticker: str, negative: float, positive: float) -> str:
    if max(negative, positive) < 1 - negative - positive:
        return f"{ticker} neutral"
    share, side = (negative, "negative") if negative >= positive else (positive, "positive")
    return f"{ticker} {share:.0%} {side}"


def _columns(zone: Zone, times: Iterable[datetime], series: str) -> dict[str, ColumnConfig]:
    column = st.column_config
    return {
        "effective": column.DatetimeColumn(
            f"Time ({zone.marks(times)})", format="D MMM YYYY, HH:mm", timezone=zone.name, width=136
        ),
        "sentiment": column.MultiselectColumn("Tone", options=[*_COLOURS], color=[*_COLOURS.values()], width=86),
        "title": column.TextColumn("Headline", width=370),
        "link": column.LinkColumn("Link", display_text=":material/open_in_new:", width=45),
        "publisher": column.TextColumn("Publisher", width=126),
        "negative": column.ProgressColumn("Negative", format="%.0f %%", min_value=0, max_value=100, width=88),
        "toned": column.NumberColumn(
            f"Tone towards {series.partition(':')[2]}", format="%+.2f", width=120, help="From −1 to +1."
        ),
        "towards": column.ListColumn("Towards", width=150),
        "themes": column.ListColumn("Themes", width=122),
        "topics": column.ListColumn("Topics", width=130),
        "companies": column.ListColumn("Companies", width=84),
    }
