"""The text that the model reads, made from the text that was published.

takes  any `str`: empty, 100 kB, control characters, any language
gives  one line without links, markup entities or control characters
never  raises on content
"""

from __future__ import annotations

import html
import re
import unicodedata

# Headlines rarely pass 60 tokens; past this many characters a tokeniser only burns time before it truncates.
LONGEST = 2_000

# A company's name is a few words; past this it is no name, and would only crowd out the headline.
LONGEST_NAME = 100

_LINK = re.compile(r"https?://\S+|www\.\S+")
_SPACE = re.compile(r"\s+")


def readable(text: str) -> str:
    """One clean line: entities decoded, links and control characters dropped, whitespace collapsed.

    Emoji and letters of every script stay. The result may be empty, and then the scorer abstains.
    """
    line = html.unescape(text[:LONGEST])
    line = _LINK.sub(" ", line)
    # Nearly every headline is printable, and asking that is a hundred times as fast as looking at each character.
    if not line.isprintable():
        line = "".join(" " if unicodedata.category(c) in {"Cc", "Cf", "Cs", "Zl", "Zp"} else c for c in line)
    return _SPACE.sub(" ", line).strip()


def company_name(name: str) -> str:
    """A company's name as the model is asked about it."""
    return readable(name)[:LONGEST_NAME].strip()
