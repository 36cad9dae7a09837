"""What Streamlit's themes cannot say: what is seen in which window, and what must stay legible.

takes  nothing
gives  a style sheet for a page
never  holds a word that came from outside
"""

from __future__ import annotations

import streamlit as st

# Beginnings of the keys of containers, see `dashboard.narrow`.
WIDE, NARROW = "wide_", "narrow_"
# Streamlit puts columns under each other at this width, too.
_WIDTH = 640
# Around a container lies another, which keeps its place in a column of elements.
_HIDDEN = " ".join(
    f"@media ({bound}) {{ [class*='st-key-{key}'], [data-testid='stLayoutWrapper']:has(> [class*='st-key-{key}']) "
    "{ display: none } }"
    for bound, key in ((f"max-width: {_WIDTH}px", WIDE), (f"min-width: {_WIDTH + 0.02}px", NARROW))
)
_RULES = (
    _HIDDEN,
    # A link to a page keeps to one line, and would be cut off.
    f"[class*='st-key-{NARROW}'] [data-testid='stPageLink'] * {{ white-space: normal; height: auto }}",
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
