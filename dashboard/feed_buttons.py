"""What a person may do with feeds: watch another, mute one, hear it again, have it checked now.

takes  a `Moment`, and a feed
gives  a form and buttons, for who may act
never  fetches: the daemon does, with its own limits
"""

from __future__ import annotations

from typing import Any

import streamlit as st

from dashboard import acting, frame, texts
from monitor.feeds.feed import Feed

_OFFERS = "feeds_offers"
_LONGEST = 2000


def adding(moment: frame.Moment) -> None:
    """The form for another feed; a page that offers several asks which."""
    with (
        st.popover("Add a feed", icon=":material/add:"),
        st.form("feeds_add", clear_on_submit=False, border=False),
    ):
        st.text_input(
            "Address", key="feeds_add_url", max_chars=_LONGEST, placeholder="https://… of a feed, or of a page with one"
        )
        st.text_input("Name", key="feeds_add_name", max_chars=200, placeholder="its own title when left empty")
        body = {"url": acting.field("feeds_add_url"), "called": acting.field("feeds_add_name")}
        acting.submit(moment, "Look and add", acting.Request("add_feed", body, _added))
    offers = st.session_state.get(_OFFERS)
    if not offers:
        return
    st.markdown("The page offers several feeds. Which one?")
    for number, offer in enumerate(offers):
        label = texts.literal(offer["title"] or offer["url"])
        acting.button(moment, label, acting.Request("add_feed", {"url": offer["url"]}, _added), f"feeds_offer_{number}")
    st.button("None of them", on_click=lambda: st.session_state.pop(_OFFERS, None), key="feeds_offer_none")


def _added(told: dict[str, Any]) -> str:
    if told["feed"] is None:
        st.session_state[_OFFERS] = told["offers"]
        return "Nothing was added yet: the page offers several feeds."
    st.session_state.pop(_OFFERS, None)
    return f"{told['feed']['name']} is watched from the next round of checks on."


def one(moment: frame.Moment, feed: Feed) -> None:
    """The buttons of one feed."""
    # Keys of their own: the second click of two would undo the first, or meet the feed that is shown next.
    with st.container(horizontal=True, gap="small"):
        if feed.enabled:
            request = acting.Request(
                "check_feed", {"feed": feed.id}, lambda told: f"It is checked within {told['within_seconds']} s."
            )
            acting.button(moment, "Check now", request, f"feed_check_{feed.id}", icon=":material/sync:")
            request = acting.Request("mute_feed", {"feed": feed.id, "muted": True}, f"{feed.name} is muted.")
            acting.button(moment, "Mute", request, f"feed_mute_{feed.id}", icon=":material/notifications_off:")
        else:
            request = acting.Request("mute_feed", {"feed": feed.id, "muted": False}, f"{feed.name} is heard again.")
            acting.button(
                moment, "Hear it again", request, f"feed_hear_{feed.id}", icon=":material/notifications_active:"
            )
        with st.popover("Remove", icon=":material/delete:", key=f"feed_removal_{feed.id}"):
            st.markdown(f"**{texts.literal(feed.name)}** is no longer watched; what it brought stays.")
            request = acting.Request("remove_feed", {"feed": feed.id}, f"{feed.name} is no longer watched.")
            acting.button(moment, "Remove it", request, f"feed_remove_{feed.id}", type="primary")
