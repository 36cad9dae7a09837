"""The latest headlines as a table.

takes  a reader, a series and a period
gives  the table, with a filter for negatives and for words of the title
never  shows a title as anything but text
"""

from __future__ import annotations

import polars as pl
import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from dashboard import reads, texts

_LIMIT = 200
_SENTIMENTS = {"negative": "Negative", "neutral": "Neutral", "positive": "Positive"}
_COLOURS = {"Negative": "red", "Neutral": "gray", "Positive": "green", "Unsure": "yellow", "Unknown": "gray"}


def headline_table(reader: reads.Reader, name: str, over: reads.Period) -> None:
    """Draw the table for one series."""
    st.markdown("##### Latest headlines")
    left, right = st.columns([2, 1], vertical_alignment="bottom", gap="large")
    with left:
        text = st.text_input("Words in the title", key="headline_text", placeholder="for example: deposits")
    with right:
        negative_only = st.toggle("Only negative", key="headline_negative")
    found = reads.headlines(reader, name, over, text=text, negative_only=negative_only, limit=_LIMIT)
    if found.is_empty():
        st.info("No headline fits. Choose a longer range, or another filter.", icon=":material/filter_alt_off:")
        return
    st.dataframe(
        table(found), hide_index=True, column_config=_columns(), height=430, placeholder="", alt="Latest headlines"
    )
    if found.height == _LIMIT:
        st.caption(f"The latest {_LIMIT} of this range; a filter or a shorter range shows others.")


def table(found: pl.DataFrame) -> pl.DataFrame:
    """Query `headlines` as people read it: words for codes, percent for probabilities, only web links."""
    return found.select(
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
        pl.col("themes").list.eval(pl.element().map_elements(texts.sentence_case, return_dtype=pl.String)),
        pl.col("topics"),
        pl.col("companies"),
    )


def _columns() -> dict[str, ColumnConfig]:
    column = st.column_config
    return {
        "effective": column.DatetimeColumn("Time (UTC)", format="D MMM, HH:mm", timezone="UTC", width=105),
        "sentiment": column.MultiselectColumn("Tone", options=[*_COLOURS], color=[*_COLOURS.values()], width=105),
        "title": column.TextColumn("Headline", width=470),
        "link": column.LinkColumn("Link", display_text=":material/open_in_new:", width=45),
        "publisher": column.TextColumn("Publisher", width=110),
        "negative": column.ProgressColumn("Negative", format="%.0f %%", min_value=0, max_value=100, width=100),
        "themes": column.ListColumn("Themes", width=140),
        "topics": column.ListColumn("Topics", width=190),
        "companies": column.ListColumn("Companies", width=110),
    }
