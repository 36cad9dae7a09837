"""Which rows of an archive are headlines of their own, though they bear the guid or the link of another one.

takes  rows in order of time: the id by guid or link, the id with the title, the title, whether it has a link
gives  the id of each
never  takes a page's address, put on everything that an outlet publishes, for one headline

Titles that are alike under one name are one headline, edited: so the daemon tells the entries of one answer of a feed.
Without a link, nothing says that two titles are one headline.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from monitor.news.names import alike

# Of a name that so many titles without likeness bear, every title is a headline of its own.
_MOST = 3


def told_apart(rows: Iterable[tuple[int, int, str, bool]], before: Mapping[int, str]) -> list[int]:
    """The first that bears a name is known by it, and so is what is like it; any other by name and title.

    Args:
        rows: (id by the name, id by the name and the title, title, whether it has a link).
        before: titles that are stored already, by id.
    """
    bearers: dict[int, list[tuple[str, int]]] = defaultdict(list)
    for known, title in before.items():
        bearers[known].append((title, known))
    found = []
    for name, exact, title, linked in rows:
        crowd = len(bearers[name]) >= _MOST
        edits = linked and not crowd
        same = next((own for other, own in bearers[name] if other == title or (edits and alike(other, title))), None)
        own = same if same is not None else exact if bearers[name] else name
        if same is None and not crowd:
            bearers[name].append((title, own))
        found.append(own)
    return found
