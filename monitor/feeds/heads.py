"""Heads of answers that are not as the standard has them, and can be read all the same.

takes  the bytes before a body, as a server sent them
gives  the head as it should have been; or the same bytes, where there is nothing to mend or no safe way to
never  guesses where a body ends: of two lengths that differ, none is taken

What browsers and curl read, aiohttp refuses: a length that is told twice, a length beside chunks (RFC 9112, 6.3: chunks
hold), lines that are no headers. What had to be mended is the last answer of its connection, so nothing that was read
wrongly can be taken for an answer to somebody else's question.
"""

from __future__ import annotations

import re
from functools import partial
from typing import Any

import aiohttp
from aiohttp.client_proto import ResponseHandler

# More than aiohttp takes; what is longer it refuses by itself.
_LONGEST_HEAD = 64 * 1024
_END = re.compile(rb"\n\r{0,3}\n")
_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_NAME = re.compile(_TOKEN)
_PROPER = re.compile(rb"HTTP/1\.[01] [1-9]\d\d(?: [^\r\n]*)?\r\n(?:" + _TOKEN + rb":[^\r\n\0]*\r\n)*\r\n")
_FRAMING = re.compile(rb"\n(?:content-length:[ \t]*(\d*)[ \t]*\r|content-length|transfer-encoding)", re.IGNORECASE)
_STATUS = re.compile(rb"\s*HTTP/[12](\.0)?(?:\.\d)?[ \t]+([1-9]\d\d)(?!\d)[ \t]*(.*)", re.IGNORECASE)
_LENGTH = re.compile(rb"\d{1,18}")


def mended(head: bytes) -> bytes:
    """The head as it should have been.

    Args:
        head: status line and headers, with the empty line that ends them.
    """
    if _PROPER.fullmatch(head):
        framing = list(_FRAMING.finditer(head))
        if len(framing) < 2 and all(one[1] or b"ength" not in one[0].lower() for one in framing):
            return head
    # Not by an expression for both: one that tries each of many returns takes seconds.
    first, *lines = (line.rstrip(b"\r") for line in head.rstrip(b"\r\n").split(b"\n"))
    status = _STATUS.fullmatch(first)
    if status is None or status[2] == b"101":
        return head
    framed = _framed([field for line in _unfolded(lines) if (field := _field(line)) is not None])
    if framed is None:
        return head
    begun = b"HTTP/1.%d %s %s" % (0 if status[1] else 1, status[2], status[3].replace(b"\r", b" "))
    return b"\r\n".join([begun.strip(), *(b"%s: %s" % field for field in framed), b"", b""])


def _unfolded(lines: list[bytes]) -> list[bytes]:
    """The lines, once those that go on in a next one were put together (RFC 9112, 5.2)."""
    whole: list[bytes] = []
    for line in lines:
        if not line.startswith((b" ", b"\t")):
            whole.append(line)
        elif whole:
            whole[-1] += b" " + line.strip()
    return whole


def _field(line: bytes) -> tuple[bytes, bytes] | None:
    """Name and value; None where the line is no header."""
    name, colon, value = line.partition(b":")
    if not colon or not _NAME.fullmatch(name := name.rstrip()):
        return None
    # RFC 9110, 5.5: refuse these, or take them for spaces.
    return name, value.replace(b"\r", b" ").replace(b"\0", b" ").strip()


def _framed(fields: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]] | None:
    """The fields with one word on where the body ends; None when they contradict each other."""
    packed = b",".join(value for name, value in fields if name.lower() == b"transfer-encoding").lower()
    told = b",".join(value for name, value in fields if name.lower() == b"content-length")
    lengths = {one.strip() for one in told.split(b",")} - {b""}
    usable = {int(one) for one in lengths if _LENGTH.fullmatch(one)}
    others = [field for field in fields if field[0].lower() != b"content-length"]
    if b"chunked" in packed:
        return others
    if len(usable) > 1 or (usable and not all(_LENGTH.fullmatch(one) for one in lengths)):
        return None
    if not usable:
        # None that anybody could go by, if any: the body ends where the connection does.
        return others
    others = [field for field in others if field[0].lower() != b"transfer-encoding"]
    return [*others, (b"Content-Length", b"%d" % usable.pop())]


class _Heard(ResponseHandler):
    """An answer whose head is mended before aiohttp reads it."""

    _head: bytes | None = None

    def set_response_params(self, **params: Any) -> None:
        self._head = b""
        super().set_response_params(**params)

    def data_received(self, data: bytes) -> None:
        while self._head is not None and data:
            before, held, self._head = self._head, self._head + data, b""
            # Only what is new is searched, and the line before it: a head may come byte by byte.
            end = _END.search(held, max(before.rfind(b"\n"), 0))
            if end is None and len(held) < _LONGEST_HEAD:
                self._head = held
                # What has come holds off the patience for silence, as it does where nothing is held back.
                self.start_timeout()
                return
            head, data = (held, b"") if end is None else (held[: end.end()], held[end.end() :])
            good = mended(head)
            if good is not head:
                self.force_close()
            status = _STATUS.match(good)
            if status is None or not status[2].startswith(b"1"):
                self._head = None
                data = good + data
            else:
                super().data_received(good)
        if data:
            super().data_received(data)

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._head:
            # It ended in the middle of its head: aiohttp names what is wrong with it.
            held, self._head = self._head, None
            super().data_received(held)
        super().connection_lost(exc)


def lenient(connector: aiohttp.TCPConnector) -> aiohttp.TCPConnector:
    """The connector, whose connections mend what they hear."""
    # aiohttp offers no other way; where it no longer makes its protocols by this, answers are read as strictly as ever.
    made: type[ResponseHandler] = _Heard
    connector._factory = partial(made, loop=connector._loop)
    return connector
