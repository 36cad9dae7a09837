"""One TOML file, checked whole before anything starts.

takes  squall.toml, environment variables
gives  `monitor.settings.Settings`
never  stops at the first mistake: all that is wrong is told at once, each with the way out

Order of precedence: environment (`SQUALL_STORE__PATH=…`), file, defaults. Unknown keys are errors.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from alerts.errors import ChannelUnusable
from monitor.errors import SettingsUnusable
from monitor.settings import Settings
from monitor.settings_findings import Place, findings, without_open_secrets
from monitor.settings_flags import flags_for_numbers

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
    return next((path for path in (Path(FILE), *_own_file(environment)) if _is_file(path)), None)


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
    variables = _override(values, environment)
    flags = list(flags_for_numbers(values, Settings))
    cause: ValidationError | None
    try:
        settings = Settings.model_validate(values)
        if not flags:
            return settings
        found, cause = [], None
    except ValidationError as error:
        found, cause = findings(error, Settings, variables), error
    except ChannelUnusable as error:
        tables, found = without_open_secrets(values["channels"])
        cause = _rest_of(values | {"channels": tables})
        found += findings(cause, Settings, variables) if cause else []
        found = found or [f"channels: {error}"]
    listed = "\n".join(f"  {one}" for one in (*flags, *found))
    raise SettingsUnusable(
        f"the settings in {path or 'the environment'} are not usable:\n{listed}\n"
        "squall.example.toml documents every key; `squall config check` checks again"
    ) from cause


def _rest_of(values: dict[str, Any]) -> ValidationError | None:
    """What else is wrong."""
    try:
        Settings.model_validate(values)
    except ValidationError as error:
        return error
    return None


def _own_file(environment: Mapping[str, str]) -> list[Path]:
    """The file in the user's config folder; none for a user without a home, as in a container."""
    try:
        config = Path(environment.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    except RuntimeError:
        return []
    return [config / "squall" / FILE]


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
        # Some editors begin a file with a mark of its encoding.
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise SettingsUnusable(
            f"there is no settings file {path}; copy squall.example.toml there, or leave --config and $SQUALL_CONFIG "
            "out for the defaults"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsUnusable(
            f"the settings file {path} cannot be read: {error}; check its rights and encoding"
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsUnusable(f"the settings file {path} is not valid TOML: {error}") from error


def _override(values: dict[str, Any], environment: Mapping[str, str]) -> dict[Place, str]:
    """SQUALL_STORE__PATH=… sets store.path. Variables without two parts (SQUALL_CONFIG) are not settings.

    Gives the variable of each key that was set.
    """
    variables: dict[Place, str] = {}
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
        variables[(*tables, key)] = name
    return variables


def _listed(value: str) -> Any:
    """A variable holds text; one that reads as a TOML list becomes a list."""
    if value.startswith("["):
        try:
            return tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            return value
    return value
