"""The model: what it is, what was measured of it, how it changes, and what it says of a headline that you type.

takes  a `Moment`
gives  card, held-out figures, calibration, drift by day, abstentions, who scored what, and a box for a headline
never  loads a model: the daemon has one
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import polars as pl
import streamlit as st

from dashboard import acting, frame, headline_box, model_charts, narrow, reads, styles, texts
from dashboard.zones import Zone

_DAYS = {"30 days": 30, "90 days": 90, "1 year": 365}
_MOST_ABSTAINED = 50
# Titles are read for it, not counts.
_MOST_ODD_DAYS = 90
_SENTIMENTS = ("negative", "neutral", "positive")
# The sets that the card names, in a few words.
SETS = {
    "fpb_50Agree": "Financial PhraseBank (never trained on)",
    "sentfin": "SEntFiN, whole headlines",
    "sentfin_companies": "SEntFiN, towards companies",
    "tfns": "Twitter Financial News, sentiment",
    "tfnt": "Twitter Financial News, topic",
}


def draw(moment: frame.Moment) -> None:
    """The whole page."""
    st.subheader("Model", anchor=False)
    told = acting.answer(moment, "model") if moment.live else ""
    _which(moment, told)
    headline_box.draw(moment)
    st.divider()
    chosen = st.segmented_control(
        "Range", list(_DAYS), default="30 days", required=True, key="model_range", persist_state="session"
    )
    over = days(moment.now, _DAYS[chosen or "30 days"], moment.zone)
    _drift(moment, over)
    _scored(moment, over)
    _abstained(moment, over)
    if not isinstance(told, str):
        st.divider()
        _measured(told)


def days(now: datetime, number: int, zone: Zone) -> reads.Period:
    """So many days of a zone, of which the last is today."""
    midnight = zone.there(now).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    since, until = (zone.instant(midnight + timedelta(days=1 - back)) for back in (number, 0))
    return reads.Period(since, until, "day", zone)


def _which(moment: frame.Moment, told: dict[str, Any] | str) -> None:
    model = moment.status.model or "none yet"
    if isinstance(told, str):
        st.markdown(f"Scored last by **{texts.literal(model)}**.")
        start = "Card and figures come from a running monitor: start it with `squall run`."
        st.caption(texts.literal(texts.sentence(told)) if told else start)
        return
    st.markdown(
        f"**{texts.literal(str(told['model']))}** scores, upon {texts.literal(str(told['encoder']))}. A sentiment less "
        f"probable than {told['abstain_below']:.2f} is no opinion: it abstains."
    )
    others = [one["model"] for one in told["at_hand"] if one["model"] and one["model"] != told["model"]]
    if others:
        listed = ", ".join(texts.literal(one) for one in others)
        st.caption(f"Also at hand: {listed}. `squall models compare` and `promote` choose among them.")


def _drift(moment: frame.Moment, over: reads.Period) -> None:
    st.markdown("##### What it said, day by day")
    drift = _asked(
        "drift",
        moment.reader,
        str(moment.store),
        _slot(moment.now),
        since=over.since,
        until=over.until,
        zone=over.zone.name,
    )
    if drift.is_empty():
        st.info("Nothing was scored in this time.", icon=":material/hourglass_empty:")
        return
    st.altair_chart(model_charts.mix(drift, over), alt="Share of negative, neutral and positive headlines by day")
    by_day = model_charts.by_day(drift)
    left, middle, right = st.columns(3, gap="medium")
    with left:
        st.markdown("**Confidence**, mean")
        chart = model_charts.share(by_day, "confidence", "Confidence", model_charts.SURE, over)
        st.altair_chart(chart, alt="Mean confidence by day")
    with middle:
        st.markdown("**Abstentions**")
        chart = model_charts.share(by_day, "abstained", "Abstained", model_charts.LINE, over)
        st.altair_chart(chart, alt="Share of abstentions by day")
    with right:
        st.markdown("**Unknown words**")
        _odd_words(moment, over)
    st.caption(
        "A mix that shifts for weeks, confidence that sinks, or more unknown words say that the news has moved away "
        "from what the model learned. Unknown are words that its vocabulary lacks or spells in four pieces or more, "
        f"among the words of 200 titles of each of the last {_MOST_ODD_DAYS} days at most."
    )


def _odd_words(moment: frame.Moment, over: reads.Period) -> None:
    if not moment.live:
        st.caption("Counted by a running monitor.")
        return
    begin = max(over.since, over.until - timedelta(days=_MOST_ODD_DAYS))
    found = _odd_of(moment, str(moment.store), reads.Period(begin, over.until, "day", over.zone), _slot(moment.now))
    if isinstance(found, str):
        st.caption(texts.literal(texts.sentence(found)))
        return
    chart = model_charts.share(found, "odd", "Unknown words", model_charts.ODD, over)
    st.altair_chart(chart, alt="Share of unknown words by day")


def _slot(now: datetime) -> datetime:
    """Figures of whole days are asked for anew every ten minutes, not at each refresh."""
    return now.replace(minute=now.minute // 10 * 10, second=0, microsecond=0)


@st.cache_data(max_entries=16, show_spinner="Counting")
def _asked(query: str, _reader: reads.Reader, store: str, slot: datetime, **params: datetime | str) -> pl.DataFrame:
    return _reader.query(query, **params)


def _odd_of(moment: frame.Moment, store: str, over: reads.Period, slot: datetime) -> pl.DataFrame | str:
    try:
        return _odd_frame(moment, store, over.since, over.until, over.zone.name, slot)
    except ValueError as error:
        return str(error)


@st.cache_data(max_entries=8, show_spinner="Counting")
def _odd_frame(
    _moment: frame.Moment, store: str, since: datetime, until: datetime, zone: str, slot: datetime
) -> pl.DataFrame:
    """The shares; raises ValueError with the daemon's words, so that a refusal is not kept."""
    told = acting.answer(_moment, "odd_words", since=since.isoformat(), until=until.isoformat(), zone=zone)
    if isinstance(told, str):
        raise ValueError(told)
    rows = [(datetime.fromisoformat(one["day"]), one["odd"]) for one in told["rows"]]
    return pl.DataFrame(rows, schema={"day": pl.Datetime("us", "UTC"), "odd": pl.Float64}, orient="row")


def _scored(moment: frame.Moment, over: reads.Period) -> None:
    found = _asked("models", moment.reader, str(moment.store), _slot(moment.now), since=over.since, until=over.until)
    if found.is_empty():
        return
    st.markdown("##### Which model scored what")
    zone = moment.zone
    narrow.table(
        "scored",
        found.select(
            pl.col("model").map_elements(texts.cell, return_dtype=pl.String).alias("Model"),
            pl.col("headlines").alias("Headlines"),
            pl.col("first_at").map_elements(zone.full, return_dtype=pl.String).alias("First headline"),
            pl.col("last_at").map_elements(zone.full, return_dtype=pl.String).alias("Last headline"),
            (pl.col("abstained") * 100).round(1).alias("Abstained, %"),
        ),
        alt="Models and what they scored",
    )


def _abstained(moment: frame.Moment, over: reads.Period) -> None:
    found = moment.reader.query("abstained", since=over.since, until=over.until, limit=_MOST_ABSTAINED)
    with st.expander(f"Without an opinion: {texts.count(found.height, 'headline')}, the latest first"):
        if found.is_empty():
            st.caption("The model had an opinion of every headline.")
            return
        narrow.table(
            "abstained",
            abstained(found),
            abstained(found).with_columns(at=pl.col("at").map_elements(moment.zone.clock, return_dtype=pl.String)),
            many=True,
            column_config={
                "at": st.column_config.DatetimeColumn(
                    f"Time ({moment.zone.marks(found['effective'])})", format="D MMM, HH:mm", timezone=moment.zone.name
                ),
                "Headline": st.column_config.TextColumn(width=460),
                "Link": st.column_config.LinkColumn(display_text=":material/open_in_new:", width=45),
            },
            alt="Headlines without an opinion",
        )


def abstained(found: pl.DataFrame) -> pl.DataFrame:
    """Query `abstained` as people read it."""
    percent = [(pl.col(one) * 100).round().cast(pl.Int64).alias(f"{one.title()}, %") for one in _SENTIMENTS]
    return found.select(
        pl.col("effective").alias("at"),
        pl.col("title").map_elements(texts.cell, return_dtype=pl.String).alias("Headline"),
        pl.col("link").map_elements(texts.web_link, return_dtype=pl.String).alias("Link"),
        pl.col("publisher").map_elements(texts.cell, return_dtype=pl.String).alias("Publisher"),
        pl.col("abstention").map_elements(texts.sentence_case, return_dtype=pl.String).alias("Why"),
        *percent,
    )


# As wide as their names, so that six columns stand whole beside the chart of 1280 pixels.
_FIGURES = {"Texts": 64, "Accuracy": 80, "Macro-F1": 84, "Negative recall": 120, "Calibration error": 128}


def _measured(told: dict[str, Any]) -> None:
    metrics = told["metrics"]
    st.markdown("##### Measured on rows that it was not trained on")
    if not metrics.get("test"):
        st.caption(
            "Nothing was measured of this adapter: `squall train` does, and `squall models compare` measures anew."
        )
    else:
        with st.container(key=f"{styles.APART}measured"):
            left, right = (
                st.columns([2, 1], gap="medium") if metrics.get("calibration") else (st.container(), st.container())
            )
        with left:
            found = held_out(metrics["test"])
            columns = {
                name: st.column_config.NumberColumn(
                    width=width, format="%.3f" if found[name].dtype.is_float() else "%,d"
                )
                for name, width in _FIGURES.items()
            }
            narrow.table("held_out", found, alt="Held-out figures", column_config=columns, placeholder="")
            st.caption("Calibration error is how far confidence and accuracy lie apart, on average; 0 is perfect.")
        with right:
            if metrics.get("calibration"):
                st.markdown("**Can its confidence be believed?**")
                chart = model_charts.calibration(metrics["calibration"], SETS)
                st.altair_chart(chart, alt="Accuracy against confidence for every set")
    if told["card"]:
        with st.expander("The whole card"):
            # A picture in it would be fetched from elsewhere.
            st.markdown(told["card"].replace("![", "!\\["))


def held_out(test: dict[str, Any]) -> pl.DataFrame:
    """Figures by set, as people read them."""
    rows = [
        {
            "Set": SETS.get(name, name),
            "Texts": one["n"],
            "Accuracy": round(one["accuracy"], 3),
            "Macro-F1": round(one["macro_f1"], 3),
            "Negative recall": round(one["recall"]["negative"], 3) if "negative" in one["recall"] else None,
            "Calibration error": round(one["ece"], 3),
        }
        for name, one in test.items()
    ]
    return pl.DataFrame(rows, infer_schema_length=None)
