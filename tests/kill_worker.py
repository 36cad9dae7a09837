"""A monitor without feeds, to be killed: each simulated hour a new alert fires; all that follows is as in the daemon.

    python kill_worker.py STORE SETTINGS STEPS

It goes on from where the store says that the last run ended, and ends by itself when all steps are decided and
everything has arrived. It says on standard output what it is about to do; it knows nothing of faults.
"""

from __future__ import annotations

import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

from alerts.detection.spikes import Severity, Spike, Verdict
from alerts.lifecycle import advance
from alerts.rules import Rules
from alerts.sending.channels import open_channel
from alerts.sending.delivery import Channel, Schedule, deliver
from monitor.service.telling import Teller
from monitor.settings_file import load_settings
from monitor.storage.alert_store import AlertStore
from monitor.storage.store import Store

START = datetime(2026, 3, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)
RULES = Rules(pending_minutes=0, recovering_minutes=60)
SOON = Schedule(steps=(timedelta(seconds=1),) * 50, jitter=0)


def say(words: str) -> None:
    sys.stdout.write(words + "\n")
    sys.stdout.flush()


def spike(step: int) -> Spike:
    return Spike(
        series=f"company:C{step:04}",
        at=START + step * HOUR,
        hours=12,
        observed=9,
        expected=1.0,
        p_value=1e-6,
        per_week=1e-4,
        publishers=3,
        stories=(1, 2),
        since=START + step * HOUR,
        verdict=Verdict.SURGE,
        severity=Severity.WARNING,
        smallest_detectable=7,
        history_days=20.0,
    )


def decide(teller: Teller, step: int) -> None:
    now = START + step * HOUR
    before = teller.alerts.open_alerts()
    say(f"deciding {step}")
    teller.tell(advance(before, [spike(step)], now, RULES, {}), before, now)


def send(teller: Teller, channels: dict[str, Channel], now: datetime) -> None:
    """Each channel in a thread of its own, one message at a time, as in the daemon."""

    def work(name: str) -> None:
        teller.seal(name, now)
        while deliver(teller.alerts, channels[name], now, SOON, limit=1):
            say(f"sent {name}")

    threads = [threading.Thread(target=work, args=(name,)) for name in channels]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def next_step(alerts: AlertStore) -> int:
    """The hour after the latest alert: what was not committed never happened."""
    known = alerts.alerts(START, 100_000)
    return max((round((one.opened_at - START) / HOUR) for one in known), default=-1) + 1


def main(path: str, config: str, steps: int) -> None:
    settings = load_settings(Path(config), {})
    with Store.open(path, START) as store:
        channels = {one.name: open_channel(one) for one in settings.channels}
        teller = Teller(settings, store, channels, lambda series: series)
        teller.begin(START)
        for step in range(next_step(teller.alerts), steps):
            send(teller, channels, START + step * HOUR)
            decide(teller, step)
            send(teller, channels, START + step * HOUR)
        now = START + steps * HOUR
        while store.counts().pending_deliveries:
            now += timedelta(minutes=1)
            send(teller, channels, now)
    say("done")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
