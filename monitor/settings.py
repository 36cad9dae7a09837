"""One TOML file, checked whole before anything starts.

takes  squall.toml, environment variables, defaults
gives  `Settings`, frozen
never  reads a secret: secrets are named here (`env:NAME`, `file:PATH`) and read where they are used

Order of precedence: environment (`SQUALL_STORE__PATH=…`), file, defaults. Unknown keys are errors.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from alerts.channels import ChannelSettings
from alerts.digests import Digest
from alerts.errors import ChannelUnusable
from alerts.routes import Route
from alerts.rules import Rules
from alerts.settings import NotifySettings
from models.themes import Theme
from monitor.errors import SettingsUnusable
from monitor.feeds.feed import Feed
from monitor.feeds.poll_settings import PollSettings
from monitor.news.own_companies import OwnCompany, with_own

FILE = "squall.toml"
ENVIRONMENT_PREFIX = "SQUALL_"
_NESTED = "__"


class Section(BaseModel):
    """A table of the settings: frozen, and closed to unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class StoreSettings(Section):
    """Where everything is kept."""

    path: Path = Field(Path("data/squall.duckdb"), description="The store: one DuckDB file, created when absent.")
    memory_limit: str = Field(
        "2GB", pattern=r"^\d+(\.\d+)?\s?(MB|GB|MiB|GiB)$", description="Most memory that DuckDB may take."
    )
    threads: int = Field(2, ge=1, le=64, description="Threads that DuckDB may use.")
    keep_days: int = Field(
        400,
        ge=0,
        le=36500,
        description="Days that headlines stay in the store; then their month moves to a Parquet file. 0 keeps all. "
        "Counts and alerts stay for ever.",
    )
    archive: Path | None = Field(
        None, description="Folder of those files; without it the store's name with .archive, beside the store."
    )

    @model_validator(mode="after")
    def _kept_long_enough(self) -> StoreSettings:
        if 0 < self.keep_days < 90:
            raise ValueError("keep_days must be 0, for ever, or at least 90: what is usual is learned from two months")
        return self


class ModelSettings(Section):
    """Which model scores headlines, and where it runs."""

    adapter: Path | None = Field(
        None,
        description="Adapter folder made by `squall train`, or the name of a shipped one (fast, accurate); "
        "without it the champion of the library.",
    )
    encoder: str = Field(
        "", description="Folder or hub id of the base encoder, where the adapter's own cannot be downloaded."
    )
    library: Path = Field(
        Path("data/models"),
        description="Where `squall models promote` keeps champions; without any the shipped one scores.",
    )
    device: str = Field("auto", description="Where it runs: auto, cpu, cuda, cuda:0 or mps.")
    precision: Literal["auto", "int8", "bf16", "fp16", "fp32"] = Field(
        "auto",
        description="What it computes in; auto takes int8 on a CPU with OpenVINO, else bf16 where it can.",
    )
    runtime: Literal["auto", "openvino", "torch"] = Field(
        "auto", description="What runs it; auto takes OpenVINO on a CPU where it is installed, and torch elsewhere."
    )
    cache: Path | None = Field(
        None, description="Where models prepared for OpenVINO are kept; without it squall/graphs in your cache folder."
    )
    token_budget: int = Field(
        0, ge=0, le=10_000_000, description="Most padded tokens in one batch; 0 picks one for the device."
    )
    own_process: bool = Field(
        True,
        description="The daemon runs it in a process of its own: what kills the model then leaves the daemon alone.",
    )
    answer_seconds: float = Field(
        120,
        gt=0,
        le=3600,
        description="Most time for 256 headlines; a process of its own is ended then, and begun anew.",
    )


class DaemonSettings(Section):
    """How often the daemon does what."""

    poll_seconds: int = Field(20, ge=1, le=3600, description="How often to look which feeds are due.")
    detect_seconds: int = Field(60, ge=1, le=3600, description="How often to look for surges.")
    deliver_seconds: int = Field(5, ge=1, le=600, description="How often to send what is due.")
    maintain_minutes: int = Field(60, ge=1, le=1440, description="How often to prune and checkpoint the store.")


class WatchSettings(Section):
    """What is watched beside the market, the topics and the themes."""

    companies: tuple[str, ...] = Field(
        (), description="Tickers of the companies that may alert; every company that Squall knows when empty."
    )
    weights: dict[str, Annotated[float, Field(ge=0.125, le=8)]] = Field(
        default_factory=dict,
        description="How much a series matters to you, by name: 2 doubles its share of the false alerts and raises its "
        "severity, 0.5 halves and lowers them.",
    )
    default_themes: bool = Field(True, description="Watch the shipped risk themes.")
    default_feeds: bool = Field(True, description="Poll the shipped list of feeds, beside your own.")


class DashboardSettings(Section):
    """Where the dashboard listens."""

    host: str = Field(
        "127.0.0.1", description="Address to bind to; keep it on loopback unless a login stands before it."
    )
    port: int = Field(8501, ge=1, le=65535, description="Port of the dashboard.")
    url: str = Field("", description="Address under which people reach the dashboard, for links in alerts.")
    may_act: tuple[str, ...] = Field(
        (),
        description="With a login: mail addresses whose owners may act, * stands for any part; all others may only "
        "look. Without a login, whoever reaches the dashboard on loopback may act.",
    )


class MetricsSettings(Section):
    """What other programs may ask of the running daemon, on loopback only."""

    port: int = Field(
        9177,
        ge=0,
        le=65535,
        description="Port of /metrics, /healthz and /readyz on 127.0.0.1; 0 switches them off.",
    )


class LogSettings(Section):
    """How the log looks."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="The least severe line that is written."
    )
    format: Literal["auto", "json", "console"] = Field(
        "auto", description="console or json; auto writes colour to a terminal and JSON elsewhere."
    )


class Settings(Section):
    """Everything that a user decides."""

    store: StoreSettings = StoreSettings()
    model: ModelSettings = ModelSettings()
    daemon: DaemonSettings = DaemonSettings()
    watch: WatchSettings = WatchSettings()
    polling: PollSettings = PollSettings()
    rules: Rules = Rules()
    notify: NotifySettings = NotifySettings()
    dashboard: DashboardSettings = DashboardSettings()
    log: LogSettings = LogSettings()
    metrics: MetricsSettings = MetricsSettings()
    feeds: tuple[Feed, ...] = Field(
        (), description="Your own feeds; one that bears the id of a shipped feed replaces it."
    )
    companies: tuple[OwnCompany, ...] = Field(
        (), description="Your own companies, and your own names for companies that Squall knows."
    )
    themes: tuple[Theme, ...] = Field(
        (), description="Your own risk themes; one that bears the id of a shipped theme replaces it."
    )
    channels: tuple[ChannelSettings, ...] = Field((), description="Who is told, and how.")
    routes: tuple[Route, ...] = Field(
        (), description="Which alerts go to which channels, and when; without any, all go to all at once."
    )
    digests: tuple[Digest, ...] = Field((), description="Summaries of a day or a week.")

    @model_validator(mode="after")
    def _unique(self) -> Settings:
        for kind, names in (
            ("feeds: id", [feed.id for feed in self.feeds]),
            ("themes: id", [theme.id for theme in self.themes]),
            ("channels: name", [channel.name for channel in self.channels]),
            ("routes: name", [route.name for route in self.routes]),
            ("digests: name", [digest.name for digest in self.digests]),
        ):
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise ValueError(f"{kind} {', '.join(twice)} is given more than once")
        return self

    @model_validator(mode="after")
    def _linkable(self) -> Settings:
        known = {company.ticker for company in with_own(self.companies)}
        if strangers := sorted(set(self.watch.companies) - known):
            raise ValueError(
                f"watch.companies: Squall does not know {', '.join(strangers)}; add a [[companies]] table for each"
            )
        return self

    @model_validator(mode="after")
    def _known_channels(self) -> Settings:
        known = {channel.name for channel in self.channels}
        asked = [
            *((f"routes: {route.name}", name) for route in self.routes for name in route.channels),
            *((f"digests: {digest.name}", name) for digest in self.digests for name in digest.channels),
            *(("notify: heartbeat_channel", name) for name in [self.notify.heartbeat_channel] if name),
        ]
        for where, name in asked:
            if name not in known:
                raise ValueError(f"{where} names the channel {name!r}; there are: {', '.join(sorted(known)) or 'none'}")
        return self


def find_settings(named: Path | None = None, environment: Mapping[str, str] | None = None) -> Path | None:
    """The settings file: the named one, else ./squall.toml, else squall/squall.toml in the user's config folder."""
    if named is not None:
        return named
    environment = os.environ if environment is None else environment
    config = Path(environment.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return next((path for path in (Path(FILE), config / "squall" / FILE) if path.is_file()), None)


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
