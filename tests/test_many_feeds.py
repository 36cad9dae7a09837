"""Many feeds at once: what has ended is taken in portions, what nobody takes holds off more, connections are kept."""

from __future__ import annotations

import asyncio
import random
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from monitor.feeds.ended import Ended
from monitor.feeds.feed import Check, Feed, Outcome, unseen
from monitor.feeds.gates import Gate
from monitor.feeds.poll_settings import PollSettings
from monitor.feeds.polling import Poller

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
SETTINGS = PollSettings(allow_private_addresses=("127.0.0.1",), per_host=4, host_spacing_seconds=0, max_entries=10_000)


@given(st.lists(st.integers(1, 50)), st.integers(1, 60))
def test_everything_is_taken_once_in_order_and_in_bounded_portions(weights: list[int], most: int) -> None:
    ended = Ended()
    for number, weight in enumerate(weights):
        ended.add(str(number), weight)
    portions = []
    while names := ended.take(most):
        portions.append(sorted(int(name) for name in names))
    assert [number for portion in portions for number in portion] == list(range(len(weights)))
    for portion in portions:
        assert len(portion) == 1 or sum(weights[number] for number in portion) <= most
    for portion, following in pairwise(portions):
        assert sum(weights[number] for number in portion) + weights[following[0]] > most


def test_who_waits_for_enough_is_woken_by_weight_or_by_number_or_by_the_clock() -> None:
    async def go() -> list[bool]:
        ended, clock = Ended(), asyncio.get_running_loop().time
        heavy = asyncio.create_task(ended.gather(10, clock() + 60))
        await asyncio.sleep(0)
        ended.add("a", 4)
        await asyncio.sleep(0)
        early = heavy.done()
        ended.add("b", 6)
        await heavy
        await ended.gather(100, clock() + 60, names=2)
        await ended.gather(100, clock())
        return [early, heavy.done()]

    assert asyncio.run(go()) == [False, True]


def test_while_nobody_takes_no_more_than_the_places_wait_for_room() -> None:
    async def go() -> tuple[int, int]:
        ended, gate = Ended(), Gate(at_once=3, per_site=3, spacing_seconds=0)
        ended.add("long ago", 10)
        asked: list[int] = []
        waiting = 0

        async def room() -> None:
            nonlocal waiting
            waiting += 1
            await ended.room(10)

        async def ask(number: int) -> None:
            async with gate.turn(f"https://site{number}.example/", room):
                asked.append(number)

        tasks = [asyncio.create_task(ask(number)) for number in range(20)]
        for _ in range(50):
            await asyncio.sleep(0)
        held = (waiting, len(asked))
        ended.take(10)
        await asyncio.gather(*tasks)
        assert len(asked) == 20
        return held

    assert asyncio.run(go()) == (3, 0)


class Site:
    """Feeds of as many entries as their paths say; knows who asks again. Counts connections."""

    def __init__(self) -> None:
        self.connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                number, entries = (int(part) for part in head.split(b" ", 2)[1].strip(b"/").split(b"/"))
                items = "".join(
                    f"<item><title>T{number} {n}</title><guid>{number}-{n}</guid></item>" for n in range(entries)
                )
                body = f"<rss version='2.0'><channel>{items}</channel></rss>".encode()
                known = b"if-none-match" in head.lower()
                status, said = ("304 Not Modified", b"") if known else ("200 OK", body)
                writer.write(f'HTTP/1.1 {status}\r\nContent-Length: {len(said)}\r\nETag: "1"\r\n\r\n'.encode() + said)
        except asyncio.IncompleteReadError:
            writer.close()


async def rounds(sizes: list[int], hours: tuple[int, ...]) -> tuple[list[list[list[Check]]], Site]:
    """By round, the batches of checks of feeds with so many entries."""
    site = Site()
    server = await asyncio.start_server(site.serve, "127.0.0.1", 0)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(server)
        poller = await stack.enter_async_context(Poller(SETTINGS, random.Random(1)))
        port = server.sockets[0].getsockname()[1]
        feeds = [
            Feed(id=f"f{n}", url=f"http://127.0.0.1:{port}/{n}/{size}", name=f"f{n}", publisher="house")
            for n, size in enumerate(sizes)
        ]
        states = {feed.id: unseen(feed, NOW) for feed in feeds}
        told = []
        for hour in hours:
            poller.begin([(feed, states[feed.id]) for feed in feeds], NOW + timedelta(hours=hour))
            batches = [batch async for batch in poller.finished(60)]
            states |= {check.feed: replace(check.state) for batch in batches for check in batch}
            told.append(batches)
        return told, site


def test_batches_are_bounded_and_a_large_feed_comes_alone() -> None:
    ((batches,), _) = asyncio.run(rounds([600] * 9 + [5_000], (0,)))
    assert sorted(check.feed for batch in batches for check in batch) == sorted(f"f{n}" for n in range(10))
    for batch in batches:
        assert len(batch) == 1 or sum(len(check.entries) for check in batch) <= 2_000
    assert max(len(check.entries) for batch in batches for check in batch) == 5_000


def test_unchanged_feeds_share_connections_and_come_in_the_order_in_which_they_began() -> None:
    (_, unchanged), site = asyncio.run(rounds([3] * 40, (0, 1)))
    assert [check.outcome for batch in unchanged for check in batch] == [Outcome.UNCHANGED] * 40
    for batch in unchanged:
        begun = [int(check.feed[1:]) for check in batch]
        assert begun == sorted(begun)
    assert site.connections <= SETTINGS.per_host
