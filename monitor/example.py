"""The example settings file, written from the settings themselves, so that it cannot fall behind them.

takes  the models of the settings
gives  TOML: every key, its default and what it means
never  invents a value: optional tables are shown as comments
"""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from alerts.sending.chat import ChatSettings
from alerts.sending.mail import MailSettings
from alerts.sending.secrets import Secret
from alerts.sending.webhook import WebhookSettings
from alerts.telling.digests import Digest
from alerts.telling.routes import Route
from models.themes import Theme
from monitor.feeds.feed import Feed
from monitor.news.own_companies import OwnCompany
from monitor.settings import Settings

_WIDTH = 112
_ATTRIBUTE = re.compile(r"^ *(\w[\w, ]*): (.+(?:\n {4,}(?!\w+: ).+)*)", re.MULTILINE)

_HEAD = """\
# Settings of Squall. Copy this file to squall.toml, in the folder that Squall is started in, or to squall/squall.toml
# in your config folder (usually ~/.config), and keep what you change: a key that is left out has the value shown.
#
# Unknown keys are errors. `squall config check` checks the file, `squall config show` prints what is in force.
# An environment variable overrides a key: SQUALL_STORE__PATH=... sets path in [store].
# Secrets are never written here: name where they lie, as "env:NAME" or "file:/path".
"""

_SHARED = {"type": "Which kind of channel this is: webhook, mail or chat."}

# One table of each kind, with values that a reader recognises as theirs to change.
_SAMPLES: tuple[tuple[str, str, type[BaseModel], dict[str, object]], ...] = (
    (
        "feeds",
        "A feed of your own; one that bears the id of a shipped feed replaces it.",
        Feed,
        {"id": "my-feed", "url": "https://news.example.com/rss", "name": "My feed", "publisher": "example"},
    ),
    (
        "themes",
        "A risk theme of your own; one that bears the id of a shipped theme replaces it.",
        Theme,
        {
            "id": "shipping",
            "name": "Shipping disruption",
            "description": "Canals, straits and ports that close.",
            "examples": ["Canal closed after container ship runs aground"],
            "strong_terms": ["canal + block* | clos*"],
        },
    ),
    (
        "companies",
        "A company of your own, or more names of one that Squall knows by its ticker.",
        OwnCompany,
        {
            "ticker": "NORTHARB",
            "name": "Northern Harbour",
            "names": ["Northern Harbour", "Northern Harbour Bank"],
            "contextual": ["Northern"],
        },
    ),
    (
        "channels",
        "A signed webhook (Standard Webhooks).",
        WebhookSettings,
        {
            "name": "desk-webhook",
            "type": "webhook",
            "url": "https://alerts.example.com/squall",
            "secret": "env:SQUALL_WEBHOOK_SECRET",
        },
    ),
    (
        "channels",
        "E-mail.",
        MailSettings,
        {
            "name": "desk-mail",
            "type": "mail",
            "host": "smtp.example.com",
            "user": "squall",
            "password": "env:SQUALL_SMTP_PASSWORD",
            "sender": "Squall <squall@example.com>",
            "recipients": ["desk@example.com"],
        },
    ),
    (
        "channels",
        "A chat service, by an Apprise address (https://github.com/caronc/apprise).",
        ChatSettings,
        {"name": "desk-chat", "type": "chat", "url": "env:SQUALL_CHAT_URL"},
    ),
    (
        "routes",
        "Which alerts go to which channels, and when. Without any [[routes]] all alerts go to all channels at once.",
        Route,
        {
            "name": "night-desk",
            "channels": ["desk-mail"],
            "severity": "warning",
            "quiet_hours": "22:00-07:00",
            "time_zone": "Europe/Zurich",
        },
    ),
    (
        "digests",
        "A summary of a day or a week.",
        Digest,
        {"name": "morning", "at": "07:30", "time_zone": "Europe/Zurich", "channels": ["desk-mail"]},
    ),
)


def example_toml() -> str:
    """The whole file."""
    parts = [_HEAD]
    for name, field in Settings.model_fields.items():
        model = field.annotation
        if isinstance(model, type) and issubclass(model, BaseModel):
            parts.append(f"[{name}]\n" + "\n".join(_keys(model, {}, commented=False)))
    for name, about, model, values in _SAMPLES:
        lines = "\n".join(_keys(model, values, commented=True))
        parts.append(f"# {about}\n# [[{name}]]\n{lines}")
    return "\n\n".join(part.rstrip() for part in parts) + "\n"


def _keys(model: type[BaseModel], values: dict[str, object], *, commented: bool) -> Iterator[str]:
    told = _attributes(model)
    for name, field in model.model_fields.items():
        about = field.description or told.get(name, "") or _SHARED.get(name, "")
        if not about:
            raise ValueError(f"{model.__name__}.{name} has no description")
        wrapped = textwrap.wrap(about[:1].upper() + about[1:], _WIDTH)
        yield from (f"# {'  ' if commented else ''}{line}" for line in wrapped)
        value = values.get(name, _default(field))
        if value is None:
            yield f"# {name} ="
        else:
            yield f"{'# ' if commented else ''}{name} = {_toml(value)}"


def _default(field: FieldInfo) -> Any:
    return None if field.is_required() else field.get_default(call_default_factory=True)


def _toml(value: Any) -> str:
    """JSON's strings, numbers, booleans and lists are TOML's as well."""
    if isinstance(value, (Path, Secret)):
        value = str(value)
    return json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False)


def _attributes(model: type[BaseModel]) -> dict[str, str]:
    """What the docstring of a model says of its attributes."""
    found: dict[str, str] = {}
    for names, words in _ATTRIBUTE.findall(textwrap.dedent(model.__doc__ or "").replace("\n    ", "\n")):
        for name in names.split(","):
            found[name.strip()] = " ".join(words.split())
    return found
