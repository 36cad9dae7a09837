"""A document's bytes, before a parser sees them.

takes  bytes, and what their server calls them
gives  bytes in which a few broken characters hide nothing else, and that declare no entities
never  decides on an encoding: it mends what is UTF-8 but for a few bytes, and says nothing else of itself
"""

from __future__ import annotations

import codecs
import re
from contextlib import suppress

BOM = b"\xef\xbb\xbf"

_DECLARED = re.compile(rb"\A<\?xml[^>]{0,200}?encoding\s*=\s*[\"']([^\"']{1,40})[\"']")
_CHARSET = re.compile(r";\s*charset\s*=\s*[\"']?([^\s\"';]{1,40})", re.IGNORECASE)
_UTF8 = frozenset({"utf-8", "utf8"})
# In these a letter takes two bytes or four, of which the declaration is looked for in vain.
_WIDE = ("utf-16", "utf16", "utf-32", "utf32", "ucs-2", "ucs-4", "iso-10646")
_NAMED = re.compile(rb"\s+encoding\s*=\s*[\"'][^\"']{1,40}[\"']")
_CDATA_OR_BARE = re.compile(
    rb"<!\[CDATA\[(?:.*?\]\]>|.*)|&(?!(?:#[0-9]{1,8}|#[xX][0-9a-fA-F]{1,8}|[A-Za-z][A-Za-z0-9]{0,31});)", re.DOTALL
)

# Bytes 0x80 to 0x9f as Windows means them.
WINDOWS = {
    code: bytes([code]).decode("cp1252") for code in range(0x80, 0xA0) if code not in {0x81, 0x8D, 0x8F, 0x90, 0x9D}
}
_BROKEN = "\ufffd"
# Bytes that are no UTF-8, as surrogateescape shows them.
_STRAYS = re.compile("[\udc80-\udcff]+")
# Proper characters for each broken one. A text in another encoding has next to none that are proper UTF-8 by chance;
# of a document that does not say that it is UTF-8, more of them are wanted.
_PROPER_IF_TOLD = 1
_PROPER_IF_UNTOLD = 2
_MOST_BROKEN = 1_000


def declared_encoding(body: bytes) -> str:
    """What an XML document says that it is encoded in, in small letters; "" when it does not say."""
    found = _DECLARED.match(body[:300].removeprefix(BOM).lstrip())
    return found.group(1).decode("ascii", "replace").lower() if found else ""


def truthful(body: bytes) -> bytes:
    """The document in UTF-8 where a byte order mark, and what follows it, show that it is in UTF-16; and without the
    word that it is in UTF-16, where that word itself is not: whoever believed it could read nothing."""
    if body.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        with suppress(UnicodeDecodeError):
            text = body.decode("utf-16").lstrip()
            if text.startswith("<?xml"):
                body = _NAMED.sub(b"", text.encode(), count=1)
            elif text.startswith(("<", "{", "[")):
                body = text.encode()
    if not declared_encoding(body).startswith(_WIDE):
        return body
    return _NAMED.sub(b"", body, count=1)


def charset_of(content_type: str) -> str:
    """What the header of an answer says that it is encoded in, in small letters; "" when it does not say."""
    found = _CHARSET.search(content_type)
    return found.group(1).lower() if found else ""


def mended(body: bytes, charset: str) -> bytes:
    """The body in proper UTF-8 where it is that but for a few bytes; else the body itself.

    A summary that was cut within a character, or a quotation mark that was pasted from elsewhere, would have the
    parsers take the whole document for another encoding. A document without any proper character beyond ASCII is left
    to them: there the bytes that are no UTF-8 are most likely another encoding, and there is nothing else to hide.

    Args:
        charset: what the body is encoded in, by what came with it; "" when nothing tells.
    """
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        told = {charset.lower(), declared_encoding(body)} - {""}
    else:
        return body
    # Bytes of nought are UTF-16 or worse.
    if not told <= _UTF8 or b"\0" in body:
        return body
    text = body.decode("utf-8", "replace")
    broken = text.count(_BROKEN) - body.count(_BROKEN.encode())
    proper = len(text) - len(text.encode("ascii", "ignore")) - broken
    wanted = _PROPER_IF_TOLD if told or body.startswith(BOM) else _PROPER_IF_UNTOLD
    if broken > _MOST_BROKEN or proper < broken * wanted:
        return body
    return _STRAYS.sub(_meant, body.decode("utf-8", "surrogateescape")).encode("utf-8")


def _meant(found: re.Match[str]) -> str:
    # One byte alone is nearly always a quotation mark or dash out of a Windows text; several are a torn character.
    strays = found.group()
    return WINDOWS.get(ord(strays) - 0xDC00, _BROKEN) if len(strays) == 1 else _BROKEN


def with_ampersands(document: bytes) -> bytes:
    """The document with its bare ampersands written as they must be: `AT&T` would be read as `AT&T;`."""
    if b"\0" in document:
        return document  # UTF-16 or worse
    return _CDATA_OR_BARE.sub(lambda found: b"&amp;" if found.group() == b"&" else found.group(), document)


def without_entities(document: bytes) -> bytes:
    """The document without what declares entities in it: a reference to one stays the text that it is.

    Wherever such a declaration stands: parsers differ on where the head of a document ends.

    Args:
        document: in UTF-8.
    """
    bare = re.sub(rb"<!ENTITY[^<>]*>", b"", document)
    # What is left had < or > in its value, or was put together by taking another out. It means nothing any more, and
    # the document is no longer well-formed: the lenient half of the lenient parser reads it.
    return bare.replace(b"<!ENTITY", b"<!DROPPED")
