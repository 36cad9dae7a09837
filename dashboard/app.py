"""The dashboard's entry: `squall dashboard` starts it, or `streamlit run dashboard/app.py -- --store PATH`.

takes  the path of the store on the command line; for a demo, the moment to take for now
gives  three pages: overview, alerts, feeds
never  writes
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import streamlit as st

from dashboard import alert_page, feed_health, frame, overview

# A file of our own: a Material icon would be fetched from a font server for the browser's tab.
_ICON = Path(__file__).with_name("squall.svg")


def told(arguments: Sequence[str]) -> tuple[Path | None, datetime | None]:
    """The store named on the command line, and the moment to take for now; None for what is not named."""
    parser = argparse.ArgumentParser(add_help=False, exit_on_error=False)
    parser.add_argument("--store", type=Path)
    parser.add_argument("--as-of", type=datetime.fromisoformat)
    try:
        known, _ = parser.parse_known_args(list(arguments))
    except argparse.ArgumentError:
        return None, None
    return known.store, known.as_of


def main() -> None:
    """Draw the page that the address names."""
    st.set_page_config(page_title="Squall", page_icon=str(_ICON), layout="wide")
    store, as_of = told(sys.argv[1:])
    if store is None:
        st.error("The dashboard was not told which store to read.", icon=":material/error:")
        st.markdown("Start it with `squall dashboard`, or with `streamlit run dashboard/app.py -- --store PATH`.")
        return

    def alerts() -> None:
        frame.show(store, alert_page.draw, as_of)

    def feeds() -> None:
        frame.show(store, feed_health.draw, as_of)

    alerts_page = st.Page(alerts, title="Alerts", icon=":material/notifications:", url_path="alerts")

    def home() -> None:
        frame.show(store, lambda moment: overview.draw(moment, alerts_page), as_of)

    pages = [
        st.Page(home, title="Overview", icon=":material/storm:", default=True),
        alerts_page,
        st.Page(feeds, title="Feeds", icon=":material/rss_feed:", url_path="feeds"),
    ]
    st.navigation(pages, position="top").run()


if __name__ == "__main__":
    main()
