"""A body as it was before it was packed for its way.

takes  what Content-Encoding says, and the body piece by piece
gives  the same body unpacked, in small pieces
never  unfolds more than a cap, at any layer: a bomb is noticed long before it has unfolded
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator

_AT_ONCE = 64 * 1024
_GZIP = b"\x1f\x8b"
# The last are no packing at all, but what some servers write where they mean that there is none.
_AS_IT_IS = frozenset({"", "identity", "none", "binary", "8bit", "utf-8", "utf8"})
_KNOWN = frozenset({"gzip", "x-gzip", "deflate"})
# A server and the cache before it, each of which packs.
_MOST_LAYERS = 2


class BodyBroken(Exception):
    """A body is not packed as it says, or in a way that was not asked for."""


class BodyTooLarge(Exception):
    """A body unpacks to more than the cap.

    Attributes:
        unpacked: bytes, up to where it was noticed.
    """

    def __init__(self, unpacked: int) -> None:
        super().__init__(f"more than {unpacked} bytes")
        self.unpacked = unpacked


class Unpacking:
    """Unpacks a body piece by piece.

    Args:
        encoding: header Content-Encoding; several, as a list of them.
        most: bytes that any layer may unpack to.

    Raises:
        BodyBroken: on a packing that is not known, or too many of them.
    """

    def __init__(self, encoding: str, most: int) -> None:
        names = [name for part in encoding.split(",") if (name := part.strip().lower()) not in _AS_IT_IS]
        if not _KNOWN.issuperset(names) or len(names) > _MOST_LAYERS:
            raise BodyBroken(f"its body is packed as {encoding[:40]!r}, which was not asked for")
        # The last that was laid on is the first to come off; the innermost is what nobody spoke of.
        self._layers: list[_Layer | _Unsaid] = [
            *(_Layer(most, gzip=name != "deflate") for name in reversed(names)),
            _Unsaid(most),
        ]

    @property
    def cut(self) -> bool:
        """Whether the end of a packet has not come yet: it breaks off, or its server writes none."""
        return any(layer.cut for layer in self._layers)

    def __call__(self, piece: bytes) -> Iterator[bytes]:
        """What this piece unpacks to.

        Raises:
            BodyBroken, BodyTooLarge.
        """
        return self._from(0, piece)

    def _from(self, layer: int, piece: bytes) -> Iterator[bytes]:
        if layer == len(self._layers):
            yield piece
            return
        for part in self._layers[layer](piece):
            yield from self._from(layer + 1, part)


class _Layer:
    def __init__(self, most: int, *, gzip: bool) -> None:
        self._most, self._gzip = most, gzip
        # Either by its own head: some take the one for the other.
        self._packed = zlib.decompressobj(47)
        self._begun = False
        self._unpacked = 0

    @property
    def cut(self) -> bool:
        return self._begun and not self._packed.eof

    def __call__(self, piece: bytes) -> Iterable[bytes]:
        rest = piece
        while rest:
            if self._packed.eof:
                # A body may be several packets, one behind the other (RFC 1952, 2.2); anything else is no part of it.
                if not (self._gzip and rest.startswith(_GZIP)):
                    return
                self._packed = zlib.decompressobj(47)
            try:
                part = self._packed.decompress(rest, _AT_ONCE)
            except zlib.error as error:
                if self._begun or self._gzip:
                    raise BodyBroken(f"its compressed body is broken ({error})") from error
                # "deflate" means zlib by the standard, but some servers send the bare stream.
                self._packed = zlib.decompressobj(-15)
                self._begun = True
                continue
            self._begun = True
            rest = self._packed.unused_data if self._packed.eof else self._packed.unconsumed_tail
            self._unpacked += len(part)
            if self._unpacked > self._most:
                raise BodyTooLarge(self._unpacked)
            yield part


class _Unsaid:
    """Gzip that no header speaks of, as of feeds that lie packed on a disk: no feed begins with its two bytes."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._layer: _Layer | None = None
        self._begun = False

    @property
    def cut(self) -> bool:
        return self._layer is not None and self._layer.cut

    def __call__(self, piece: bytes) -> Iterable[bytes]:
        if not self._begun and piece:
            self._begun = True
            self._layer = _Layer(self._most, gzip=True) if piece.startswith(_GZIP) else None
        return (piece,) if self._layer is None else self._layer(piece)
