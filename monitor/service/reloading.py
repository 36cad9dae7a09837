"""What a change of the settings means for a daemon that runs.

takes  the settings in force, and those that were read anew
gives  what changes, by section; or why it cannot be done without a restart
never  applies anything: `monitor.service.daemon` does, all of it or nothing
"""

from __future__ import annotations

from monitor.errors import SettingsUnusable
from monitor.settings import Settings

# The store is held open, its memory divided and its address known to others; ports are bound.
_FIXED = ("store", "metrics", "dashboard")


def changed_sections(before: Settings, after: Settings) -> tuple[str, ...]:
    """The sections that differ, in the order of the settings.

    Raises:
        SettingsUnusable: when something changed that only a restart can change, naming each key.
    """
    fixed = [
        f"{section}.{key}"
        for section in _FIXED
        for key in type(getattr(before, section)).model_fields
        if getattr(getattr(before, section), key) != getattr(getattr(after, section), key)
    ]
    if fixed:
        raise SettingsUnusable(
            f"nothing was changed: {', '.join(fixed)} can only change at a restart; restart the daemon, or put the old "
            "value back and reload again"
        )
    return tuple(name for name in Settings.model_fields if getattr(before, name) != getattr(after, name))


def keeps_model(before: Settings, after: Settings) -> bool:
    """Whether the loaded model can go on: what it was loaded with is unchanged."""
    names = ("model", "themes", "companies", "watch")
    return all(getattr(before, name) == getattr(after, name) for name in names)
