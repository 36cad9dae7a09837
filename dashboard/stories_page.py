"""Stories: search over every headline, filters, and the result to take away.

takes  a `Moment`; the address names the search: `?q=deposits&series=theme:bank-stress&tone=negative&from=…&to=…`
gives  the table, and files of what was found
never  shows a title as anything but text, nor writes a cell that a spreadsheet would run
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime, timedelta

import polars as pl
import streamlit as st

from dashboard import choosing, exports, frame, headline_table, links, reads, texts
from monitor.storage.words import wanted

_TEXT, _SERIES, _RANGE, _TONE, _PUBLISHER = (
    "stories_text", "stories_series", "stories_range", "stories_tone", "stories_publisher"
)  # fmt: skip
_LIMIT, _MOST_EXPORTED = 200, 20_000
_LONGEST, _PUBLISHERS, _EVERY = 200, 300, 100_000
_ANY = "Any"


def draw(moment: frame.Moment) -> None:
    """The whole page."""
    if moment.status.headlines == 0:
        frame.empty(
            "No headlines yet",
            f"Here every headline can be searched. {frame.first_news(moment)}",
            "search",
        )
        return
    above = st.container()
    left, right = st.columns([2, 3], gap="medium", vertical_alignment="bottom")
    with left:
        name = choosing.series(moment, _SERIES)
    with right:
        over = choosing.period(moment, _RANGE, reads.Choice.MONTH, custom=True)
    with above:
        sift = _sift(moment, over)
    found = reads.headlines(moment.reader, name, over, sift, limit=_LIMIT)
    if found.is_empty():
        _nothing(sift)
        return
    _count(moment, found)
    headline_table.draw(found, moment.zone, name)
    _take_away(moment, name, over, sift)


def _sift(moment: frame.Moment, over: reads.Period) -> reads.Sift:
    """What is typed and chosen above the table."""
    links.heed("q", _TEXT, lambda told: told[:_LONGEST])
    links.heed("tone", _TONE, lambda told: told if told in texts.TONES else None if told else _ANY)
    heard = set(_publishers(moment, min(over.since, moment.now - timedelta(days=90)), _PUBLISHERS))
    links.heed("publisher", _PUBLISHER, lambda told: _publisher(moment, told, heard))
    # What was chosen stays an option, or another range would forget it.
    publishers = sorted((heard | {st.session_state.get(_PUBLISHER) or _ANY}) - {_ANY}, key=str.lower)
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        text = st.text_input(
            "Search headlines",
            key=_TEXT,
            max_chars=_LONGEST,
            placeholder='bank deposit "credit suisse" $JPM',
            icon=":material/search:",
            help="Words are found by their beginning: `bank` finds banks. In quotation marks: as they stand, side by "
            "side. `$JPM` finds headlines about a company.",
            width="stretch",
            persist_state="session",
        )
        tone = st.selectbox(
            "Tone",
            [_ANY, *texts.TONES],
            format_func=lambda one: one if one == _ANY else texts.TONES[one].word,
            key=_TONE,
            width=140,
            help="In a company's series *Negative* is what is negative towards the company.",
            persist_state="session",
        )
        publisher = st.selectbox("Publisher", [_ANY, *publishers], key=_PUBLISHER, width=210, persist_state="session")
    chosen = reads.Sift(text or "", "" if tone == _ANY else tone or "", "" if publisher == _ANY else publisher or "")
    links.tell("q", chosen.text, _TEXT)
    links.tell("tone", chosen.tone, _TONE)
    links.tell("publisher", chosen.publisher, _PUBLISHER)
    return chosen


def _publishers(moment: frame.Moment, since: datetime, most: int) -> list[str]:
    """Those heard since an instant, those with the most headlines first."""
    names: list[str] = moment.reader.query("publishers", since=since, limit=most)["publisher"].to_list()
    return names


def _publisher(moment: frame.Moment, told: str, heard: Collection[str]) -> str | None:
    """The publisher that an address names, however long ago it was heard last."""
    if not told or told in heard:
        return told or _ANY
    return told if told in _publishers(moment, datetime(1970, 1, 1, tzinfo=UTC), _EVERY) else None


def _nothing(sift: reads.Sift) -> None:
    if sift.text.strip() and wanted(sift.text).empty:
        words = "There is no word in that to search for: type letters or digits."
    elif sift.text.strip():
        words = "No headline of this range holds all of these words. Try fewer, a longer range, or another series."
    else:
        words = "No headline fits. Choose a longer range, or another filter."
    st.info(words, icon=":material/filter_alt_off:")


def _count(moment: frame.Moment, found: pl.DataFrame) -> None:
    last = found["effective"].min()
    if found.height < _LIMIT:
        st.caption(f"{texts.count(found.height, 'headline')}, newest first.")
    else:
        st.caption(f"The latest {found.height}, back to {moment.zone.full(last)}; a file below holds more.")  # type: ignore[arg-type]  # a column of datetimes


def _take_away(moment: frame.Moment, name: str, over: reads.Period, sift: reads.Sift) -> None:
    """Files are made when somebody asks for one, not at every refresh."""

    def all_found() -> pl.DataFrame:
        return reads.headlines(moment.reader, name, over, sift, limit=_MOST_EXPORTED)

    stem = f"squall-headlines-{moment.now:%Y%m%d-%H%M}"
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        st.download_button(
            "CSV",
            lambda: exports.csv(all_found()),
            f"{stem}.csv",
            "text/csv",
            icon=":material/download:",
            on_click="ignore",
            help="For spreadsheets: no cell begins as a formula.",
        )
        st.download_button(
            "Parquet",
            lambda: exports.parquet(all_found()),
            f"{stem}.parquet",
            "application/vnd.apache.parquet",
            icon=":material/download:",
            on_click="ignore",
            help="For programs: typed, titles as they came.",
        )
        st.caption(f"The newest {_MOST_EXPORTED:,} that fit; times in UTC.")
