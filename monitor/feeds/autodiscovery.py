"""Finding the feed behind an address that a user gives.

takes  an address: of a feed, or of a page that offers feeds
gives  `Discovery`: the feed's own address and title, or the feeds to choose from, or why there is none
never  adds anything
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from monitor.feeds.feed import Check, Feed, unseen
from monitor.feeds.pages import Offer
from monitor.feeds.poll_settings import PollSettings
from monitor.feeds.polling import Poller


@dataclass(frozen=True, slots=True)
class Discovery:
    """What was found at an address.

    Attributes:
        check: of the address that was tried last.
        url: of the feed; "" when none was found.
        title: what the feed calls itself.
        offers: feeds that a page offers, when there are several to choose from.
    """

    check: Check
    url: str = ""
    title: str = ""
    offers: tuple[Offer, ...] = ()


async def discover(url: str, settings: PollSettings, now: datetime, take: int | None = None) -> Discovery:
    """Look at an address, and at the feed that the page there offers.

    Args:
        now: aware UTC.
        take: which of several offers to take, from 1; None takes the only one.

    Raises:
        pydantic.ValidationError: when it is no web address.
    """
    async with Poller(settings) as poller:
        found = await _look(poller, url, now)
        if found.url or not found.offers:
            return found
        if take is None and len(found.offers) > 1:
            return found
        number = take or 1
        if not 1 <= number <= len(found.offers):
            return found
        offer = found.offers[number - 1]
        followed = await _look(poller, offer.url, now)
        # A page of a page is nobody's feed: its offers are not followed any further.
        return Discovery(followed.check, followed.url, followed.title or offer.title)


async def _look(poller: Poller, url: str, now: datetime) -> Discovery:
    feed = Feed(id="candidate", url=url, name="the address", publisher="candidate")
    check, parsed, at = await poller.probe(feed, unseen(feed, now), now)
    if check.outcome.ok and parsed is not None:
        # A redirect that is only for now leads elsewhere tomorrow; one for good is adopted by the poller.
        return Discovery(check, url, parsed.title)
    offers = parsed.page.offers if parsed is not None and parsed.page is not None else ()
    return Discovery(check, offers=tuple(one for one in offers if one.url != at))
