"""A risk theme of the user's own, written into the settings file.

takes  the text of a settings file, and a theme
gives  the text with a `[[themes]]` table at its end
never  changes a line that is there, and never makes a file that Squall could not read again
"""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

from pydantic import ValidationError

from models.themes import Theme
from monitor.errors import SettingsUnusable
from monitor.settings import Settings
from monitor.settings_findings import findings
from monitor.whole_file import put_whole


def with_theme(text: str, theme: Theme) -> str:
    """The settings with one more theme; what has its default is left out.

    Raises:
        SettingsUnusable: a theme of this id is there already, or the settings cannot be read with it.
    """
    told = theme.model_dump(mode="json", exclude_defaults=True)
    table = "\n".join(f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in told.items())
    longer = f"{text.rstrip()}\n\n[[themes]]\n{table}\n".lstrip()
    try:
        # Some editors begin a file with a mark of its encoding.
        read = tomllib.loads(longer.removeprefix("\ufeff"))
    except tomllib.TOMLDecodeError as error:
        raise SettingsUnusable(
            f"the theme cannot be added to these settings: {error}; themes must be given as [[themes]] tables"
        ) from error
    try:
        Settings.model_validate(read)
    except ValidationError as error:
        raise SettingsUnusable(f"the theme cannot be added: {'; '.join(findings(error, Settings))}") from error
    return longer


def add_theme(path: Path, theme: Theme) -> None:
    """Add a theme to the settings file, which is made when there is none; all of it is written, or nothing.

    Raises:
        SettingsUnusable: see `with_theme`; or the file cannot be read or written.
    """
    try:
        # Settings that are kept elsewhere are a link here, and stay one.
        place = path.resolve()
        # As bytes: lines go on to end as they did.
        text = place.read_bytes().decode("utf-8") if place.exists() else ""
        longer = with_theme(text, theme)
        put_whole(place, longer)
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsUnusable(f"the theme cannot be written to {path}: {error}") from error
