"""Everything that a user decides, and what each of it may be.

takes  values
gives  `Settings`, frozen, checked as a whole
never  reads a file, nor a secret: secrets are named here (`env:NAME`, `file:PATH`) and read where they are used
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from alerts.rules import Rules
from alerts.sending.channels import ChannelSettings
from alerts.settings import NotifySettings
from alerts.telling.digests import Digest
from alerts.telling.routes import Route
from alerts.texts.wording import web_link
from models.themes import Theme
from monitor.feeds.feed import Feed
from monitor.feeds.poll_settings import PollSettings
from monitor.named_series import misnamed, nameable_series, themes_beside
from monitor.news.own_companies import OwnCompany, with_own

_WEB_ADDRESS = re.compile(r"https?://[^\s/]")


def _nameable(told: object) -> object:
    # An empty path is the folder that one stands in, which nobody means.
    if isinstance(told, str) and (not told.strip() or "\0" in told):
        raise ValueError("must be a path; leave the key out for its default")
    return told


Place = Annotated[Path, BeforeValidator(_nameable)]


class Section(BaseModel):
    """A table of the settings: frozen, and closed to unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class StoreSettings(Section):
    """Where everything is kept."""

    path: Place = Field(Path("data/squall.duckdb"), description="The store: one DuckDB file, created when absent.")
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
    archive: Place | None = Field(
        None, description="Folder of those files; without it the store's name with .archive, beside the store."
    )

    @model_validator(mode="after")
    def _kept_long_enough(self) -> StoreSettings:
        if 0 < self.keep_days < 90:
            raise ValueError("keep_days must be 0, for ever, or at least 90: what is usual is learned from two months")
        return self


class ModelSettings(Section):
    """Which model scores headlines, and where it runs."""

    adapter: Place | None = Field(
        None,
        description="Adapter folder made by `squall train`, or the name of a shipped one (fast, accurate); "
        "without it the champion of the library.",
    )
    encoder: str = Field(
        "", description="Folder or hub id of the base encoder, where the adapter's own cannot be downloaded."
    )
    library: Place = Field(
        Path("data/models"),
        description="Where `squall models promote` keeps champions; without any the shipped one scores.",
    )
    device: str = Field(
        "auto", pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$", description="Where it runs: auto, cpu, cuda, cuda:0 or mps."
    )
    precision: Literal["auto", "int8", "bf16", "fp16", "fp32"] = Field(
        "auto",
        description="What it computes in; auto takes int8 on a CPU with OpenVINO, else bf16 where it can.",
    )
    runtime: Literal["auto", "openvino", "torch"] = Field(
        "auto", description="What runs it; auto takes OpenVINO on a CPU where it is installed, and torch elsewhere."
    )
    cache: Place | None = Field(
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
        "127.0.0.1",
        pattern=r"^[A-Za-z0-9.:_-]+$",
        description="Address to bind to; keep it on loopback unless a login stands before it.",
    )
    port: int = Field(8501, ge=1, le=65535, description="Port of the dashboard.")
    url: str = Field("", description="Address under which people reach the dashboard, for links in alerts.")
    may_act: tuple[str, ...] = Field(
        (),
        description="With a login: mail addresses whose owners may act, * stands for any part; all others may only "
        "look. Without a login, whoever reaches the dashboard on loopback may act.",
    )

    @field_validator("may_act")
    @classmethod
    def _whose(cls, addresses: tuple[str, ...]) -> tuple[str, ...]:
        for one in addresses:
            if "@" not in one and "*" not in one:
                raise ValueError(f"{one!r} is no mail address: write ann@desk.example, *@desk.example, or * for all")
        return addresses

    @field_validator("url")
    @classmethod
    def _links(cls, url: str) -> str:
        if url and not _WEB_ADDRESS.match(url):
            raise ValueError("must begin with http:// or https:// and name a host, or messages have no link")
        if url and not web_link(url):
            raise ValueError("holds a space, a quote or a hidden character, and messages carry no such link: write %20")
        return url


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

    def nameable_series(self) -> list[str]:
        """Every series that somebody may name ahead, also of companies that may not alert now."""
        themes = themes_beside(self.themes, shipped=self.watch.default_themes)
        return nameable_series(themes, [company.ticker for company in with_own(self.companies)])

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
    def _known_series(self) -> Settings:
        routed = [(f"routes: {route.name}", name) for route in self.routes for name in route.series]
        if self.watch.weights or routed:
            there = self.nameable_series()
            for where, name in (*(("watch.weights", name) for name in self.watch.weights), *routed):
                if objection := misnamed(name, there, alone=where == "watch.weights"):
                    raise ValueError(f"{where}: {objection}")
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
