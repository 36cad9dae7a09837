"""The docs say what is there: every command, option, setting and link."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from pydantic import BaseModel

from alerts.sending.chat import ChatSettings
from alerts.sending.mail import MailSettings
from alerts.sending.webhook import WebhookSettings
from alerts.settings import NotifySettings
from alerts.telling.digests import Digest
from alerts.telling.routes import Route
from models.themes import Theme
from monitor import __version__
from monitor.cli import squall
from monitor.feeds.feed import Feed
from monitor.news.own_companies import OwnCompany
from monitor.settings import Settings

ROOT = Path(__file__).parents[1]
DOCS = sorted((ROOT / "docs").glob("*.md"))
PAGES = [*sorted(ROOT.glob("*.md")), *DOCS]
OPTIONAL_TABLES: dict[str, tuple[type[BaseModel], ...]] = {
    "feeds": (Feed,),
    "companies": (OwnCompany,),
    "themes": (Theme,),
    "channels": (WebhookSettings, MailSettings, ChatSettings),
    "routes": (Route,),
    "digests": (Digest,),
}


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


# Commands


def commands() -> Iterator[tuple[str, click.Command]]:
    """Every command by its words: `score`, `feeds check`."""
    context = click.Context(squall)
    for name in squall.list_commands(context):
        command = squall.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            inner = click.Context(command)
            for second in command.list_commands(inner):
                found = command.get_command(inner, second)
                assert found is not None
                yield f"{name} {second}", found
        else:
            yield name, command


def sections(page: str) -> dict[str, str]:
    """The text under each heading; a heading that names two commands is there for both."""
    found: dict[str, str] = {}
    for part in re.split(r"^#{2,3} ", page, flags=re.MULTILINE)[1:]:
        heading, _, text = part.partition("\n")
        for name in heading.split(", "):
            found[name.strip()] = text
    return found


COMMANDS = dict(commands())
COMMANDS_PAGE = (ROOT / "docs" / "commands.md").read_text()


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_described_with_its_options_and_an_example(name: str) -> None:
    text = sections(COMMANDS_PAGE)[name]
    examples = [line for block in re.findall(r"```\n(.*?)```", text, re.DOTALL) for line in block.splitlines()]
    assert any(re.search(rf"\bsquall (--config \S+ )?{name}\b", line) for line in examples)
    for option in COMMANDS[name].params:
        if isinstance(option, click.Option):
            for spelled in option.opts:
                assert re.search(rf"`{spelled}[` ]", text), spelled


def test_the_options_of_squall_itself() -> None:
    for option in squall.params:
        for spelled in option.opts:
            assert re.search(rf"`{spelled}[` ]", COMMANDS_PAGE), spelled


def test_no_option_is_described_that_is_not_there() -> None:
    for name, text in sections(COMMANDS_PAGE).items():
        if name not in COMMANDS:
            continue
        there = {spelled for option in COMMANDS[name].params for spelled in (*option.opts, *option.secondary_opts)}
        told = {
            word for row in re.findall(r"^\| (`--?[^|]+)\|", text, re.M) for word in re.findall(r"`(--?[a-z-]+)", row)
        }
        assert told <= there, name


def test_every_command_has_words_of_its_own() -> None:
    for name, command in COMMANDS.items():
        assert command.help, name
        for option in command.params:
            assert not isinstance(option, click.Option) or option.help, f"{name} {option.name}"


@pytest.mark.parametrize("path", PAGES, ids=named)
def test_commands_in_the_docs_are_there(path: Path) -> None:
    """`squall feeds chek` anywhere in code would be a page that lies."""
    code = re.findall(r"```[a-z]*\n(.*?)```|`([^`\n]+)`", path.read_text(), re.DOTALL)
    for block, inline in code:
        for words in re.findall(
            r"(?:^|\s|bin/)squall ((?:--config \S+ )?[a-z][a-z-]*(?: [a-z][a-z-]+)?)", block or inline
        ):
            first, _, second = re.sub(r"^--config \S+ ", "", words).partition(" ")
            groups = {name.split(" ")[0] for name in COMMANDS if " " in name}
            if first in groups and second:
                assert f"{first} {second}" in COMMANDS, words
            else:
                assert first in groups or first in COMMANDS, words


# Settings


def sectioned() -> dict[str, type[BaseModel]]:
    return {
        name: field.annotation
        for name, field in Settings.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
    }


def test_every_key_of_the_settings_is_in_the_example() -> None:
    example = (ROOT / "squall.example.toml").read_text()
    parts = re.split(r"^(?:# )?\[+([a-z]+)\]+$", example, flags=re.MULTILINE)
    text: dict[str, str] = {}
    for name, content in zip(parts[1::2], parts[2::2], strict=True):
        text[name] = text.get(name, "") + content
    wanted = {name: [model] for name, model in sectioned().items()} | {k: list(v) for k, v in OPTIONAL_TABLES.items()}
    assert set(text) == set(Settings.model_fields) == set(wanted)
    for name, models in wanted.items():
        for model in models:
            for key in model.model_fields:
                assert re.search(rf"^(?:# )?{key} =", text[name], re.MULTILINE), f"{name}.{key}"


def test_every_section_is_in_the_docs() -> None:
    page = (ROOT / "docs" / "settings.md").read_text()
    for name in Settings.model_fields:
        header = f"[[{name}]]" if name in OPTIONAL_TABLES else f"[{name}]"
        assert f"| `{header}` |" in page, header


def test_keys_that_the_settings_page_names_are_there_with_their_defaults() -> None:
    page = (ROOT / "docs" / "settings.md").read_text()
    rows = re.findall(r"^\| `([a-z]+)\.([a-z_]+)` \| ([^|]+) \|", page, re.MULTILINE)
    assert len(rows) >= 5
    defaults = Settings()
    for section, key, told in rows:
        value = getattr(getattr(defaults, section), key)
        shown = told.strip().strip("`")
        assert shown == str(value) or not value, f"{section}.{key}"


@pytest.mark.parametrize(
    ("page", "models"),
    [
        ("themes.md", (Theme,)),
        ("delivery.md", (WebhookSettings, MailSettings, ChatSettings)),
        ("alerts.md", (Route, Digest, NotifySettings)),
    ],
)
def test_every_key_of_a_table_is_explained_on_its_page(page: str, models: tuple[type[BaseModel], ...]) -> None:
    text = (ROOT / "docs" / page).read_text()
    for model in models:
        for key in model.model_fields:
            assert f"`{key}`" in text, key


# Links and places


def headings(page: str) -> set[str]:
    lines = re.findall(r"^#+ (.+)$", page, re.MULTILINE)
    return {re.sub(r"[^a-z0-9 -]", "", line.lower()).replace(" ", "-") for line in lines}


@pytest.mark.parametrize("path", PAGES, ids=named)
def test_links_lead_somewhere(path: Path) -> None:
    text = re.sub(r"```.*?```", "", path.read_text(), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"https?://|mailto:", target):
            continue
        file, _, anchor = target.partition("#")
        there = (path.parent / file).resolve() if file else path
        assert there.exists(), f"{target} leads nowhere"
        if anchor and there.suffix == ".md":
            assert anchor in headings(there.read_text()), target


@pytest.mark.parametrize("path", PAGES, ids=named)
def test_files_that_pages_name_are_there(path: Path) -> None:
    for name in re.findall(r"`((?:monitor|models|alerts|dashboard|tests|benchmarks|docs)/[\w./-]+)`", path.read_text()):
        assert (ROOT / name).exists(), name


@pytest.mark.parametrize("path", [*PAGES, ROOT / "squall.example.toml", ROOT / "Makefile"], ids=named)
def test_no_page_names_a_place_on_one_machine(path: Path) -> None:
    """An address of a service in /etc or /var/lib is an example; somebody's folder is not."""
    found = re.findall(r"(?<![\w.~:/-])/(?:home|root|Users|work|tmp|opt|mnt|private)/\S*", path.read_text())
    assert found == []


@pytest.mark.parametrize("path", PAGES, ids=named)
def test_no_page_holds_a_place_left_open(path: Path) -> None:
    assert re.findall(r"@@\w*@@|\bTODO\b|\bTBD\b|\bFIXME\b|lorem ipsum", path.read_text(), re.IGNORECASE) == []


def test_the_architecture_page_names_every_table_and_room() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    schema = "".join(path.read_text() for path in sorted((ROOT / "monitor" / "storage" / "migrations").glob("*.sql")))
    for table in re.findall(r"^CREATE TABLE (\w+)", schema, re.MULTILINE):
        assert f"`{table}`" in page, table
    for room in ("monitor", "models", "alerts", "dashboard"):
        assert f"| `{room}` |" in page
    assert len(page.splitlines()) <= 180


def test_the_changelog_has_this_version() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text()
    assert f"## {__version__}" in changelog
    assert re.search(rf"## {re.escape(__version__)}\n+.*?^- ", changelog, re.DOTALL | re.MULTILINE)


def test_every_make_target_of_the_docs_is_there() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for path in PAGES:
        for block, inline in re.findall(r"```[a-z]*\n(.*?)```|`([^`\n]+)`", path.read_text(), re.DOTALL):
            for target in re.findall(r"^make ([a-z-]+)|(?<=or: )make ([a-z-]+)", block or inline, re.MULTILINE):
                assert (target[0] or target[1]) in targets, f"{named(path)}: make {target}"
