"""What Streamlit's themes cannot say: what is seen in which window, and what must stay legible.

takes  nothing
gives  a style sheet for a page
never  holds a word that came from outside
"""

from __future__ import annotations

import streamlit as st

# Beginnings of the keys of containers, see `dashboard.narrow`: of tables of few columns, and of many.
WIDE, NARROW = "wide_", "narrow_"
BROAD, SLIM = "broad_", "slim_"
# What stands beside each other in it does so only where tables of many columns are shown.
APART = "apart_"
# Streamlit puts columns under each other at the first of these widths, too. Ten columns need the second at least.
_WIDTH, _TEN_COLUMNS = 640, 1000
# Around a container lies another, which keeps its place in a column of elements.
_HIDDEN = " ".join(
    f"@media ({bound}) {{ [class*='st-key-{key}'], [data-testid='stLayoutWrapper']:has(> [class*='st-key-{key}']) "
    "{ display: none } }"
    for width, wide, narrow in ((_WIDTH, WIDE, NARROW), (_TEN_COLUMNS, BROAD, SLIM))
    for bound, key in ((f"max-width: {width}px", wide), (f"min-width: {width + 0.02}px", narrow))
)
_RULES = (
    _HIDDEN,
    # A link to a page keeps to one line, and would be cut off.
    f":is([class*='st-key-{NARROW}'], [class*='st-key-{SLIM}']) [data-testid='stPageLink'] * "
    "{ white-space: normal; height: auto }",
    f"@media (max-width: {_TEN_COLUMNS}px) {{ [class*='st-key-{APART}'] [data-testid='stColumn'] "
    "{ min-width: calc(100% - 1.5rem) } }",
    # Streamlit leaves 5rem at either side, which tables of ten columns lack on a desk of 1280 pixels.
    "[data-testid='stMainBlockContainer'] { padding-left: max(1rem, 2.5vw); padding-right: max(1rem, 2.5vw) }",
    # Words of charts are grey in both themes: 3.7 to 1 on white.
    "[data-testid='stVegaLiteChart'] svg text { fill: currentColor; fill-opacity: 0.75 }",
    # A chosen segment bears the colour of buttons, which is too dark for words on a dark page.
    "button[data-variant='segmented_control'][data-selected='true'] { color: inherit !important }",
    # Where the keyboard is, links say by a hue of the ground that hardly anybody sees, and buttons by a pale ring.
    "a:focus-visible, button:focus-visible, summary:focus-visible "
    "{ outline: 2px solid currentColor !important; outline-offset: 1px }",
)


def put() -> None:
    """Give the sheet to the browser; once a page."""
    st.html(f"<style>{' '.join(_RULES)}</style>")
