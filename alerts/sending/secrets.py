"""Where a password or key is found, and never the thing itself.

takes  `env:NAME` or `file:PATH`, as the settings say
gives  `Secret`: `.reveal()` reads the value at the moment of use, so a rotated secret needs no restart
never  shows a value in repr, str, errors or settings dumps
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from alerts.errors import ChannelUnusable

_REFERENCE = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]*|file:.+")
_MOST_BYTES = 64 * 1024


class Secret:
    """A reference to a secret: `env:NAME` or `file:PATH` (`~` is the home folder).

    Raises:
        ChannelUnusable: when the text is neither form. The text is not repeated: it may be the secret itself.
    """

    __slots__ = ("_reference",)

    def __init__(self, reference: str, *, field: str = "a secret") -> None:
        if not _REFERENCE.fullmatch(reference):
            raise ChannelUnusable(
                f'{field} must say where the secret lies, as "env:NAME" or "file:PATH", and not be the secret itself'
            )
        self._reference = reference

    def reveal(self) -> str:
        """The secret, read now: the variable's value, or the file's text without the line break at its end.

        Raises:
            ChannelUnusable: when the variable or file is missing, empty, unreadable or longer than 64 KiB.
        """
        kind, _, place = self._reference.partition(":")
        value = _variable(place) if kind == "env" else _file(Path(place).expanduser())
        if not value:
            raise ChannelUnusable(f"{self._reference} is empty: put the secret there")
        return value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._reference == self._reference

    def __hash__(self) -> int:
        return hash(self._reference)

    def __repr__(self) -> str:
        return f"Secret({self._reference!r})"

    def __str__(self) -> str:
        return self._reference

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_info_plain_validator_function(
            _validated, serialization=core_schema.to_string_ser_schema()
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"type": "string", "pattern": f"^({_REFERENCE.pattern})$"}


def _validated(value: object, info: core_schema.ValidationInfo) -> Secret:
    # Raised as ChannelUnusable and not ValueError: pydantic would wrap a ValueError together with the input, and
    # the input of a wrong setting is most likely the password that somebody pasted there.
    field = f"`{info.field_name}`" if info.field_name else "a secret"
    if isinstance(value, Secret):
        return value
    return Secret(value if isinstance(value, str) else "", field=field)


def _variable(name: str) -> str:
    value = os.environ.get(name)
    if value is None:
        raise ChannelUnusable(f"env:{name} is not set: export {name} in the environment of the service")
    return value


def _file(path: Path) -> str:
    try:
        with path.open("rb") as file:
            value = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise ChannelUnusable(
            f"file:{path} cannot be read ({error.strerror}): check the path and its rights"
        ) from error
    if len(value) > _MOST_BYTES:
        raise ChannelUnusable(f"file:{path} is longer than {_MOST_BYTES // 1024} KiB: that is no secret")
    try:
        return value.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise ChannelUnusable(f"file:{path} is not text: save the secret as UTF-8 text") from None
