"""Which series, and which time: the choices that several pages offer, and that their addresses carry.

takes  a `Moment`, keys of widgets
gives  the series and the period that the visitor wants
never  forgets a choice at a refresh or on the way to another page
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import streamlit as st

from dashboard import frame, links, reads, texts

CUSTOM = "Custom"
# As far as `reads.told_time` goes, in every zone.
_EARLIEST, _LATEST = datetime(1969, 12, 31), datetime(2200, 1, 2)  # noqa: DTZ001 - times of a clock


@dataclass(frozen=True, slots=True)
class _Kept:
    """What a box for a time shows, on the clock of which zone, and the instant that it means."""

    zone: str
    wall: datetime
    at: datetime


def series(moment: frame.Moment, key: str, label: str = "Series") -> str:
    """A box to choose one series; `?series=` names it."""
    links.heed("series", key, lambda told: told if told == "market" or ":" in told else None)
    held = str(st.session_state.get(key) or "market")
    everything = reads.period(reads.Choice.MONTH, moment.status, moment.now, live=moment.live)
    options = reads.choices(reads.series(moment.reader, everything), held)
    name = st.selectbox(label, options, format_func=option, key=key, persist_state="session") or "market"
    links.tell("series", "" if name == "market" else name, key)
    return name


def option(name: str) -> str:
    """A series in a list of all kinds: its kind first."""
    return texts.series_name(name) if name == "market" else f"{texts.series_kind(name)}: {texts.series_name(name)}"


def period(
    moment: frame.Moment, key: str, default: reads.Choice, *, among: Sequence[reads.Choice] = (), custom: bool = False
) -> reads.Period:
    """Ranges to choose from; `?range=` names one.

    Args:
        default: without a choice.
        among: what there is to choose from; all when empty.
        custom: whether any other range may be set by two times too; `?from=` and `?to=` name it.
    """
    words = [*(among or reads.Choice), *([CUSTOM] if custom else [])]
    links.heed("range", key, lambda told: told if told in words else None)
    if custom:
        _heed_span(moment, key)
    if st.session_state.get(key) not in words:
        st.session_state[key] = default
    chosen = st.segmented_control("Range", words, required=True, key=key, persist_state="session", wrap=True)
    chosen = chosen or default
    if chosen == CUSTOM:
        return _custom(moment, key)
    links.tell("range", "" if chosen == default else chosen, key)
    if custom:
        for parameter in ("from", "to"):
            links.tell(parameter, "")
        st.session_state.pop(f"{key}_span", None)
    return reads.period(reads.Choice(chosen), moment.status, moment.now, live=moment.live, zone=moment.zone)


def _custom(moment: frame.Moment, key: str) -> reads.Period:
    shown = reads.period(reads.Choice.WEEK, moment.status, moment.now, live=moment.live, zone=moment.zone)
    with st.container(horizontal=True, gap="small"):
        since = _instant(moment, f"{key}_since", "From", shown.since)
        until = _instant(moment, f"{key}_until", "To", shown.until)
    begun, ended = whole_hours(since, until)
    if begun >= ended:
        st.warning("The range ends before it begins: the last seven days are shown.", icon=":material/schedule:")
        return shown
    links.tell("range", "", key)
    links.tell("from", _iso(begun))
    links.tell("to", _iso(ended))
    st.session_state[f"{key}_span"] = (_iso(begun), _iso(ended))
    return reads.between(begun, ended, moment.zone)


def _instant(moment: frame.Moment, key: str, label: str, default: datetime) -> datetime:
    """A box for a time on the clock of the zone, and the instant that it means, UTC.

    The instant is kept beside what the box shows: in another zone it is another time of the clock, and in the hour that
    comes twice a year the clock alone does not tell it.
    """
    zone, kept = moment.zone, st.session_state.get(f"{key}_at")
    if kept is None or kept.zone != zone.name or key not in st.session_state:
        at = kept.at if kept is not None else default
        kept = _put(moment, key, at)
    wall = st.datetime_input(
        f"{label} ({zone.name})",
        key=key,
        min_value=_EARLIEST,
        max_value=_LATEST,
        step=3600,
        width=220,
        required=True,
        persist_state="session",
    )
    if wall != kept.wall:
        kept = st.session_state[f"{key}_at"] = _Kept(zone.name, wall, zone.instant(wall))
    return kept.at


def _put(moment: frame.Moment, key: str, at: datetime) -> _Kept:
    """Let a box show an instant; before the box is drawn."""
    kept = _Kept(moment.zone.name, moment.zone.there(at).replace(tzinfo=None, fold=0), at)
    st.session_state[key], st.session_state[f"{key}_at"] = kept.wall, kept
    return kept


def whole_hours(begun: datetime, ended: datetime) -> tuple[datetime, datetime]:
    """The whole hours, UTC, that two instants lie in: what is counted is counted by the hour."""
    floor = begun.replace(minute=0, second=0, microsecond=0)
    rest = ended - ended.replace(minute=0, second=0, microsecond=0)
    return floor, ended - rest + (timedelta(hours=1) if rest else timedelta(0))


def set_span(moment: frame.Moment, key: str, begun: datetime, ended: datetime) -> None:
    """Choose the range between two instants, as if it had been typed; in a callback."""
    st.session_state[key] = CUSTOM
    _put(moment, f"{key}_since", begun)
    _put(moment, f"{key}_until", ended)


def _heed_span(moment: frame.Moment, key: str) -> None:
    begun, ended = _told("from"), _told("to")
    if begun is not None and _news(key, begun, ended):
        set_span(moment, key, *whole_hours(begun, ended if ended is not None and ended > begun else moment.now))


def _told(parameter: str) -> datetime | None:
    return reads.told_time(st.query_params.get(parameter, ""))


def _news(key: str, begun: datetime, ended: datetime | None) -> bool:
    """Whether the address names another range than the one that was written into it last."""
    span = (_iso(begun), _iso(ended) if ended else "")
    known = st.session_state.get(f"{key}_span")
    if known == span:
        return False
    st.session_state[f"{key}_span"] = span
    return True


def _iso(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M}"
