"""A web server on loopback that misbehaves in every way that a feed reader must survive: one path, one way.

Run as a script it serves until it is ended, and prints its port: for trying `squall feeds check` by hand.
"""

from __future__ import annotations

import asyncio
import gzip
import sys
import zlib
from collections.abc import Awaitable, Callable

Way = Callable[[asyncio.StreamWriter], Awaitable[None]]

ITEM = b"<item><title>Bank run</title><guid>1</guid><pubDate>Tue, 10 Mar 2026 11:00:00 GMT</pubDate></item>"
FEED = b"<rss version='2.0'><channel><title>Wire</title>" + ITEM + b"</channel></rss>"
MEGABYTE = 2**20


def says(status: str, body: bytes = b"", *headers: str) -> Way:
    """Answers properly, with this status, body and headers."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers, "", ""]
        writer.write("\r\n".join(lines).encode() + body)

    return answer


def leads_to(target: str, status: str = "302 Found") -> Way:
    return says(status, b"", f"Location: {target}")


def packed(body: bytes, encoding: str) -> Way:
    return says("200 OK", body, f"Content-Encoding: {encoding}")


async def silent(writer: asyncio.StreamWriter) -> None:
    # Returns when the client has hung up: not a byte is sent before.
    await writer.wait_closed()


async def drips_headers(writer: asyncio.StreamWriter) -> None:
    """Slow loris: a byte of a header now and then, for ever."""
    writer.write(b"HTTP/1.1 200 OK\r\nX-Endless: ")
    await _drip(writer, b"a")


async def drips_body(writer: asyncio.StreamWriter) -> None:
    """The same with the body: it never falls silent for as long as a reader's patience for silence."""
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n<rss>")
    await _drip(writer, b" ")


async def _drip(writer: asyncio.StreamWriter, drop: bytes) -> None:
    while not writer.is_closing():
        writer.write(drop)
        await writer.drain()
        await asyncio.sleep(0.02)


async def floods(writer: asyncio.StreamWriter) -> None:
    """A body without an end, and without a length."""
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n<rss>")
    while not writer.is_closing():
        writer.write(b" " * 65_536)
        await writer.drain()


async def floods_headers(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while not writer.is_closing():
        writer.write(b"X-More: " + b"a" * 60_000 + b"\r\n")
        await writer.drain()


async def announces(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 62914560\r\n\r\n<rss>")


async def cuts_off(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + FEED)


async def hangs_up(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


async def babbles(writer: asyncio.StreamWriter) -> None:
    writer.write(b"SSH-2.0-nonsense\r\n\r\n")


def bomb(wrap: int = 31) -> bytes:
    """A hundred megabytes in a hundred kilobytes."""
    squeeze = zlib.compressobj(9, wbits=wrap)
    return b"".join(squeeze.compress(b" " * MEGABYTE) for _ in range(100)) + squeeze.flush()


def entities() -> bytes:
    """A billion laughs."""
    declared = "".join(f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(9))
    title = "<rss version='2.0'><channel><item><title>&j;</title></item></channel></rss>"
    return f'<!DOCTYPE rss [<!ENTITY a "ha">{declared}]>{title}'.encode()


def page(title: str, body: str = "", head: str = "") -> bytes:
    return f"<!doctype html><html><head><title>{title}</title>{head}</head><body>{body}</body></html>".encode()


OFFER = '<link rel="alternate" type="application/rss+xml" title="All news" href="/good">'
WAYS: dict[str, Way] = {
    "/good": says("200 OK", FEED, 'ETag: "v1"'),
    # Addresses
    "/to-loopback": leads_to("http://127.0.0.2/"),
    "/to-private": leads_to("http://10.0.0.1/"),
    "/to-link-local": leads_to("http://169.254.7.7/"),
    "/to-metadata": leads_to("http://169.254.169.254/latest/meta-data/"),
    "/to-multicast": leads_to("http://224.0.0.1/"),
    "/to-carrier": leads_to("http://100.64.0.1/"),
    "/to-mapped": leads_to("http://[::ffff:10.0.0.1]/"),
    "/to-decimal": leads_to("http://2130706434/"),
    "/to-nothing": leads_to("http://0.0.0.0/"),
    "/to-file": leads_to("file:///etc/passwd"),
    "/to-itself": leads_to("/to-itself"),
    # Time and size
    "/silent": silent,
    "/drips-headers": drips_headers,
    "/drips-body": drips_body,
    "/floods": floods,
    "/floods-headers": floods_headers,
    "/announces": announces,
    "/bomb-gzip": packed(bomb(), "gzip"),
    "/bomb-deflate": packed(bomb(15), "deflate"),
    "/bomb-twice": packed(gzip.compress(bomb()), "gzip"),
    # Unfolds to millions of packets of nothing.
    "/bomb-hollow": packed(gzip.compress(gzip.compress(b"") * 200_000), "gzip"),
    "/entries": says("200 OK", b"<rss version='2.0'><channel>" + ITEM * 5_000 + b"</channel></rss>"),
    "/packed-in-parts": packed(gzip.compress(FEED[:60]) + gzip.compress(FEED[60:]), "gzip"),
    "/packed-twice": packed(gzip.compress(gzip.compress(FEED)), "gzip, gzip"),
    "/packed-unsaid": says("200 OK", gzip.compress(FEED), "Content-Type: application/rss+xml"),
    "/packed-as-other": packed(gzip.compress(FEED), "deflate"),
    "/packed-often": packed(gzip.compress(FEED), "gzip, gzip, gzip"),
    "/packed-as-text": packed(FEED, "UTF-8"),
    "/nested": says("200 OK", b"<rss version='2.0'><channel><item><title>a</title>" + b"<b>" * 300),
    "/broken": says("200 OK", FEED[:-20]),
    "/hard": says("200 OK", b"<rss version='2.0'><channel><item><title>" + b"<b>" * 300_000),
    "/entities": says("200 OK", entities()),
    # Nonsense
    "/cuts-off": cuts_off,
    "/hangs-up": hangs_up,
    "/babbles": babbles,
    "/not-gzip": packed(b"not gzip", "gzip"),
    "/brotli": packed(b"x", "br"),
    "/noise": says("200 OK", b"\x00\x9f\x92garbage" * 50),
    # Pages in a feed's place
    "/challenge": says("200 OK", page("Just a moment...", "Checking your browser before you access the site")),
    "/challenge-403": says("403 Forbidden", page("Just a moment..."), "cf-mitigated: challenge"),
    "/login": says("200 OK", page("Members", "<form><input type=password></form>")),
    "/moved": says("200 OK", page("Page not found", "Our feeds have moved.")),
    "/refreshes": says("200 OK", page("Wire", head='<meta http-equiv="refresh" content="0; url=/good">')),
    "/offers": says("200 OK", page("Wire", head=OFFER)),
    # Refusals
    "/gone": says("410 Gone"),
    "/busy": says("429 Too Many", b"", "Retry-After: 7200"),
    "/down": says(
        "503 Unavailable", b"", "Retry-After: Tue, 10 Mar 2026 19:00:00 GMT", "Date: Tue, 10 Mar 2026 16:00:00 GMT"
    ),
}


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One request: misbehave as its path says."""
    try:
        path = (await reader.readuntil(b"\r\n\r\n")).split(b" ")[1].decode()
        await WAYS.get(path, says("404 Not Found"))(writer)
        await writer.drain()
    except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        pass
    finally:
        writer.close()


async def started() -> asyncio.Server:
    """The server, on a port of its own."""
    return await asyncio.start_server(serve, "127.0.0.1", 0)


def port_of(server: asyncio.Server) -> int:
    port: int = server.sockets[0].getsockname()[1]
    return port


async def _forever() -> None:
    server = await started()
    sys.stdout.write(f"http://127.0.0.1:{port_of(server)}/ serves: {' '.join(WAYS)}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_forever())
