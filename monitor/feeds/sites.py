"""Which site a host belongs to.

takes  a host
gives  the name that somebody registered below a public suffix: `bbc.co.uk` of `feeds.bbc.co.uk`
never  fetches anything: the list of public suffixes is the one that lies in the library
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tldextract import TLDExtract


def registrable(host: str) -> str:
    """The public suffix of a host and one label more; empty where there is none, as of an IP address."""
    return _suffixes()(host).top_domain_under_public_suffix.lower()


@cache
def _suffixes() -> TLDExtract:
    # Loaded here since it brings an HTTP client along, which takes 9 MiB and is never used.
    from tldextract import TLDExtract

    return TLDExtract(suffix_list_urls=(), cache_dir=None)
