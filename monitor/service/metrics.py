"""What Prometheus is told.

takes  what the daemon does, as it does it
gives  counters, gauges and histograms by stable names, listed in docs/metrics.md
never  asks the store when it is scraped: a scrape must not wait for a disk, nor a disk for a scrape
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector
from prometheus_client.exposition import choose_encoder

from alerts.lifecycle import Change
from alerts.sending.attempt import Attempt
from alerts.sending.delivery import Delivery
from monitor.feeds.feed import Check
from monitor.service.supervision import Late

_STAGE_SECONDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
_ATTEMPT_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


@dataclass(frozen=True, slots=True)
class Standing:
    """What the store holds, as it was when somebody looked."""

    headlines: int
    awaiting_score: int
    open_alerts: int
    pending_deliveries: int
    dead_deliveries: int
    store_bytes: int


class Metrics:
    """The numbers of one daemon. Safe for many threads.

    Args:
        version: of Squall.
        schema: of the store.
    """

    def __init__(self, version: str, schema: str) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        Info("squall_build", "Version of Squall and schema of its store.", registry=registry).info(
            {"version": version, "schema": schema}
        )
        self._model = Info("squall_model", "The loaded model; empty while there is none.", registry=registry)
        self._checks = Counter(
            "squall_feed_checks", "Checks of feeds, by what came of them.", ["outcome"], registry=registry
        )
        self._headlines = Counter("squall_headlines_stored", "New headlines stored.", registry=registry)
        self._scored = Counter("squall_headlines_scored", "Headlines scored.", registry=registry)
        self._restarts = Counter(
            "squall_model_restarts", "Times that the model's process was lost and begun anew.", registry=registry
        )
        self._changes = Counter(
            "squall_alert_changes",
            "Changes of alerts that people are told of, by reason.",
            ["reason"],
            registry=registry,
        )
        self._attempts = Counter(
            "squall_delivery_attempts", "Attempts to deliver, by outcome.", ["channel", "outcome"], registry=registry
        )
        self._attempt_seconds = Histogram(
            "squall_delivery_attempt_seconds",
            "How long attempts to deliver took.",
            ["channel"],
            buckets=_ATTEMPT_SECONDS,
            registry=registry,
        )
        self._runs = Counter(
            "squall_stage_runs", "Runs of stages, by whether they went well.", ["stage", "result"], registry=registry
        )
        self._stage_seconds = Histogram(
            "squall_stage_seconds",
            "How long runs of stages took.",
            ["stage"],
            buckets=_STAGE_SECONDS,
            registry=registry,
        )
        self._stage_ok_at = Gauge(
            "squall_stage_last_success_timestamp_seconds", "When a stage last went well.", ["stage"], registry=registry
        )
        self._stage_failing = Gauge("squall_stage_failing", "Whether a stage fails now.", ["stage"], registry=registry)
        self._stage_late = Gauge("squall_stage_late", "Whether a stage is late now.", ["stage"], registry=registry)
        self._feeds = Gauge(
            "squall_feeds", "Watched feeds, by whether their last check went well.", ["state"], registry=registry
        )
        self._held = {
            "headlines": Gauge("squall_headlines", "Headlines in the store.", registry=registry),
            "awaiting_score": Gauge("squall_headlines_awaiting", "Headlines that wait for a score.", registry=registry),
            "open_alerts": Gauge("squall_alerts_open", "Alerts that are not resolved.", registry=registry),
            "pending_deliveries": Gauge(
                "squall_deliveries_pending", "Messages still to be delivered.", registry=registry
            ),
            "dead_deliveries": Gauge("squall_deliveries_dead", "Messages that were given up.", registry=registry),
            "store_bytes": Gauge("squall_store_bytes", "Size of the store with its log.", registry=registry),
        }
        self._reloads = Counter("squall_reloads", "Reloads of the settings, by result.", ["result"], registry=registry)
        self._jumps = Counter(
            "squall_clock_jumps", "Times that the machine's clock was set, or it slept.", registry=registry
        )

    def checked(self, checks: Iterable[Check], headlines: int) -> None:
        """Feeds were checked, and what they brought was stored."""
        for check in checks:
            self._checks.labels(check.outcome.value).inc()
        self._headlines.inc(headlines)

    def scored(self, headlines: int) -> None:
        """So many headlines got their score."""
        self._scored.inc(headlines)

    def model(self, model: str, runtime: str, restarts: int) -> None:
        """Which model is loaded, and how many processes of it were lost since the last call."""
        self._model.info({"model": model, "runtime": runtime})
        self._restarts.inc(restarts)

    def changed(self, change: Change) -> None:
        """An alert changed."""
        if change.notifies:
            self._changes.labels(change.reason.value).inc()

    def attempted(self, delivery: Delivery, attempt: Attempt) -> None:
        """A delivery was attempted."""
        self._attempts.labels(delivery.channel, attempt.outcome.value).inc()
        self._attempt_seconds.labels(delivery.channel).observe(attempt.millis / 1_000)

    def ran(self, stage: str, seconds: float, ended_at: float, *, well: bool) -> None:
        """A run of a stage ended; `ended_at` is in seconds since 1970."""
        self._runs.labels(stage, "ok" if well else "failed").inc()
        self._stage_seconds.labels(stage).observe(seconds)
        self._stage_failing.labels(stage).set(not well)
        if well:
            self._stage_ok_at.labels(stage).set(ended_at)

    def stages(self, names: Iterable[str], late: Iterable[Late]) -> None:
        """Which of all stages are late now."""
        behind = {one.stage for one in late}
        for name in names:
            self._stage_late.labels(name).set(name in behind)

    def forget_stage(self, stage: str) -> None:
        """A stage, such as a channel, is gone from the settings."""
        for gauge in (self._stage_late, self._stage_failing, self._stage_ok_at):
            gauge.remove_by_labels({"stage": stage})

    def feeds(self, ok: int, failing: int) -> None:
        """How many feeds are watched."""
        self._feeds.labels("ok").set(ok)
        self._feeds.labels("failing").set(failing)

    def holds(self, standing: Standing) -> None:
        """What the store holds."""
        for name, gauge in self._held.items():
            gauge.set(getattr(standing, name))

    def reloaded(self, *, applied: bool) -> None:
        """The settings were read anew, and applied or refused."""
        self._reloads.labels("applied" if applied else "refused").inc()

    def clock_jumped(self) -> None:
        """The machine's clock was set, or it slept."""
        self._jumps.inc()

    def page(self, accepted: str) -> tuple[bytes, str]:
        """All of it in the form that an Accept header asks for, and its content type."""
        encode, kind = choose_encoder(accepted)
        return encode(self.registry), kind

    def names(self) -> Mapping[str, str]:
        """Every metric of Squall's own, by its full name, with what it means."""
        return {
            metric.name
            + ("_total" if metric.type == "counter" else "_info" if metric.type == "info" else ""): metric.documentation
            for metric in self.registry.collect()
            if metric.name.startswith("squall_")
        }
