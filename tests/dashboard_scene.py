"""A store as a desk would find it: two weeks of headlines, a surge of bank news, a sick feed, messages of each fate.

Loaded by path (`runpy`) in tests: tests/ is no package.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from alerts.evidence import Evidence
from alerts.lifecycle import Alert, Change, ChangeReason, Severity, State
from alerts.sending.delivery import Attempt, AttemptOutcome, Delivery, DeliveryState
from models.score import Score
from monitor.feeds.feed import Check, Feed, Outcome, unseen
from monitor.news.headlines import Headline, Standing
from monitor.storage.alert_store import AlertStore
from monitor.storage.store import Batch, Scored, Store

HOUR = timedelta(hours=1)
HOSTILE = (
    '<script>document.title="owned"</script><img src=x onerror=alert(1)> [click](javascript:alert(1)) '
    "![i](http://127.0.0.1:9/x.png) $\\frac{a}{b}$ costs $5 :smile: :material/home: :red[hot] **bold** `code` "
    "https://evil.example/x"
)
ALERT = "alert_00000000000000aa"


def headline(id_: int, at: datetime, title: str, publisher: str, link: str = "") -> Headline:
    """A fresh headline that is a story of its own."""
    where = link or f"https://news.example/{id_}?a=(b)"
    fresh = Standing.FRESH
    return Headline(id_, "wire", publisher, title, "", where, "en", at, at, at, fresh, ("JPM",) * (id_ % 5 == 0), id_)


def scored(negative: float, *themes: str) -> Scored:
    """An opinion on Macro news."""
    return Scored(Score(negative, (1 - negative) / 2, (1 - negative) / 2, (("Macro", 0.9),), "model-1"), themes)


def fill(path: Path, now: datetime) -> None:
    """Write the scene into a new store; `now` is aware UTC."""
    with Store.open(path, now - timedelta(days=14)) as store:
        old = [headline(n, now - n * HOUR, f"Calm news {n}", ("wire", "post")[n % 2]) for n in range(30, 330)]
        store.append(
            Batch(headlines=old, scores={one.id: scored(0.9 if one.id % 12 == 0 else 0.1) for one in old}),
            now - timedelta(days=14),
        )
        store.watch(["market", "topic:Macro", "theme:bank-stress"], now - timedelta(days=14))
        store.watch(["company:JPM"], now - HOUR)
        new = [headline(n, now - n * HOUR, f"Bank {n} in trouble", ("wire", "post")[n % 2]) for n in range(1, 20)]
        new.append(headline(1000, now - HOUR / 2, HOSTILE, "Evil <b>News</b>"))
        checks = [
            _check("calm-wire", now - HOUR / 20, Outcome.UNCHANGED, ""),
            _check("sick-post", now - HOUR / 10, Outcome.NOT_FOUND, "404: correct the url of sick-post"),
        ]
        store.append(Batch(checks, new, {one.id: scored(0.9, "bank-stress") for one in new}), now)
        _alert(AlertStore(store), now)


def _check(feed: str, at: datetime, outcome: Outcome, reason: str) -> Check:
    told = Feed(id=feed, url=f"https://{feed}.example/rss", name=feed.replace("-", " ").title(), publisher=feed)
    state = replace(
        unseen(told, at),
        last_check_at=at,
        last_success_at=at if outcome.ok else None,
        next_check_at=at + HOUR,
        failures=0 if outcome.ok else 3,
        outcome=outcome,
        reason=reason or None,
    )
    return Check(feed, at, outcome, reason, 404 if reason else 304, 100, 20, (), state)


def _alert(alerts: AlertStore, now: datetime) -> None:
    evidence = (
        Evidence(1, "Bank 1 in trouble", ("wire", "post"), "https://news.example/1", now - HOUR, 0.9),
        Evidence(1000, HOSTILE, ("Evil <b>News</b>",), "https://news.example/1000", now - HOUR / 2, 0.97),
        Evidence(1001, HOSTILE, ("post",), "", now - HOUR / 3, 0.97),
    )
    began = now - 6 * HOUR
    pending = Alert(
        ALERT, "theme:bank-stress", State.PENDING, Severity.WARNING, began, None, began, None, 12, 9, 1.5, 2e-5, 9, 1.5,
        2e-5, began, evidence,
    )  # fmt: skip
    firing = replace(
        pending, state=State.FIRING, severity=Severity.CRITICAL, fired_at=began + HOUR, observed=13, p_value=2.3e-8
    )
    faded = replace(
        pending, id="alert_00000000000000bb", series="topic:Macro", state=State.RESOLVED, resolved_at=now - HOUR
    )
    sent = [
        Delivery(f"msg_{word}", ALERT, "fired", word, DeliveryState.PENDING, began, 0, began, None, "", "{}")
        for word in ("mail", "hook", "chat")
    ]
    alerts.commit(
        [
            Change(pending, State.QUIET, ChangeReason.OPENED, began),
            Change(firing, State.PENDING, ChangeReason.FIRED, began + HOUR),
            Change(faded, State.PENDING, ChangeReason.FADED, now - HOUR),
        ],
        sent,
    )
    mail, hook, chat = (replace(one, attempts=1) for one in sent)
    done, gone = DeliveryState.DELIVERED, DeliveryState.DEAD
    alerts.record(
        replace(mail, state=done, next_attempt_at=None, finished_at=began, outcome="delivered"),
        Attempt(began, AttemptOutcome.DELIVERED, "", 12, None),
    )
    alerts.record(
        replace(hook, outcome="unreachable", next_attempt_at=now + HOUR / 4),
        Attempt(began, AttemptOutcome.UNREACHABLE, "no connection to hooks.example", 12, None),
    )
    alerts.record(
        replace(chat, state=gone, next_attempt_at=None, finished_at=began, outcome="gone"),
        Attempt(began, AttemptOutcome.GONE, "410: closed for good", 12, None),
    )
