"""Deep links: what the page's address asks for, and the choices of a visitor written back into it.

takes  query parameters of the address, and the keys of widgets
gives  widgets that begin with what the address says, and an address that can be sent to a colleague
never  trusts a parameter: what is not among the choices is passed over
"""

from __future__ import annotations

from collections.abc import Callable, Hashable

import streamlit as st


def heed(parameter: str, key: str, understood: Callable[[str], Hashable | None]) -> None:
    """Before a widget is drawn: let it begin with what the address says, once for each new address.

    Args:
        parameter: of the address.
        key: of the widget.
        understood: the widget's value that a text stands for; None when it stands for none.
    """
    told, heard = st.query_params.get(parameter), f"{key}_heard"
    if told is None or st.session_state.get(heard) == told:
        return
    st.session_state[heard] = told
    if (value := understood(told)) is not None:
        st.session_state[key] = value


def tell(parameter: str, value: str, key: str = "") -> None:
    """Write a choice into the address; an empty one is taken out of it.

    Args:
        key: of the widget whose choice it is, so that `heed` does not take it for news.
    """
    if key:
        st.session_state[f"{key}_heard"] = value
    if value and st.query_params.get(parameter) != value:
        st.query_params[parameter] = value
    elif not value and parameter in st.query_params:
        del st.query_params[parameter]
