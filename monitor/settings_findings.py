"""What is wrong with settings, in words: the key, what it must be, and what was given.

takes  what pydantic found, and which variables of the environment set what
gives  one line a finding
never  repeats what stands in a channel: it may be a password in the wrong place
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError

from alerts.errors import ChannelUnusable
from alerts.sending.channels import ChannelSettings

Place = tuple[str, ...]

_NO_VARIABLES: Mapping[Place, str] = {}
# A pattern tells a person little.
_SHAPES = {
    r"^[a-z0-9]+(-[a-z0-9]+)*$": "must be lower case letters and digits, parted by single hyphens, such as my-feed",
    r"^[a-z0-9][a-z0-9-]{0,62}$": "must be lower case letters, digits and hyphens, 63 at most, such as risk-desk",
    r"^[a-z]{2,3}(-[A-Za-z0-9]+)*$": "must be the code of a language, such as en",
    r"^[A-Z0-9][A-Z0-9.-]*$": "must be capital letters, digits, dots and hyphens, such as BRK.B",
    r"^[A-Za-z0-9.:_-]+$": "must be the name or address of a host alone, such as smtp.example.com",
    r"^\d+(\.\d+)?\s?(MB|GB|MiB|GiB)$": "must be a size, such as 2GB or 512MiB",
    r"^(auto|cpu|mps|cuda(:\d+)?)$": "must be auto, cpu, cuda, cuda:0 (or another number) or mps",
    r"^([01]\d|2[0-3]):[0-5]\d$": "must be a time of day, such as 07:30",
}


# By pydantic's name of what is wrong; its own words are those of a programmer.
_SAID = {
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "string_type": "must be text, in quotes",
    "string_too_short": "must have {min_length} or more characters",
    "string_too_long": "must have {max_length} characters at most",
    "too_short": "must have {min_length} or more entries",
    "too_long": "must have {max_length} entries at most",
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be {ge} or more",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be {le} or less",
    "literal_error": "must be {expected}",
    "enum": "must be {expected}",
    "path_type": "must be a path, in quotes",
}
_LONGEST_GIVEN = 60


def findings(
    error: ValidationError, model: type[BaseModel], variables: Mapping[Place, str] = _NO_VARIABLES
) -> list[str]:
    """Every finding about values that were to be a `model`; `variables` says which of them came from where."""
    return [_finding(one, model, variables) for one in error.errors()]


def without_open_secrets(tables: Iterable[Any]) -> tuple[list[Any], list[str]]:
    """Tables of channels, and what was found: whoever writes a secret itself ends the checking of everything.

    In place of such a channel stands another of its name, so that routes still find it.
    """
    kept: list[Any] = []
    found: list[str] = []
    for number, table in enumerate(tables):
        try:
            TypeAdapter(ChannelSettings).validate_python(table)
        except ValidationError:
            kept.append(table)  # told with all the rest
        except ChannelUnusable as error:
            name = str(table.get("name", number))
            found.append(f"channels.{name}: {error}")
            kept.append({"type": "chat", "name": name, "url": "env:UNKNOWN"})
        else:
            kept.append(table)
    return kept, found


def _finding(error: Any, model: type[BaseModel], variables: Mapping[Place, str]) -> str:
    location = tuple(str(part) for part in error["loc"])
    words = _words(error, location, model)
    given = error.get("input")
    tell = error["type"] not in ("extra_forbidden", "missing") and "channels" not in location[:1]
    shown = f" (given: {_given(given)})" if tell and isinstance(given, (str, int, float, bool)) else ""
    setter = next((name for place, name in variables.items() if _same(place, location)), "")
    told = f"{words}{shown}{f'; the variable {setter} sets it' if setter else ''}"
    return f"{'.'.join(location)}: {told}" if location else told


def _given(value: str | int | float) -> str:
    told = str(value).lower() if isinstance(value, bool) else repr(value)
    return told if len(told) <= _LONGEST_GIVEN else f"{told[:_LONGEST_GIVEN]}…"


def _words(error: Any, location: Place, model: type[BaseModel]) -> str:
    context = error.get("ctx", {})
    match error["type"]:
        case "extra_forbidden":
            known = _known(model, location[:-1])
            near = difflib.get_close_matches(location[-1], known, n=1, cutoff=0.5)
            return (
                f"unknown key; did you mean {near[0]!r}?" if near else f"unknown key; known: {', '.join(sorted(known))}"
            )
        case "value_error":
            return str(context["error"])
        case "missing":
            return "is missing"
        case "tuple_type" | "list_type":
            field = model.model_fields.get(".".join(location))
            tables = field and models_in(field.annotation)
            return f"must be tables: write [[{location[-1]}]]" if tables else 'must be a list, such as ["one", "two"]'
        case "model_type" | "model_attributes_type" | "dict_type":
            return "must be a table of keys and values"
        case "union_tag_not_found":
            return "has no type: webhook, mail or chat"
        case "union_tag_invalid":
            return f"type must be one of {context['expected_tags']}"
        case "string_pattern_mismatch":
            return _SHAPES.get(context["pattern"], f"must match {context['pattern']}")
    return _SAID[error["type"]].format(**context) if error["type"] in _SAID else str(error["msg"])


def _same(place: Place, location: Place) -> bool:
    """Whether one of them lies in the other."""
    both = min(len(place), len(location))
    return bool(both) and place[:both] == location[:both]


def _known(model: type[BaseModel], path: Iterable[str]) -> list[str]:
    """Keys of the table at `path`; list positions and union tags are passed over."""
    for part in path:
        field = model.model_fields.get(part)
        if field is None:
            tagged = [m for m in models_in(model) if part in str(m.model_fields.get("type", ""))]
            model = tagged[0] if tagged else model
            continue
        inner = models_in(field.annotation)
        model = inner[0] if inner else model
    return list(model.model_fields)


def models_in(annotation: Any) -> list[type[BaseModel]]:
    """Every pydantic model inside an annotation such as tuple[Feed, ...] or a tagged union."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    found: list[type[BaseModel]] = []
    for argument in getattr(annotation, "__args__", ()):
        found.extend(models_in(argument))
    return found
