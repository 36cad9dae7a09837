"""Which site a host belongs to.

takes  a host
gives  the name that somebody registered below a public suffix: `bbc.co.uk` of `feeds.bbc.co.uk`
never  fetches anything

The list of public suffixes is the one that lies in `tldextract`. Only the list is read: the library itself loads an
HTTP client that is never used here, and keeps a tree of the list that takes six times the memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path

_LIST = ".tld_set_snapshot"
# What follows are names under which a provider hands out names of its own: its machines answer for all of them.
_PRIVATE = "// ===BEGIN PRIVATE DOMAINS==="
_DOTS = str.maketrans("。．｡", "...")


def registrable(host: str) -> str:
    """The public suffix of a host and one label more; empty where there is none, as of an IP address.

    As https://publicsuffix.org/list/ has it, except that an unknown top-level domain is no suffix.
    """
    labels = host.translate(_DOTS).lower().rstrip(".").split(".")
    shown = [_decoded(label) for label in labels]
    rules = suffixes()
    for first in range(len(labels)):
        name, above = ".".join(shown[first:]), ".".join(shown[first + 1 :])
        if f"!{name}" in rules:
            return ".".join(labels[first:])
        if name in rules or f"*.{above}" in rules:
            return ".".join(labels[first - 1 :]) if first and labels[first - 1] else ""
    return ""


@cache
def suffixes() -> frozenset[str]:
    """The rules of the list, `*.ck` and `!www.ck` among them."""
    found = find_spec("tldextract")
    file = Path(found.origin).with_name(_LIST) if found is not None and found.origin else None
    if file is not None and file.is_file():
        return frozenset(_rules(file.read_text("utf-8")))
    # A release of the library that keeps its list elsewhere.
    from tldextract import TLDExtract

    return frozenset(TLDExtract(suffix_list_urls=(), cache_dir=None).tlds)


def _rules(text: str) -> Iterator[str]:
    for line in text.partition(_PRIVATE)[0].splitlines():
        if line and not line.startswith(("//", " ")):
            yield line.split()[0]


def _decoded(label: str) -> str:
    if not label.startswith("xn--"):
        return label
    try:
        return label[4:].encode("ascii").decode("punycode")
    except UnicodeError:
        return label
