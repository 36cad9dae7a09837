"""The overview: in five seconds whether something is wrong, in thirty where.

takes  a `Moment`
gives  open alerts, the market's tone against its usual band, heat of topics and themes, movers, latest negative stories
never  decides what is a surge: it shows what the monitor decided
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import streamlit as st

from dashboard import charts, choosing, frame, handling, reads, texts
from monitor.service.stages import stages_of

_RANGE = "overview_range"
_MOST_CARDS = 4
_MOST_STORIES = 8
_MOST_MARKS = 40
_MOST_CELLS = 12
_STATES = ("firing", "pending", "recovering", "no_data", "error")
_SURGING = ("firing", "pending")
# Without any of these stages of the monitor no surge is seen.
_STAGES = {"poll": "feeds are not checked", "score": "headlines are not scored", "detect": "detection fails"}
_CHOICES = (reads.Choice.DAY, reads.Choice.WEEK, reads.Choice.MONTH)


def draw(moment: frame.Moment) -> None:
    """The whole page."""
    _risk_now(moment)
    if moment.status.last_hour is None:
        _nothing_counted(moment)
        return
    over = choosing.period(moment, _RANGE, reads.Choice.WEEK, among=_CHOICES)
    left, right = st.columns([2, 1], gap="large")
    with left:
        _market(moment, over)
    with right:
        _movers(moment, over)
    counted = reads.series(moment.reader, over)
    left, right = st.columns(2, gap="large")
    with left:
        drawn = [_heat(moment, over, counted, "theme", "Themes"), _heat(moment, over, counted, "sector", "Sectors")]
    with right:
        drawn.append(_heat(moment, over, counted, "topic", "Topics"))
    st.caption(
        "Each cell is a stretch of time: the redder, the further its negative stories are above the usual of the four "
        "weeks before; blue is below. Choose a cell to see its stories."
    )
    _reddest(moment, pl.concat(drawn))
    _latest(moment, over)


def _risk_now(moment: frame.Moment) -> None:
    opened = moment.reader.query("open_alerts")
    st.subheader("Risk now", anchor=False)
    if opened.is_empty():
        _quiet(moment)
        return
    st.markdown(_tally(opened) + ("" if moment.live else " when the monitor last ran"))
    shown = opened.head(_MOST_CARDS)
    for column, row in zip(st.columns(shown.height), shown.iter_rows(named=True), strict=True):
        with column, st.container(border=True, gap="xsmall", height="stretch"):
            _card(row, moment)
    if opened.height > shown.height:
        more = texts.count(opened.height - shown.height, "more open alert")
        moment.link("alerts", more, "more_horiz", show=texts.OPEN_NOW)


def _tally(opened: pl.DataFrame) -> str:
    """`2 firing · 1 pending`, what is under way first, the gravest severity of each as its colour."""
    parts = []
    by_state = {str(state): among for (state,), among in opened.group_by("state", maintain_order=True)}
    for state in sorted(by_state, key=[*_STATES, *by_state].index):
        among = by_state[state]
        gravest = next((one for one in texts.SEVERITIES if one in among["severity"]), "info")
        look, colour = texts.look(texts.STATES, state), texts.look(texts.SEVERITIES, gravest).colour
        parts.append(f":{colour}[**{among.height}** {look.word.lower()}]")
    return " · ".join(parts)


def _card(row: Mapping[str, Any], moment: frame.Moment) -> None:
    state, severity = texts.look(texts.STATES, row["state"]), texts.look(texts.SEVERITIES, row["severity"])
    st.markdown(f"{severity.badge} {state.badge}")
    headline = row["headline"]
    name = texts.alert_title(row["series"], headline) if headline else texts.series_name(row["series"])
    st.markdown(f"##### {texts.literal(texts.shortened(name))}")
    seen = texts.counted(row["series"], row["observed"])
    st.markdown(f"**{seen}** in {row['hours']} h")
    since = row["opened_at"]
    usual = f"Usual: {texts.amount(row['expected'])} · by chance {texts.chance(row['p_value'])}"
    if row["state"] not in _SURGING:
        # The count is that of the latest surge, which may be days ago.
        usual += f". Last seen {moment.zone.clock(row['last_spike_at'])}"
    messages, decisions = (
        moment.reader.query(query, alert=row["id"]).to_dicts() for query in ("alert_deliveries", "alert_decisions")
    )
    # A line for each question: a card of four beside each other has no room for one.
    lasts = f"For {texts.span(moment.now - since)}, since {moment.zone.clock(since)}"
    done = f"{handling.told(row, messages, decisions)} · {handling.in_hand(row)}"
    st.caption(f"{usual}  \n{lasts}  \n{done}")
    moment.link("alerts", "Evidence", "arrow_forward", fill=True, alert=row["id"])


def _quiet(moment: frame.Moment) -> None:
    """No open alert: whether that means quiet, or that nothing may alert yet."""
    since, needed = moment.status.watched_since, reads.rules(moment.notes).learning_days
    watched = texts.count(moment.status.series, "series", "series")
    if since is None:
        st.info("Nothing is watched yet: no headline has been counted.", icon=":material/school:")
    elif (left := since + timedelta(days=needed) - moment.now) > timedelta(0) and moment.live:
        st.info(
            f"**Learning.** Squall is measuring what is usual, since {moment.zone.full(since)}. The first alerts are "
            f"possible in {texts.span(left)}; trends and headlines are complete already.",
            icon=":material/school:",
        )
    elif moment.live and (blind := _blind(moment)):
        st.warning(f"**No alert is open, and none can open at the moment:** {blind}.", icon=":material/visibility_off:")
    elif moment.live:
        st.success(f"**All quiet.** No surge of negative news in {watched}.", icon=":material/check_circle:")
    else:
        st.info("No open alert when the monitor last ran.", icon=":material/history:")


def _blind(moment: frame.Moment) -> str:
    """Why nobody would see a surge now; "" while all that it takes goes well."""
    as_of = moment.status.as_of
    if as_of is not None and moment.now - as_of > frame.STALE:
        return f"no feed has answered for {texts.span(moment.now - as_of)}"
    failing = {stage.name for stage in stages_of(moment.notes) if stage.reason}
    return ", ".join(words for name, words in _STAGES.items() if name in failing)


def _nothing_counted(moment: frame.Moment) -> None:
    if moment.status.feeds == 0:
        words = f"No feed has been checked yet. {frame.first_news(moment)}"
    elif moment.status.feeds_failing == moment.status.feeds:
        words = "No feed has answered so far. The page **Feeds** says why for each of them."
    else:
        words = "Feeds are being read; the first headlines appear here as soon as they are scored."
    frame.empty("No headlines yet", words, "newspaper")


def _market(moment: frame.Moment, over: reads.Period) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown("##### Market", width="content")
        moment.link("series", "Open the series", "arrow_forward", series="market", range=_asked(over))
    points = reads.trend(moment.reader, "market", over)
    usual = reads.usual(moment.reader, "market", over, reads.rules(moment.notes))
    _figures(points, usual, over)
    if points.is_empty():
        st.info("No story in this range. Choose a longer one.", icon=":material/bar_chart_off:")
        return
    marked, left_out = gravest(reads.alerts(moment.reader, over.since, over.until))
    st.altair_chart(
        charts.tone(points, marked, over, usual, height=190),
        alt="Tone of the market over time, against the band in which nine steps of ten usually lie",
    )
    band = "Shaded: where nine of ten usually lie. " if usual.height else "The usual band is not known yet. "
    st.caption(
        f"Mean tone per {over.step}. {band}Uprights: an alert opened; red and whole is critical, orange and dashed a "
        f"warning, blue and dotted an info{f'; {left_out:,} less grave are left out' if left_out else ''}."
    )


def gravest(marked: pl.DataFrame) -> tuple[pl.DataFrame, int]:
    """The alerts to draw in a chart, and how many are not: hundreds of lines would hide what lies behind them."""
    grave = pl.col("severity").replace_strict({name: place for place, name in enumerate(texts.SEVERITIES)}, default=9)
    kept = marked.sort(grave, "p_value", "opened_at", "id", descending=[False, False, True, False]).head(_MOST_MARKS)
    return kept, marked.height - kept.height


def _figures(points: pl.DataFrame, usual: pl.DataFrame, over: reads.Period) -> None:
    stories, negative = int(points["stories"].sum()), int(points["negative"].sum())
    weighed = points.select((pl.col("tone") * pl.col("stories")).sum()).item() or 0.0
    expected = float(usual["expected"].sum()) if usual.height else None
    tone = weighed / stories if stories else None
    mean = float(usual["tone_usual"].head(1).item()) if usual.height else None
    with frame.figures():
        st.metric(
            "Tone",
            "unknown" if tone is None else f"{tone:+.2f}",
            delta=None if mean is None else f"usual: {mean:+.2f}",
            delta_arrow="off",
            delta_color="off",
            help="Probability of positive less that of negative, from −1 to +1: the mean over the range's stories.",
            width=frame.FIGURE,
        )
        st.metric(
            "Negative stories",
            f"{negative:,}",
            delta=None if expected is None else f"usual: {texts.amount(expected)}",
            delta_arrow="off",
            delta_color="off",
            help="Distinct stories: copies of one story count once. Usual: what detection expects, hour by hour.",
            width=frame.FIGURE,
        )
        st.metric("Stories", f"{stories:,}", width=frame.FIGURE)


def _movers(moment: frame.Moment, over: reads.Period) -> None:
    st.markdown("##### Companies whose tone changed")
    found = reads.moves(moment.reader, over)
    if found.is_empty():
        st.caption("No company has four stories or more in this range and in the four weeks before it.")
        return
    st.altair_chart(charts.moves(found), alt="Companies whose tone changed most: tone now against the usual")
    st.caption("Dot: tone now, red where worse. Mark: tone in the four weeks before. At least four stories in each.")


def _heat(moment: frame.Moment, over: reads.Period, counted: pl.DataFrame, kind: str, title: str) -> pl.DataFrame:
    found = reads.heat(moment.reader, kind, over, counted)
    if found.is_empty():
        return found
    st.markdown(f"##### {title}")
    key = f"overview_heat_{kind}"

    def chosen() -> None:
        points = st.session_state[key].selection.get(charts.POINT) or []
        if points:
            st.session_state[f"{key}_cell"] = dict(points[0])
        else:
            st.session_state.pop(f"{key}_cell", None)

    st.altair_chart(
        charts.heatmap(found, over, dark=st.context.theme.type == "dark"),
        key=key,
        on_select=chosen,
        selection_mode=charts.POINT,
        alt=f"{title} over time: negative stories against the usual",
    )
    cell = st.session_state.get(f"{key}_cell")
    if cell:
        begun, ended = (datetime.fromtimestamp(cell[end] / 1000, UTC) for end in ("start", "end"))
        _cell(moment, cell["series"], begun, ended)
    return found


def _reddest(moment: frame.Moment, cells: pl.DataFrame) -> None:
    """The cells furthest above the usual, as links: the keyboard reaches no cell of a chart."""
    red = cells.filter(pl.col("surplus") > 0).sort("surplus", "at", "series", descending=[True, True, False])
    if red.is_empty():
        return
    with st.expander("The reddest cells, as a list"), st.container(gap="xsmall"):
        for row in red.head(_MOST_CELLS).iter_rows(named=True):
            counts = f", {texts.counted(row['series'], row['negative'])}, usual {texts.amount(row['usual'])}"
            _cell(moment, row["series"], row["at"], row["until"], counts)


def _cell(moment: frame.Moment, series: str, begun: datetime, ended: datetime, counts: str = "") -> None:
    words = f"{texts.series_name(series)}: {moment.zone.clock(begun)} to {moment.zone.clock(ended)}{counts}"
    asked: dict[str, Any] = {"series": series, "from": f"{begun:%Y-%m-%dT%H:%M}", "to": f"{ended:%Y-%m-%dT%H:%M}"}
    moment.link("series", texts.literal(words), "arrow_forward", **asked)


def _latest(moment: frame.Moment, over: reads.Period) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown("##### Latest negative stories", width="content")
        asked: dict[str, Any] = {
            "tone": "negative",
            "series": "market",
            "range": _asked(over),
            "q": "",
            "publisher": "",
        }
        moment.link("stories", "All headlines", "arrow_forward", **asked)
    found = reads.headlines(moment.reader, "market", over, reads.Sift(negative_only=True), limit=_MOST_STORIES * 5)
    stories = reads.distinct(found).head(_MOST_STORIES)
    if stories.is_empty():
        st.info("No negative story in this range.", icon=":material/check:")
        return
    for row in stories.iter_rows(named=True):
        _line(row, moment)


def _line(row: Mapping[str, Any], moment: frame.Moment) -> None:
    with st.container(gap=None):
        link = texts.linked(row["title"], row["link"])
        if link is None:
            st.text(row["title"])
        else:
            st.markdown(link)
        publishers = ", ".join(texts.literal(one) for one in row["publishers"][:4])
        about = [texts.series_name(f"theme:{one}") for one in row["themes"]]
        about += [texts.series_name(f"company:{one}") for one in row["companies"]]
        st.caption(
            f"{publishers} · {moment.zone.clock(row['effective'])} ({texts.ago(row['effective'], moment.now)}) · "
            f"{row['negative']:.0%} negative" + "".join(f" · {texts.literal(one)}" for one in about[:4])
        )


def _asked(over: reads.Period) -> str:
    """The choice that a range of this length is, for a link to another page."""
    days = round((over.until - over.since) / timedelta(days=1))
    return str(reads.Choice.DAY if days <= 1 else reads.Choice.WEEK if days <= 7 else reads.Choice.MONTH)
