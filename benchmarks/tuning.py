"""How long rule tuning takes: today's rules over 30 days of a store, then one threshold turned after another.

takes  a store of `benchmarks/big_store.py`, which is made where there is none
gives  seconds of processor time and of the clock for each set of rules, in the order that a visitor would turn them
never  answers from another set's kept result: what is kept are the windows of the way there, as for a visitor

    python benchmarks/tuning.py --store /tmp/tuning.duckdb [--headlines 300000]
"""

from __future__ import annotations

# ruff: noqa: E402 - imports stand below what makes them possible
import argparse
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

ROOT = Path(__file__).parents[1]
# Beside this file lies another that bears the name of a room.
sys.path[0] = str(ROOT)

from alerts.rules import Rules
from benchmarks import big_store
from monitor.backtesting.tuning import Weeks, tried
from monitor.storage.reading import Reader

DAYS = 30
TURNED: Mapping[str, Mapping[str, float]] = {
    "today's rules": {},
    "warning_score 3": {"warning_score": 3.0},
    "recovering_minutes 60": {"recovering_minutes": 60},
    "minimum_publishers 3": {"minimum_publishers": 3},
    "breaking_publishers 3": {"breaking_publishers": 3},
    "minimum_ratio 3": {"minimum_ratio": 3.0},
    "minimum_ratio 1.5": {"minimum_ratio": 1.5},
    "false_alerts_per_week 0.24": {"false_alerts_per_week": 0.24},
    "false_alerts_per_week 3": {"false_alerts_per_week": 3.0},
    "false_alerts_per_week 2": {"false_alerts_per_week": 2.0},
    "minimum_negative 5": {"minimum_negative": 5},
    "minimum_negative 3": {"minimum_negative": 3},
}


def main() -> None:
    """Read the weeks once, and try every set of rules on them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--headlines", type=int, default=300_000)
    parser.add_argument("--days", type=int, default=DAYS, help="over how many days they are spread")
    asked = parser.parse_args()
    end = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    if not asked.store.exists():
        big_store.build(asked.store, asked.headlines, asked.days, end)
    rules = Rules()
    with Reader.open(asked.store) as reader:
        last = reader.query("status")["last_hour"][0]
        clock, core = time.monotonic(), time.process_time()
        weeks = Weeks(reader, last + timedelta(hours=1), DAYS, rules)
        print(f"{'reading':28}{time.process_time() - core:7.2f} s of a core{time.monotonic() - clock:8.2f} s")
        for name, turned in TURNED.items():
            clock, core = time.monotonic(), time.process_time()
            found = tried(weeks, Rules.model_validate(rules.model_dump() | dict(turned)), {}, seconds=600)
            print(
                f"{name:28}{time.process_time() - core:7.2f} s of a core{time.monotonic() - clock:8.2f} s"
                f"{len(found.alerts):6} alerts",
                flush=True,
            )


if __name__ == "__main__":
    main()
