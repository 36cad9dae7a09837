"""The dashboard's entry: `squall dashboard` starts it, or `streamlit run dashboard/app.py -- --store PATH`.

takes  the path of the store on the command line; for a demo, the moment to take for now
gives  the pages of `PLACES`, each a module with `draw(moment)`
never  writes
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import streamlit as st

from dashboard import frame, roles

# A file of our own: a Material icon would be fetched from a font server for the browser's tab.
_ICON = Path(__file__).with_name("squall.svg")


@dataclass(frozen=True, slots=True)
class Place:
    """One page: its title, a Material icon, the last part of its address, and the module of this room that draws it."""

    title: str
    icon: str
    path: str
    module: str


PLACES = (
    Place("Overview", "storm", "", "overview"),
    Place("Series", "show_chart", "series", "series_page"),
    Place("Alerts", "notifications", "alerts", "alert_page"),
    Place("Stories", "article", "stories", "stories_page"),
    Place("Feeds", "rss_feed", "feeds", "feed_health"),
    Place("Deliveries", "outgoing_mail", "deliveries", "delivery_page"),
    Place("Model", "psychology", "model", "model_page"),
    Place("Settings", "tune", "settings", "settings_page"),
)


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
    if roles.here().role is roles.Role.OUTSIDE:
        roles.sign_in()
        return
    pages: dict[str, st.Page] = {}

    def shown(place: Place) -> Callable[[], None]:
        def page() -> None:
            frame.show(
                store, lambda moment: importlib.import_module(f"dashboard.{place.module}").draw(moment), as_of, pages
            )

        return page

    for place in PLACES:
        if importlib.util.find_spec(f"dashboard.{place.module}") is not None:
            icon = f":material/{place.icon}:"
            pages[place.path] = st.Page(
                shown(place), title=place.title, icon=icon, url_path=place.path or None, default=not place.path
            )
    st.navigation(list(pages.values()), position="top").run()


if __name__ == "__main__":
    main()
