"""One TOML file, checked whole before anything starts.

takes  squall.toml, environment variables
gives  `monitor.settings.Settings`
never  stops at the first mistake: all that is wrong is told at once, each with the way out

Order of precedence: environment (`SQUALL_STORE__PATH=…`), file, defaults. Unknown keys are errors.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from alerts.errors import ChannelUnusable
from monitor.errors import SettingsUnusable
from monitor.settings import Settings

FILE = "squall.toml"
ENVIRONMENT_PREFIX = "SQUALL_"
_NESTED = "__"


def find_settings(named: Path | None = None, environment: Mapping[str, str] | None = None) -> Path | None:
    """The settings file: the named one, else ./squall.toml, else squall/squall.toml in the user's config folder.

    Raises:
        SettingsUnusable: when it cannot be seen whether there is one: it is not for us to go on without.
    """
    if named is not None:
        return named
    environment = os.environ if environment is None else environment
    config = Path(environment.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return next((path for path in (Path(FILE), config / "squall" / FILE) if _is_file(path)), None)


def load_settings(path: Path | None, environment: Mapping[str, str] | None = None) -> Settings:
    """Read and check the settings.

    Args:
        path: from `find_settings`; None means defaults and environment alone.
        environment: os.environ when None.

    Raises:
        SettingsUnusable: naming file, key and the way out, for an unreadable file, broken TOML, an unknown key
            or a value out of range. All findings at once.
    """
    environment = os.environ if environment is None else environment
    values = _from_file(path) if path else {}
    _override(values, environment)
    where = str(path) if path else "the environment"
    try:
        return Settings.model_validate(values)
    except ChannelUnusable as error:
        raise SettingsUnusable(f"the settings in {where} are not usable:\n  channels: {error}") from error
    except ValidationError as error:
        findings = "\n".join(f"  {_finding(one)}" for one in error.errors())
        raise SettingsUnusable(
            f"the settings in {where} are not usable:\n{findings}\n"
            "squall.example.toml documents every key; `squall config check` checks again"
        ) from error


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError as error:
        raise SettingsUnusable(
            f"it cannot be seen whether there is a settings file {path}: {error.strerror or error}; check the rights "
            "of its folder, or name a file with --config"
        ) from error


def _from_file(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SettingsUnusable(
            f"there is no settings file {path}; copy squall.example.toml there, or leave --config out for the defaults"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsUnusable(
            f"the settings file {path} cannot be read: {error}; check its rights and encoding"
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsUnusable(f"the settings file {path} is not valid TOML: {error}") from error


def _override(values: dict[str, Any], environment: Mapping[str, str]) -> None:
    """SQUALL_STORE__PATH=… sets store.path. Variables without two parts (SQUALL_CONFIG) are not settings."""
    for name, value in environment.items():
        if not name.startswith(ENVIRONMENT_PREFIX) or _NESTED not in name:
            continue
        *tables, key = name.removeprefix(ENVIRONMENT_PREFIX).lower().split(_NESTED)
        target = values
        for table in tables:
            target = target.setdefault(table, {})
            if not isinstance(target, dict):
                raise SettingsUnusable(f"{name} cannot be applied: {table} is no table of the settings")
        target[key] = _listed(value)


def _listed(value: str) -> Any:
    """A variable holds text; one that reads as a TOML list becomes a list."""
    if value.startswith("["):
        try:
            return tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            return value
    return value


def _finding(error: Any) -> str:
    location = [str(part) for part in error["loc"]] or ["settings"]
    where = ".".join(location)
    if error["type"] == "extra_forbidden":
        near = difflib.get_close_matches(location[-1], _known(location[:-1]), n=1, cutoff=0.5)
        hint = f"; did you mean {near[0]!r}?" if near else f"; known keys: {', '.join(sorted(_known(location[:-1])))}"
        return f"{where}: unknown key{hint}"
    given = error.get("input")
    # What stands in a channel may be a password in the wrong place: it is never repeated.
    tell = isinstance(given, (str, int, float, bool)) and location[0] != "channels"
    shown = f" (given: {given!r})" if tell else ""
    return f"{where}: {error['msg']}{shown}"


def _known(path: list[str]) -> list[str]:
    """Keys of the table at `path`; list positions and union tags are passed over."""
    model: type[BaseModel] = Settings
    for part in path:
        field = model.model_fields.get(part)
        if field is None:
            tagged = [m for m in _models(model) if part in str(m.model_fields.get("type", ""))]
            model = tagged[0] if tagged else model
            continue
        inner = _models(field.annotation)
        model = inner[0] if inner else model
    return list(model.model_fields)


def _models(annotation: Any) -> list[type[BaseModel]]:
    """Every pydantic model inside an annotation such as tuple[Feed, ...] or a tagged union."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    found: list[type[BaseModel]] = []
    for argument in getattr(annotation, "__args__", ()):
        found.extend(_models(argument))
    return found
