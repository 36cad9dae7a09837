"""What every page has around it: the head line, the refresh, and words instead of tracebacks.

takes  a store's path and a function that draws a page from a reader
gives  the page, drawn again by itself while it is looked at
never  ends in a traceback: what fails is said, with the way out, and logged
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import streamlit as st

from dashboard import links, reads, roles, styles, texts
from dashboard.zones import UTC_ZONE, Zone, zone_named
from monitor.errors import MonitorError, ServiceSilent, StoreDamaged, StoreLocked, StoreTooNew
from monitor.service.stages import stages_of
from monitor.storage.reading import Reader

FIGURE, WIDE_FIGURE = 160, 260
REFRESH = timedelta(seconds=15)
# A monitor that has not answered by then has not at the next drawing either.
_PATIENCE_SECONDS = REFRESH.total_seconds()
STALE = timedelta(hours=1)
_ZONE, _ZONE_SWITCH = "zone", "zone_switch"
_LOCAL = "Local"
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Moment:
    """What a page is drawn from.

    Attributes:
        reader: who answers.
        status: what the store holds.
        notes: what the daemon noted about itself.
        live: whether the daemon answers; False when the file is read.
        now: aware UTC.
        store: the store's path, for `monitor.desk`.
        zone: in which times are shown.
        pages: the pages of this app by the last part of their address; "" is the overview.
        visitor: who looks, and whether they may act.
    """

    reader: reads.Reader
    status: reads.Status
    notes: Mapping[str, str]
    live: bool
    now: datetime
    store: Path = Path()
    zone: Zone = UTC_ZONE
    pages: Mapping[str, st.Page] = field(default_factory=dict)
    visitor: roles.Visitor = roles.AT_THIS_MACHINE

    def link(self, page: str, label: str, icon: str = "", *, fill: bool = False, **asked: str) -> None:
        """Draw a link to another page of this app, with what its address asks for (`alert="alert_…"`).

        Args:
            page: last part of its address; "" is the overview. A page that this app does not have is left out.
            label: our own words, or `texts.literal` of others'.
            icon: a Material icon's name.
            fill: as wide as its container.
            asked: what the page is to begin with; "" takes back what was chosen there before.
        """
        if page in self.pages:
            st.page_link(
                self.pages[page],
                label=label,
                icon=f":material/{icon}:" if icon else None,
                query_params=asked,
                width="stretch" if fill else "content",
            )


def show(
    store: Path,
    draw: Callable[[Moment], None],
    as_of: datetime | None = None,
    pages: Mapping[str, st.Page] | None = None,
) -> None:
    """Draw a page, and again every few seconds: only the page's own part runs again, so selections stay.

    Args:
        as_of: the moment to take for now, aware UTC; the machine's clock when None.
        pages: those of the app, to lead to.
    """
    styles.put()
    # Only the first drawing says that it is under way: at a refresh the page that is there stays readable.
    drawn: list[datetime] = []

    @st.fragment(run_every=REFRESH)
    def page() -> None:
        now = as_of or datetime.now(UTC)
        if not store.exists():
            _first_run(store)
            return
        try:
            with nullcontext() if drawn else st.spinner("Reading the store"):
                reader = _reader(store)
                known = reads.status(reader)
                zone = _zone()
                who = roles.here()
                moment = Moment(reader, known, reads.notes(reader), reader.live, now, store, zone, pages or {}, who)
                _head(moment)
                draw(moment)
            drawn[:] = [now]
        except MonitorError as error:
            _trouble(error)
        except Exception as error:
            _LOG.exception("a page could not be drawn")
            st.error(
                f"This page could not be drawn ({type(error).__name__}). The terminal of `squall dashboard` shows the "
                "details; the other pages still work, and the monitor itself is not affected.",
                icon=":material/error:",
            )

    page()


@st.cache_resource(show_spinner=False)
def _reader(store: Path) -> reads.Reader:
    """One reader for all visitors: it is made for many threads, and finds a restarted daemon by itself."""
    # Without a first question: what it learns of a monitor that does not answer must outlast this drawing.
    return Reader(store, _PATIENCE_SECONDS)


def figures() -> AbstractContextManager[object]:
    """A row for metrics of the widths above: four beside each other on a desk, two on a telephone."""
    return st.container(horizontal=True, gap="small")


def empty(title: str, words: str, icon: str) -> None:
    """An empty state: what is missing, and what to do. Both are our own words, in Markdown."""
    with st.container(border=True):
        st.markdown(f"#### :material/{icon}: {title}")
        st.markdown(words)


def first_news(moment: Moment) -> str:
    """Where nothing is there yet: what brings it. Nobody is told to start what runs."""
    begun = "The monitor runs" if moment.live else "Start the monitor with `squall run`"
    return f"{begun}: the first headlines come within a minute or two, and this page fills by itself."


def _first_run(store: Path) -> None:
    empty(
        "Nothing here yet",
        "Squall has not run with this store. Start the monitor in a terminal; this page fills by itself:\n\n"
        "```\nsquall run\n```\n"
        "The first headlines come within a minute. Alerts need some days of history first: until then every series "
        "says that it is learning.",
        "rocket_launch",
    )
    st.text(f"Looked for: {store}")


def _trouble(error: MonitorError) -> None:
    """The error's own words, and what else may help."""
    if isinstance(error, ServiceSilent):
        _silent(error)
        return
    ways_out: dict[type[MonitorError], str] = {
        StoreLocked: "Another process holds the store but answers no questions. It may be starting or stopping: this "
        "page tries again by itself. If it stays, look for a second `squall` process.",
        StoreTooNew: "Update Squall for the dashboard too, then start `squall dashboard` again.",
        StoreDamaged: "Point `squall dashboard` at the right file, or restore the store from a backup.",
    }
    # Whoever holds the store may be known by the answer that it refused.
    known = StoreLocked if isinstance(error.__cause__, StoreLocked) else type(error)
    words = ways_out.get(known, "This page tries again by itself; `squall run` starts the monitor.")
    st.error("The store cannot be read at the moment.", icon=":material/error:")
    st.text(str(error))
    st.markdown(words)


def _silent(error: ServiceSilent) -> None:
    st.error(
        f"**The monitor has not answered since {_zone().full(error.since)}.**", icon=":material/hourglass_disabled:"
    )
    st.markdown(
        "Its process holds the store, so nothing can be shown meanwhile, and it may be that no feed is checked and no "
        "alert is sent. This page asks again by itself. If it stays so, look at the log of `squall run`, end that "
        "process, and start it again."
    )


def _zone() -> Zone:
    """The zone that the visitor chose, on whichever page: UTC until then."""
    if told := st.query_params.get("tz", ""):
        st.session_state[_ZONE] = told
    local = zone_named(st.context.timezone)
    return local if st.session_state.get(_ZONE) == "local" and local is not None else UTC_ZONE


def _zone_switch(zone: Zone) -> None:
    local = zone_named(st.context.timezone)
    if local is None:
        return

    def changed() -> None:
        st.session_state[_ZONE] = "local" if st.session_state[_ZONE_SWITCH] == _LOCAL else "utc"
        links.tell("tz", "local" if st.session_state[_ZONE] == "local" else "")

    # The way to another page leaves the address bare.
    links.tell("tz", "" if zone.utc else "local")
    st.session_state[_ZONE_SWITCH] = "UTC" if zone.utc else _LOCAL
    st.segmented_control(
        "Time zone",
        ["UTC", _LOCAL],
        required=True,
        key=_ZONE_SWITCH,
        on_change=changed,
        label_visibility="collapsed",
        help=f"Local is what your browser says: {local.name}.",
    )


def _head(moment: Moment) -> None:
    """One line on top of every page: who answers, and how fresh the data are. Beneath it, what needs a hand."""
    known, now, zone = moment.status, moment.now, moment.zone
    badge = (
        ":green-badge[:material/sensors: Monitor running]"
        if moment.live
        else ":orange-badge[:material/sensors_off: Monitor not running]"
    )
    age = f"Data as of **{zone.full(known.as_of)}** ({texts.ago(known.as_of, now)})" if known.as_of else "No data yet"
    counted = f"{texts.count(known.headlines, 'headline')}, {texts.count(known.feeds, 'feed')}"
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", gap="small"):
        st.markdown(f"{badge} {age} · {counted} · all times in {zone.words(now)}", width="content")
        _zone_switch(zone)
    if not moment.live:
        st.warning(
            "The monitor is not running: no feed is checked and no alert is sent. Start it with `squall run`.",
            icon=":material/sensors_off:",
        )
    elif known.as_of is not None and now - known.as_of > STALE:
        st.warning(
            f"No feed has answered for {texts.span(now - known.as_of)}. The page **Feeds** says why.",
            icon=":material/cloud_off:",
        )
    for stage in stages_of(moment.notes):
        if stage.reason and moment.live:
            st.warning(
                f"{texts.sentence_case(stage.name)} fails: {texts.literal(stage.reason)}", icon=":material/build:"
            )
    if known.unscored > 0:
        waiting = texts.count(known.unscored, "headline waits", "headlines wait")
        st.info(
            f"{waiting} to be scored by the model; until then they are not in charts and alerts.",
            icon=":material/hourglass_top:",
        )
