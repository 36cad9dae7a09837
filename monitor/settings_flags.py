"""true and false where a number must be: pydantic takes them for 1 and 0, and nobody means that.

takes  the values of a settings file, and the model that they are to be
gives  one line a finding
never  looks at text: variables of the environment are nothing else
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from monitor.settings_findings import models_in


def flags_for_numbers(values: Mapping[str, Any], model: type[BaseModel], place: str = "") -> Iterator[str]:
    """Every true or false that stands where a number must."""
    for key, told in values.items():
        field = model.model_fields.get(key)
        if field is None:
            continue  # an unknown key, which is a finding of its own
        yield from _in_value(told, field.annotation, f"{place}{key}")


def _in_value(told: object, annotation: Any, place: str) -> Iterator[str]:
    if isinstance(told, bool):
        if _numeric(annotation):
            yield f"{place}: must be a number (given: {str(told).lower()})"
    elif isinstance(told, list):
        for number, one in enumerate(told):
            yield from _in_value(one, annotation, f"{place}.{number}")
    elif isinstance(told, dict):
        inner = [one for one in models_in(annotation) if _is_meant(one, told)]
        if inner:
            yield from flags_for_numbers(told, inner[0], f"{place}.")
        else:
            for name, one in told.items():
                yield from _in_value(one, annotation, f"{place}.{name}")


def _is_meant(model: type[BaseModel], told: Mapping[str, Any]) -> bool:
    """Whether a table is to be this model: of several, as of channels, the type says which."""
    field = model.model_fields.get("type")
    return field is None or told.get("type") in getattr(field.annotation, "__args__", ())


def _numeric(annotation: Any) -> bool:
    """Whether numbers are taken there, and no flags."""
    plain = set(_plain_types(annotation))
    return bool(plain & {int, float}) and bool not in plain


def _plain_types(annotation: Any) -> Iterator[Any]:
    yield annotation
    for one in getattr(annotation, "__args__", ()):
        yield from _plain_types(one)
